// Write src/protocol/generated.ts from the schema; with --check, fail when it is stale.
import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const target = new URL("./src/protocol/generated.ts", import.meta.url);
const schema = JSON.parse(
  readFileSync(new URL("../attnwidget/protocol/schema.json", import.meta.url), "utf8"),
);
const text = await compile(schema, "Protocol", {
  additionalProperties: false,
  ignoreMinAndMaxItems: true,
  bannerComment: "/* Generated from attnwidget/protocol/schema.json by `npm run generate`. */",
  style: { printWidth: 100 },
});
if (process.argv.includes("--check")) {
  let current = "";
  try {
    current = readFileSync(target, "utf8");
  } catch {}
  if (current !== text) {
    console.error("src/protocol/generated.ts does not match the schema: run `npm run generate`.");
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
