import { expect, test } from "vitest";
import { labelFill } from "../../../../src/marks/text/tokens.js";
import { themes } from "../../../../src/styles/theme.js";

test.each(Object.values(themes))("what is no text of a token is paler than tokens", (theme) => {
  expect(labelFill({ label: "3", kind: "token", text: "3" }, theme)).toBe(theme.text);
  expect(labelFill({ label: "3", kind: "word", text: "3" }, theme)).toBe(theme.text);
  expect(labelFill({ label: "r0 c3", kind: "patch" }, theme)).toBe(theme.text);
  expect(labelFill({ label: "[CLS]", kind: "special", text: "[CLS]" }, theme)).toBe(theme.special);
  expect(labelFill({ label: "#3", kind: "latent" }, theme)).toBe(theme.muted);
  expect(labelFill({ label: "464", kind: "token" }, theme)).toBe(theme.muted);
});
