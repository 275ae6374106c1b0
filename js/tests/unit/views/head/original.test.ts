import { expect, test } from "vitest";
import type { Scene } from "../../../../src/scene/scene.js";
import type { Rect } from "../../../../src/surface/surface.js";
import { headView } from "../../../../src/views/head/view.js";
import { originalRect } from "../../../../src/views/image/original.js";
import type { Given } from "../../../support/attention-scene.js";
import { chat, vit, whisper } from "../../../support/media-scenes.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const FRAME = { width: 460, height: 420, scroll: 0 };

function draw(scene: Scene, frame = FRAME): RecordingSurface {
  const surface = new RecordingSurface(frame.width, frame.height);
  headView.draw(surface, scene, frame);
  expect(surface.broken).toEqual([]);
  return surface;
}

const pictures = (surface: RecordingSurface) =>
  surface.calls.filter(({ kind }) => kind === "image");

/** The pointer in the middle of a patch of the first picture. */
function over(make: (given: Given) => Scene, row: number, column: number, frame = FRAME) {
  const [under] = pictures(draw(make({}), frame));
  const [left = 0, top = 0, width = 0, height = 0] = under?.numbers ?? [];
  const [x, y] = [left + ((column + 0.5) * width) / 3, top + ((row + 0.5) * height) / 2];
  const hit = headView.hit(make({}), frame, x, y) ?? {};
  const scene = make({ hover: { ...hit, source: "head", x, y } });
  return { scene, x, y };
}

test("over a picture its own colours are shown, and nowhere else", () => {
  for (const make of [chat, vit]) {
    const { scene, x, y } = over(make, 0, 2);
    const { calls } = draw(scene);
    const own = calls.filter(({ group, kind }) => group === "original" && kind === "image");
    expect(own).toHaveLength(1);
    expect(own[0]?.pixels).toBe(scene.media[0]?.pixels.light);
    // Never under the pointer.
    const [left = 0, top = 0, width = 0, height = 0] = own[0]?.numbers ?? [];
    expect(x > left && x < left + width && y > top && y < top + height).toBe(false);
    // The patch is found again in it: a bright line in a dark one.
    const outlines = calls.filter(
      ({ group, kind, style }) =>
        group === "original" && kind === "rect" && style?.stroke === "#ffffff",
    );
    expect(outlines).toHaveLength(1);
    const [at = 0] = outlines[0]?.numbers ?? [];
    expect(at).toBeGreaterThan(left + width / 2);
  }
  const bare = draw(chat({}));
  expect(bare.calls.filter(({ group }) => group === "original")).toEqual([]);
  const elsewhere = draw(chat({ hover: { source: "neuron", key: 2, x: 200, y: 100 } }));
  expect(elsewhere.calls.filter(({ group }) => group === "original")).toEqual([]);
});

test("a sound has none: nothing lies over its picture but curves", () => {
  const sound = draw(whisper({ hover: { source: "head", key: 1, x: 200, y: 80 } }));
  expect(sound.calls.filter(({ group }) => group === "original")).toEqual([]);
});

test("beside the picture where there is room, else in the far corner, else not at all", () => {
  const tile = (rect: Rect) => ({ medium: 0, series: 0, titleTop: rect.y, rect });
  const rect = { x: 100, y: 20, width: 300, height: 200 };
  const at = { x: 120, y: 30 };
  expect(originalRect(tile(rect), [], 700, at)?.x).toBeGreaterThanOrEqual(400);
  expect(originalRect(tile(rect), [], 420, at)).toMatchObject({ x: 8, width: 84 });
  // Another head's picture stands there.
  const next = tile({ ...rect, x: 410 });
  const corner = originalRect(tile(rect), [next], 720, at);
  expect(corner).toEqual({ x: 292, y: 148, width: 108, height: 72 });
  const other = originalRect(tile(rect), [next], 720, { x: 390, y: 210 });
  expect(other).toEqual({ x: 100, y: 20, width: 108, height: 72 });
  const small = { x: 0, y: 0, width: 100, height: 80 };
  expect(originalRect(tile(small), [], 110, { x: 10, y: 10 })).toBeNull();
});
