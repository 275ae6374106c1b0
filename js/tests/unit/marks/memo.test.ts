import { expect, test } from "vitest";
import { memo } from "../../../src/marks/memo.js";

const picture = (bytes: number) => ({ width: 1, height: 1, data: new Uint8ClampedArray(bytes) });

test("what was made is kept, for its owner alone", () => {
  let made = 0;
  const make = () => ++made;
  const [one, other] = [{}, {}];
  expect([memo(one, "a", make), memo(one, "a", make), memo(other, "a", make)]).toEqual([1, 1, 2]);
});

test("pictures are kept by their size: a long scroll does not fill the memory", () => {
  const owner = {};
  const kept = new Set<number>();
  for (let i = 0; i < 30; i++) memo(owner, `picture ${i}`, () => picture(8 << 20));
  for (let i = 29; i >= 0; i--) {
    let again = false;
    memo(owner, `picture ${i}`, () => {
      again = true;
      return picture(0);
    });
    if (!again) kept.add(i);
  }
  expect([...kept]).toEqual([29, 28, 27, 26, 25, 24]);
});

test("a picture larger than all there is room for is still kept once", () => {
  const owner = {};
  let made = 0;
  const make = () => {
    made++;
    return picture(100 << 20);
  };
  memo(owner, "large", make);
  memo(owner, "large", make);
  expect(made).toBe(1);
});
