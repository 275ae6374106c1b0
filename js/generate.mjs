// Write what src/protocol takes from the schema, types and constants; with --check, fail when it is stale.
import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const schema = JSON.parse(
  readFileSync(new URL("../attnwidget/protocol/schema.json", import.meta.url), "utf8"),
);
const banner = "/* Generated from attnwidget/protocol/schema.json by `npm run generate`. */";

/** Without what only narrows which values belong together: types say which there are, the kernel checks the rest. */
function withoutConditions(value) {
  if (Array.isArray(value)) return value.map(withoutConditions);
  if (value === null || typeof value !== "object") return value;
  const { allOf, ...rest } = value;
  const kept = allOf?.every((each) => "if" in each) ? rest : value;
  return Object.fromEntries(
    Object.entries(kept).map(([name, of]) => [name, withoutConditions(of)]),
  );
}

/** The values under "constants", and the names of the shared selection's traits. */
function constants({ constants, $defs }) {
  const names = {
    const: Object.keys($defs.State.properties),
    description: "The traits of the shared selection, in the order of the schema.",
  };
  const all = Object.entries({ ...constants, state_names: names });
  const lines = all.map(([name, { const: value, description }]) => {
    const literal = JSON.stringify(value).replaceAll(",", ", ");
    const kept = typeof value === "object" ? " as const" : "";
    return `/** ${description} */\nexport const ${name.toUpperCase()} = ${literal}${kept};\n`;
  });
  return [`${banner}\n`, ...lines].join("\n");
}

const files = {
  "src/protocol/generated.ts": await compile(withoutConditions(schema), "Protocol", {
    additionalProperties: false,
    ignoreMinAndMaxItems: true,
    bannerComment: banner,
    style: { printWidth: 100 },
  }),
  "src/protocol/constants.ts": constants(schema),
};
for (const [name, text] of Object.entries(files)) {
  const target = new URL(name, import.meta.url);
  if (!process.argv.includes("--check")) {
    writeFileSync(target, text);
    continue;
  }
  let current = "";
  try {
    current = readFileSync(target, "utf8");
  } catch {}
  if (current !== text) {
    console.error(`${name} does not match the schema: run \`npm run generate\`.`);
    process.exitCode = 1;
  }
}
