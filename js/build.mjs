// Bundle the front end into ../attnwidget/static: `node build.mjs` once, `--watch` while editing.
//
// widget.js travels with every widget, packed, and loader.js unpacks it once a page: so their sizes have a budget. Going over it is always said; with
// `--strict`, as `npm run check` calls it, it is an error. An installation must not fail over it.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const target = join(root, "attnwidget", "static");
const stamp = join(here, ".build", "bundle.sha256");
const watch = process.argv.includes("--watch");
const strict = process.argv.includes("--strict");

const bundles = [
  {
    entryPoints: [join(here, "src", "widget.ts")],
    outfile: join(target, "widget.js"),
    format: "esm",
    target: "es2022",
    // Nearly nine tenths are our own drawing code, dense enough that it compresses to 38 %.
    budget: { minified: 500_000, gzip: 195_000 },
  },
  {
    entryPoints: [join(here, "src", "loader.ts")],
    outfile: join(target, "loader.js"),
    format: "esm",
    target: "es2022",
    budget: { minified: 1_000, gzip: 600 },
  },
  {
    // Stands in full beside every frozen copy, as a script of the notebook's page.
    entryPoints: [join(here, "src", "frames.ts")],
    outfile: join(target, "frames.js"),
    format: "iife",
    target: "es2022",
    budget: { minified: 3_000, gzip: 1_500 },
  },
  {
    // Runs in a bare V8: no modules, no DOM, no TextDecoder.
    entryPoints: [join(here, "src", "figure.ts")],
    outfile: join(target, "figure.js"),
    format: "iife",
    globalName: "attnwidgetFigure",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["module", "import"],
    target: "es2020",
  },
];

/** Everything the bundles are made from. hatch_build.py lists and hashes the same files. */
function sources() {
  const inside = readdirSync(join(here, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const beside = ["build.mjs", "package.json", "package-lock.json", "tsconfig.json"];
  const schema = join(root, "attnwidget", "protocol", "schema.json");
  return [...inside, ...beside.map((name) => join(here, name)), schema]
    .map((path) => relative(root, path).split(sep).join("/"))
    .sort();
}

function fingerprint() {
  const hash = createHash("sha256");
  for (const path of sources()) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update("\0");
  }
  return hash.digest("hex");
}

/** A page that reloads while we build must never read half a file. */
function writeWhole(path, contents) {
  writeFileSync(`${path}.part`, contents);
  renameSync(`${path}.part`, path);
}

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

/** Write one finished bundle; returns what is wrong with its size, or nothing. */
function emit(outputs, budget) {
  const file = outputs.find((output) => output.path.endsWith(".js"));
  const minified = file.contents.byteLength;
  const gzip = gzipSync(file.contents, { level: 9 }).byteLength;
  const name = basename(file.path);
  writeWhole(file.path, file.contents);
  console.log(`${name.padEnd(10)} ${kilobytes(minified)} minified, ${kilobytes(gzip)} gzip`);
  if (!watch && budget && (minified > budget.minified || gzip > budget.gzip)) {
    const allowed = `${kilobytes(budget.minified)} minified, ${kilobytes(budget.gzip)} gzip`;
    return `${name} is over its budget of ${allowed}: see what is in it with esbuild's --analyze`;
  }
  return null;
}

mkdirSync(target, { recursive: true });
const before = fingerprint();
const complaints = [];
const contexts = [];
for (const { budget, ...options } of bundles) {
  contexts.push(
    await esbuild.context({
      ...options,
      bundle: true,
      minify: !watch,
      sourcemap: watch ? "inline" : false,
      charset: "utf8",
      legalComments: "eof",
      logLevel: "warning",
      write: false,
      plugins: [
        {
          name: "stylesheet as text",
          setup(build) {
            build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
              const source = readFileSync(path, "utf8");
              const { code } = await esbuild.transform(source, { loader: "css", minify: !watch });
              return { contents: code, loader: "text", watchFiles: [path] };
            });
          },
        },
        {
          name: "emit",
          setup(build) {
            build.onEnd(({ errors, outputFiles }) => {
              const complaint = errors.length === 0 && emit(outputFiles, budget);
              if (complaint) complaints.push(complaint);
            });
          },
        },
      ],
    }),
  );
}

if (watch) {
  for (const context of contexts) await context.watch();
} else {
  try {
    for (const context of contexts) await context.rebuild();
  } catch {
    // esbuild has printed the reason already.
    process.exitCode = 1;
  }
  for (const context of contexts) await context.dispose();
  for (const complaint of complaints) console.error(complaint);
  if (strict && complaints.length > 0) process.exitCode = 1;
  // Hashed before bundling: an edit made meanwhile leaves the stamp stale, so it is built again.
  if (!process.exitCode) {
    mkdirSync(dirname(stamp), { recursive: true });
    writeWhole(stamp, `${before}\n`);
  }
}
