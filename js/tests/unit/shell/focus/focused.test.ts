import { expect, test } from "vitest";
import { focusedBeside } from "../../../../src/shell/focus/focused.js";

test("the focus is that of the tree an element is in, which in a shadow tree the document does not see", () => {
  const button = {} as Element;
  const shadow = { activeElement: button };
  const inside = { getRootNode: () => shadow } as unknown as Element;
  expect(focusedBeside(inside)).toBe(button);
});

test("an element that is on no page has no focus beside it", () => {
  const alone: Element = { getRootNode: () => alone } as unknown as Element;
  expect(focusedBeside(alone)).toBeNull();
});
