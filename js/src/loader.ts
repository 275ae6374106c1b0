// Entry that anywidget loads for each widget: unpacks the front end once a page.

/**
 * A browser keeps every module that it has loaded, and anywidget loads one for each widget. A hundred widgets,
 * closed again, would leave a hundred front ends behind: 1.5 MB each. Python puts the bundle's digest in front of this
 * file, so that widgets of two versions in one page keep each to its own.
 */
declare const BUNDLE: string;

interface Loaded {
  readonly default: () => { render(context: Context): () => void };
}

interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  on(event: string, callback: () => void): void;
}

interface Context {
  readonly model: Model;
  readonly signal?: AbortSignal;
}

const PLACE = Symbol.for("attnwidget front ends");
type Page = typeof globalThis & { [PLACE]?: Map<string, Promise<Loaded>> };

async function load(packed: ArrayBufferView<ArrayBuffer>): Promise<Loaded> {
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const text = await new Response(plain).text();
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    return (await import(url)) as Loaded;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** JupyterLab keeps the models of closed widgets for as long as the kernel runs; not what is large in them. */
function initialize({ model }: Context): void {
  model.on("destroy", () =>
    // Its views have still to go.
    setTimeout(() => {
      for (const name of ["_bundle", "meta", "overview", "media"]) model.set(name, null);
    }),
  );
}

async function render(context: Context): Promise<(() => void) | undefined> {
  const page: Page = globalThis;
  page[PLACE] ??= new Map();
  const loaded = page[PLACE];
  let module = loaded.get(BUNDLE);
  if (!module) {
    module = load(context.model.get("_bundle") as ArrayBufferView<ArrayBuffer>);
    loaded.set(BUNDLE, module);
    // A page that refused it once may have been put right since.
    module.catch(() => loaded.delete(BUNDLE));
  }
  const { default: widget } = await module;
  // Its view may have been closed while the front end was on its way.
  return context.signal?.aborted ? undefined : widget().render(context);
}

export default { initialize, render };
