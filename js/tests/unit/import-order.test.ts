import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import {
  circles,
  crowded,
  importsOf,
  MOST_FILES,
  type Sources,
  wrongWay,
} from "../support/import-order.js";

const folder = fileURLToPath(new URL("../../src", import.meta.url));
const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));
const named = (path: string) => relative(folder, path).split(sep).join("/");
const sources: Sources = new Map(
  paths
    .filter((path) => path.endsWith(".ts"))
    .map((path) => [named(path), readFileSync(path, "utf8")]),
);

test("imports run one way, type-only ones included", () => {
  expect(wrongWay(sources)).toEqual([]);
});

test("no files import each other in a circle, type-only imports included", () => {
  expect(circles(sources)).toEqual([]);
});

test("a folder holds no more files than one can look over", () => {
  expect(crowded(paths.map(named))).toEqual([]);
});

test("every file says in its first line what it holds", () => {
  const silent = [...sources].filter(([, source]) => !/^(\/\/ \S|\/\*)/.test(source));
  expect(silent.map(([path]) => path)).toEqual([]);
});

test("every import is found, and every import that is found exists", () => {
  const imported = [...sources].flatMap(([path, source]) => importsOf(path, source));
  // Read the other way, line by line: as many, and each of a file that is there.
  const lines = [...sources.values()]
    .join("\n")
    .match(/^(?:import |export |\} from ).*"\.[^"]*";$/gm);
  expect(imported.length).toBe(lines?.length);
  const known = new Set(paths.map(named));
  expect(imported.filter((path) => !known.has(path))).toEqual([]);
});

const example = (files: Record<string, string>): Sources => new Map(Object.entries(files));

test("an import that points back is named, however it is written", () => {
  const wrong = example({
    "data/a.ts": 'import type { View } from "../views/view.js";',
    "marks/b.ts": 'import { \n  type X, \n  y, \n } from "../state/signals.js";',
    "scene/c.ts": 'type T = import("../shell/shell.js").Shell;',
    "state/d.ts": 'export { T } from "../widget.js";',
    "styles/e.ts": 'import "../data/store.js";',
  });
  expect(wrongWay(wrong)).toEqual([
    "data/a.ts imports views/view.ts",
    "marks/b.ts imports state/signals.ts",
    "scene/c.ts imports shell/shell.ts",
    "state/d.ts imports widget.ts",
    "styles/e.ts imports data/store.ts",
  ]);
});

test("imports in the order, in a folder and in comments are right", () => {
  const right = example({
    "shell/a.ts": 'import { view } from "../views/head/view.js";\nimport css from "./b.js";',
    "data/c.ts": '// import { View } from "../views/view.js";\n/* from "../shell/shell.js" */',
    "widget.ts": 'import { Shell } from "./shell/shell.js";',
  });
  expect(wrongWay(right)).toEqual([]);
});

test("a circle is named from end to end, types or not", () => {
  const round = example({
    "views/a.ts": 'import { b } from "./b.js";',
    "views/b.ts": 'import type { C } from "./deep/c.js";',
    "views/deep/c.ts": 'import { a } from "../a.js";',
  });
  expect(circles(round)).toEqual(["views/a.ts → views/b.ts → views/deep/c.ts → views/a.ts"]);
});

test("a folder with one file too many is named", () => {
  const files = Array.from({ length: MOST_FILES + 1 }, (_, index) => `marks/${index}.ts`);
  expect(crowded(files.slice(1))).toEqual([]);
  expect(crowded(files)).toEqual([`marks has ${MOST_FILES + 1} files`]);
});
