import { posix } from "node:path";

/**
 * The folders of `src` in the order in which they may import: each from those before it, none from
 * its neighbours in the same line.
 */
export const LAYERS: readonly (readonly string[])[] = [
  ["protocol"],
  ["surface"],
  ["styles", "data"],
  ["state", "marks", "transport"],
  ["scene"],
  ["views"],
  ["figure"],
  ["shell"],
];

/** So many files may lie directly in a folder. */
export const MOST_FILES = 25;

/** Source text by path from `src`, such as "views/head/view.ts". */
export type Sources = ReadonlyMap<string, string>;

/** Comments, and the strings and templates in which "//" is none. */
const COMMENT = /("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
/** Whatever comes from another file: `import … from`, `export … from`, `import "…"`, `import("…")`. */
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g;

/** The files of ours that a file imports, type-only imports included. */
export function importsOf(path: string, source: string): readonly string[] {
  const code = source.replace(COMMENT, (_, kept: string | undefined) => kept ?? " ");
  return Array.from(code.matchAll(IMPORT), ([, specifier = ""]) =>
    posix.join(posix.dirname(path), specifier).replace(/\.js$/, ".ts"),
  );
}

/** A file's place in the order; entries such as widget.ts, which lie in no folder, come last. */
function layerOf(path: string): number {
  const [folder = "", inside] = path.split("/");
  if (inside === undefined) return LAYERS.length;
  const place = LAYERS.findIndex((folders) => folders.includes(folder));
  if (place < 0) throw new Error(`src/${folder} has no place in the order of imports.`);
  return place;
}

/** Imports that point back or sideways, "from imports to". */
export function wrongWay(sources: Sources): readonly string[] {
  const wrong: string[] = [];
  for (const [path, source] of sources) {
    for (const imported of importsOf(path, source)) {
      const sameFolder = imported.split("/")[0] === path.split("/")[0];
      const inOrder = layerOf(imported) < layerOf(path);
      if (!sameFolder && !inOrder) wrong.push(`${path} imports ${imported}`);
    }
  }
  return wrong;
}

/** Each circle among the files, "a → b → a". */
export function circles(sources: Sources): readonly string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.push([...trail.slice(start), path].join(" → "));
      return;
    }
    if (done.has(path)) return;
    for (const imported of importsOf(path, sources.get(path) ?? "")) {
      walk(imported, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of sources.keys()) walk(path, []);
  return found;
}

/** Folders with more files than one can look over, "folder has n files". */
export function crowded(paths: Iterable<string>): readonly string[] {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const folder = posix.dirname(path);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return Array.from(counts)
    .filter(([, count]) => count > MOST_FILES)
    .map(([folder, count]) => `${folder} has ${count} files`);
}
