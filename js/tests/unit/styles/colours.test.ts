import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { entry } from "../../../src/styles/colours.js";
import { themes } from "../../../src/styles/theme.js";

interface Colours {
  readonly text: string;
  readonly muted: string;
  readonly accent: string;
  readonly special: string;
  readonly sequential: readonly string[];
  readonly heads: Readonly<Record<string, readonly string[]>>;
}
const path = new URL("../../../../tests/contract/fixtures/colours.json", import.meta.url);
const table = JSON.parse(readFileSync(path, "utf8")) as Record<"light" | "dark", Colours>;

// Python draws into matplotlib's axes with the same colours: tests/contract/test_colours.py.
it.each(["light", "dark"] as const)("the %s colours are those of the table", (name) => {
  const theme = themes[name];
  const { heads, sequential, ...rest } = table[name];
  expect(theme).toMatchObject(rest);
  expect(sequential.map((_, i) => entry(theme.sequential, i))).toEqual(sequential);
  for (const [count, colours] of Object.entries(heads)) {
    expect(colours.map((_, head) => theme.head(head, Number(count)))).toEqual(colours);
  }
});
