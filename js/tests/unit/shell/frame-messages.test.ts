import { expect, test } from "vitest";
import {
  copyMessage,
  heightIn,
  MOST_HEIGHT,
  pageMessage,
  readPageMessage,
  streamlitMessage,
} from "../../../src/shell/frame-messages.js";

test("a copy's height comes as it was sent, in whole pixels", () => {
  expect(heightIn(copyMessage(412.2))).toBe(413);
  expect(heightIn(structuredClone(copyMessage(1)))).toBe(1);
});

test("a copy that is higher than any may be asks for the most there is", () => {
  expect(heightIn(copyMessage(1e6))).toBe(MOST_HEIGHT);
});

test("a copy that is hidden has no height", () => {
  expect(heightIn(copyMessage(0))).toBeNull();
});

test.each([
  ["no object", [null, undefined, 3, "400", true, [], [400]]],
  ["another sender", [{}, { height: 400 }, { attnwidget: "page", height: 400 }]],
  ["no height", [{ attnwidget: "copy" }, { attnwidget: "copy", dark: true }]],
  ["more than a height", [{ attnwidget: "copy", height: 400, width: 1 }]],
  [
    "no such height",
    [
      0,
      -1,
      0.5,
      MOST_HEIGHT + 1,
      1e300,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      "400",
      null,
      [400],
    ].map((height) => ({ attnwidget: "copy", height })),
  ],
])("%s is no message of a copy", (_, all) => {
  for (const data of all) expect(heightIn(data)).toBeNull();
});

test("Streamlit is told whole pixels, and no more than a copy may have", () => {
  const type = "streamlit:iframe:setSize";
  expect(streamlitMessage(704, 1138.4)).toEqual({ type, width: 704, height: 1139 });
  expect(streamlitMessage(704, 1e6)).toEqual({ type, width: 704, height: MOST_HEIGHT });
});

test("what the page says comes as it was sent", () => {
  for (const message of [pageMessage(true, null), pageMessage(false, 640)]) {
    expect(readPageMessage(structuredClone(message))).toEqual(message);
  }
});

test.each([
  null,
  "dark",
  { dark: true, height: 1 },
  { attnwidget: "copy", height: 400 },
  { attnwidget: "page", dark: "true", height: null },
  { attnwidget: "page", dark: true },
  { attnwidget: "page", dark: true, height: "1px" },
  { attnwidget: "page", dark: true, height: Number.NaN },
  { attnwidget: "page", dark: true, height: null, html: "" },
])("%j is no message of the page", (data) => {
  expect(readPageMessage(data)).toBeNull();
});
