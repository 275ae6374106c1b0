/** A small strict reader of XML, for tests: anything that is not well-formed throws. */
export interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: (Element | string)[];
}

const NAME = /^[A-Za-z_][\w.:-]*/;
const known: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"' };

function legal(code: number): boolean {
  return (
    [9, 10, 13].includes(code) ||
    (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    code >= 0x10000
  );
}

function unescaped(text: string): string {
  if (/[<>]/.test(text)) throw new Error(`bare angle bracket in ${JSON.stringify(text)}`);
  return text.replace(/&([^;&]*;?)/g, (whole, reference: string) => {
    const entity = reference.replace(/;$/, "");
    if (!reference.endsWith(";")) throw new Error(`bare ampersand: ${whole}`);
    if (/^#\d+$/.test(entity)) return String.fromCodePoint(Number(entity.slice(1)));
    const char = known[entity];
    if (char === undefined) throw new Error(`unknown entity: ${whole}`);
    return char;
  });
}

function readTag(tag: string): { name: string; attributes: Map<string, string> } {
  const name = NAME.exec(tag)?.[0];
  if (!name) throw new Error(`no name in <${tag}>`);
  const attributes = new Map<string, string>();
  let rest = tag.slice(name.length);
  while (rest.trim() !== "") {
    const match = /^\s+([A-Za-z_][\w.:-]*)="([^"]*)"/.exec(rest);
    if (!match) throw new Error(`bad attributes: <${tag}>`);
    const [whole, key, value] = match as unknown as [string, string, string];
    if (attributes.has(key)) throw new Error(`${key} twice in <${tag}>`);
    attributes.set(key, unescaped(value));
    rest = rest.slice(whole.length);
  }
  return { name, attributes };
}

/** The root element of a document without declaration, comments, CDATA or instructions. */
export function parseXml(text: string): Element {
  for (const char of text) {
    if (!legal(char.codePointAt(0) as number)) throw new Error(`illegal ${JSON.stringify(char)}`);
  }
  const root: Element = { name: "", attributes: new Map(), children: [] };
  const open = [root];
  let at = 0;
  while (at < text.length) {
    const parent = open.at(-1) as Element;
    if (text[at] !== "<") {
      const end = text.indexOf("<", at);
      const stop = end < 0 ? text.length : end;
      parent.children.push(unescaped(text.slice(at, stop)));
      at = stop;
      continue;
    }
    const end = text.indexOf(">", at);
    if (end < 0) throw new Error("a tag without an end");
    const inner = text.slice(at + 1, end);
    at = end + 1;
    if (inner.startsWith("/")) {
      if (open.pop()?.name !== inner.slice(1))
        throw new Error(`</${inner.slice(1)}> closes nothing`);
      continue;
    }
    const closed = inner.endsWith("/");
    const element: Element = { ...readTag(closed ? inner.slice(0, -1) : inner), children: [] };
    parent.children.push(element);
    if (!closed) open.push(element);
  }
  const elements = root.children.filter((child) => typeof child !== "string");
  if (open.length !== 1 || elements.length !== 1) throw new Error("not one closed root");
  return elements[0] as Element;
}

export function* elementsOf(root: Element): Generator<Element> {
  yield root;
  for (const child of root.children) if (typeof child !== "string") yield* elementsOf(child);
}

/** An element's own text, without that of its children. */
export function ownText({ children }: Element): string {
  return children.filter((child) => typeof child === "string").join("");
}
