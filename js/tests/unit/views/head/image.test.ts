import { expect, test } from "vitest";
import { readMedia } from "../../../../src/data/media.js";
import { HEAT, heatPixels } from "../../../../src/marks/matrix/image-heat.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { click } from "../../../../src/state/actions.js";
import { toOklab } from "../../../../src/styles/colours.js";
import { SvgSurface } from "../../../../src/surface/svg.js";
import { headView } from "../../../../src/views/head/view.js";
import {
  axisInMedia,
  mediaLayoutOf,
  overMedia,
} from "../../../../src/views/image/media-positions.js";
import type { Frame } from "../../../../src/views/view.js";
import {
  chat,
  frames,
  media,
  over,
  patches,
  token,
  vit,
  whisper,
} from "../../../support/media-scenes.js";
import type { Call } from "../../../support/recording-surface.js";
import { draw } from "../../../support/token-scenes.js";

const FRAME: Frame = { width: 460, height: 420, scroll: 0 };
const imagesOf = (scene: Scene, frame = FRAME) =>
  draw(scene, frame).calls.filter(({ kind, group }) => kind === "image" && group === "image");

/** The picture under the heat, and the heat. */
function layers(scene: Scene, frame = FRAME): readonly [Call, Call][] {
  const calls = imagesOf(scene, frame);
  return Array.from({ length: calls.length / 2 }, (_, n) => [
    calls[2 * n] as Call,
    calls[2 * n + 1] as Call,
  ]);
}

function middle({ numbers }: Call, row: number, column: number): [number, number] {
  const [x = 0, y = 0, width = 0, height = 0] = numbers;
  return [x + ((column + 0.5) * width) / 3, y + ((row + 0.5) * height) / 2];
}

test("the heat's colours get lighter all the way, without a jump", () => {
  let before = -1;
  for (let i = 0; i < 256; i++) {
    const rgb = [HEAT[3 * i], HEAT[3 * i + 1], HEAT[3 * i + 2]] as [number, number, number];
    const [lightness] = toOklab(rgb);
    expect(lightness).toBeGreaterThan(before - 0.004);
    if (i > 0) expect(lightness - before).toBeLessThan(0.02);
    before = lightness;
  }
});

test("heat is one translucent pixel per patch, and none where there is no number", () => {
  const grid = { rows: 1, columns: 4, at: [2, 0, -1, 1] };
  const { width, height, data } = heatPixels(grid, [0.2, Number.NaN, 0.8], 0.8);
  expect([width, height]).toEqual([4, 1]);
  const alpha = [0, 1, 2, 3].map((i) => data[4 * i + 3]);
  expect(alpha[2]).toBe(0);
  expect(alpha[3]).toBe(0);
  expect(alpha[0]).toBeGreaterThan(100);
  expect(alpha[0]).toBeLessThan(220);
  // A quarter of the most is half way up the scale.
  expect(Array.from(data.subarray(4, 7))).toEqual(Array.from(HEAT.subarray(3 * 128, 3 * 128 + 3)));
});

test("patches lie where their row and column say, words beside them", () => {
  const scene = vit();
  const { media: inside, rest } = axisInMedia(scene, scene.keys);
  expect(rest).toEqual([0]);
  expect(Array.from(inside.get(0)?.at ?? [])).toEqual([1, 2, 3, 4, 5, 6]);
  expect(mediaLayoutOf(scene)).toMatchObject({
    over: "key",
    kind: "image",
    same: true,
    asks: true,
  });
  expect(mediaLayoutOf(chat())).toMatchObject({ over: "key", asks: false });
  expect(mediaLayoutOf(whisper())).toMatchObject({ over: "key", kind: "sound", same: false });
  expect(overMedia(over([token("a")], [token("b")]))).toBe(null);
});

test("a query's weights are the heat, patch by patch; the patch that asks is outlined", () => {
  const scene = vit({ state: { query: 3, heads: [1] } });
  const [[picture, heat]] = layers(scene) as [[Call, Call]];
  expect(picture.numbers).toEqual(heat.numbers);
  expect(picture.numbers[2] as number).toBeCloseTo(1.5 * (picture.numbers[3] as number), 0);
  const row = scene.heads(0, 1).weights.row(3);
  const inside = { rows: 2, columns: 3, at: [1, 2, 3, 4, 5, 6] };
  const most = Math.max(...row.slice(1));
  expect(heat.pixels).toEqual(heatPixels(inside, row, most));
  const outlines = draw(scene, FRAME).calls.filter(
    ({ kind, style }) => kind === "rect" && style?.stroke === "#2ee6e6",
  );
  const [x, y] = middle(picture, 0, 2);
  expect(outlines.length).toBe(1);
  const [left = 0, top = 0, width = 0, height = 0] = outlines[0]?.numbers ?? [];
  expect([left + width / 2, top + height / 2]).toEqual([
    expect.closeTo(x, 3),
    expect.closeTo(y, 3),
  ]);
});

test("with nothing chosen it is the mean over all queries, and says so", () => {
  const scene = vit();
  const [[, heat]] = layers(scene) as [[Call, Call]];
  const mean = scene.blocks.mean(0, 0) as Float32Array;
  const { weights } = scene.heads(0, 0);
  const own = Array.from({ length: 7 }, (_, q) => weights.row(q)[4] as number);
  expect(mean[4]).toBeCloseTo(own.reduce((sum, w) => sum + w) / 7, 6);
  const inside = { rows: 2, columns: 3, at: [1, 2, 3, 4, 5, 6] };
  expect(heat.pixels).toEqual(heatPixels(inside, mean, Math.max(...mean.slice(1))));
  expect(draw(scene, FRAME).texts).toContain("mean over 7 queries");
});

test("each head has a picture of its own, on one scale", () => {
  const scene = vit({ state: { heads: [2, 0], query: 0 } });
  const pairs = layers(scene);
  expect(pairs.length).toBe(2);
  const rows = [2, 0].map((head) => scene.heads(0, head).weights.row(0));
  const most = Math.max(...rows.flatMap((row) => [...row.slice(1)]));
  const inside = { rows: 2, columns: 3, at: [1, 2, 3, 4, 5, 6] };
  pairs.forEach(([, heat], n) => {
    expect(heat.pixels).toEqual(heatPixels(inside, rows[n] as Float32Array, most));
  });
  expect(draw(scene, FRAME).texts).toEqual(expect.arrayContaining(["head 2", "head 0"]));
});

test("in a vision model a patch asks; once one is pinned, pointing reads and clicking asks anew", () => {
  const scene = vit();
  const [[picture]] = layers(scene) as [[Call, Call]];
  const at = middle(picture, 1, 0);
  expect(headView.hit(scene, FRAME, ...at)).toEqual({ query: 4 });
  const pinned = vit({ state: { query: 2 } });
  const hit = headView.hit(pinned, FRAME, ...at);
  expect(hit).toEqual({ key: 4, pin: { query: 4 } });
  expect(click(pinned.state, "head", hit ?? {}, false)).toEqual({ queries: [4] });
  const own = headView.hit(pinned, FRAME, ...middle(picture, 0, 1));
  expect(click(pinned.state, "head", own ?? {}, false)).toEqual({ queries: [] });
});

test("beside text a patch is what tokens look at: they are shaded by that", () => {
  const scene = chat({ hover: { source: "head", key: 3 }, state: { heads: [1] } });
  const [[picture]] = layers(scene) as [[Call, Call]];
  expect(headView.hit(scene, FRAME, ...middle(picture, 0, 2))).toEqual({ key: 3 });
  const texts = draw(scene, FRAME).texts;
  const column = [0, 7, 8, 9].map((q) => scene.heads(0, 1).weights.row(q)[3] as number);
  const most = Math.max(...column).toFixed(3);
  expect(texts).toContain(`tokens: their weight on row 0, column 2, up to ${most}`);
});

test("every token beside the picture answers to the pointer", () => {
  const scene = chat();
  const { calls } = draw(scene, FRAME);
  for (const [label, query] of [
    ["<bos>", 0],
    ["what", 7],
    ["this", 9],
  ] as const) {
    const [x = 0, y = 0] = calls.find(({ text }) => text === label)?.numbers ?? [];
    expect(headView.hit(scene, FRAME, x, y)).toEqual({ query });
  }
});

test("keys that lie in no picture stand in a list of their own beside the queries", () => {
  const scene = over([token("a"), token("b")], [token("[CLS]"), ...patches]);
  const { calls, texts } = draw(scene, FRAME);
  expect(texts).toEqual(expect.arrayContaining(["queries", "keys"]));
  const [x = 0, y = 0] = calls.find(({ text }) => text === "[CLS]")?.numbers ?? [];
  expect(headView.hit(scene, FRAME, x, y)).toEqual({ key: 0 });
});

test("queries over a picture: the picture shows who looks at the chosen key", () => {
  const scene = over(patches, [token("a"), token("b")], { state: { key: 1 } });
  expect(mediaLayoutOf(scene).over).toBe("query");
  const [[picture, heat]] = layers(scene) as [[Call, Call]];
  const column = patches.map((_, q) => scene.heads(0, 0).weights.row(q)[1] as number);
  const inside = { rows: 2, columns: 3, at: [0, 1, 2, 3, 4, 5] };
  expect(heat.pixels).toEqual(heatPixels(inside, column, Math.max(...column)));
  expect(headView.hit(scene, FRAME, ...middle(picture, 1, 2))).toEqual({ query: 5 });
});

test("a sound has a curve per head over its time, and seconds under it", () => {
  const scene = whisper({ state: { heads: [0, 2], query: 1 } });
  const { calls, texts } = draw(scene, FRAME);
  expect(texts).toEqual(expect.arrayContaining(["0 s", "2.0", "query “b”"]));
  const colours = [0, 2].map((head) => scene.theme.head(head, scene.layer.num_heads));
  const curves = calls.filter(
    ({ kind, style }) => kind === "path" && colours.includes(style?.stroke ?? ""),
  );
  expect(curves.length).toBeGreaterThanOrEqual(2);
  const picture = calls.find(({ kind, group }) => kind === "image" && group === "sound") as Call;
  const [x = 0, y = 0, width = 0, height = 0] = picture.numbers;
  for (const [frame, at] of [
    [0, 0.05],
    [3, 0.7],
    [4, 0.99],
  ] as const) {
    const hit = headView.hit(scene, FRAME, x + at * width, y + height / 2);
    expect(hit).toMatchObject({ key: frame });
  }
});

test("a spectrogram stands with its lowest band below, loud against the page", () => {
  const [, sound] = media();
  const { light, dark } = sound?.pixels ?? {};
  const level = (pixels: typeof light, x: number, y: number) => pixels?.data[4 * (y * 10 + x)];
  // The first band of the bytes is the last row.
  expect(level(dark, 0, 2)).toBe(20);
  expect(level(light, 0, 2)).toBe(250);
  expect(level(dark, 1, 2)).toBeGreaterThan(20);
  expect(level(dark, 9, 0)).toBeGreaterThan(level(dark, 0, 2) as number);
});

test.each([
  [300, 240],
  [420, 380],
  [700, 500],
  [1400, 620],
])("at %i × %i everything is inside the frame and what is too much scrolls", (width, height) => {
  const words = Array.from({ length: 90 }, (_, i) => token(`word${i}`));
  const axis = [...patches, ...words];
  const scene = over(axis, axis, { state: { heads: [0, 1, 2] }, numHeads: 3, numLayers: 1 });
  const content = headView.contentHeight(scene, width, height);
  const frame = { width, height, scroll: 0 };
  for (const call of imagesOf(scene, frame)) {
    const [x = 0, y = 0, w = 0, h = 0] = call.numbers;
    expect(x).toBeGreaterThanOrEqual(0);
    expect(y).toBeGreaterThanOrEqual(0);
    expect(x + w).toBeLessThanOrEqual(width + 1);
    expect(y + h).toBeLessThanOrEqual(height);
    expect(w).toBeGreaterThan(20);
  }
  const end = { ...frame, scroll: Math.max(0, content - height) };
  const last = draw(scene, end).calls.find(({ text }) => text === "word89");
  expect(last?.numbers[1]).toBeLessThan(height);
  expect(headView.hit(scene, end, last?.numbers[0] ?? 0, last?.numbers[1] ?? 0)).toEqual({
    query: 95,
  });
});

test("several pictures stand side by side under each head", () => {
  const second = patches.map((patch) => ({ ...patch, label: `b${patch.label}`, medium: 1 }));
  const scene = over([token("a")], [...patches, ...second], { state: { heads: [0, 1] } });
  const [image] = media();
  const both = { ...scene, media: [image, { ...image, note: "another" }] } as Scene;
  expect(imagesOf(both).length).toBe(8);
  expect(draw(both, FRAME).texts).toEqual(
    expect.arrayContaining(["colours rescaled", "another", "head 1"]),
  );
});

test("stops name what they are, patches and tokens alike", () => {
  const scene = vit({ state: { query: 2 } });
  const stops = headView.stops(scene, FRAME);
  expect(stops.length).toBe(7);
  expect(stops.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^query 0 “\[CLS\]”, layer \d head \d attends most to/),
      "key 5 “r1 c1”",
    ]),
  );
  const large = Array.from({ length: 900 }, (_, i) => ({
    label: `r${i}`,
    kind: "patch" as const,
    row: Math.floor(i / 30),
    column: i % 30,
    grid: [30, 30] as const,
    medium: 0,
  }));
  expect(headView.stops(over([token("a")], large), FRAME).length).toBeLessThan(70);
});

test("what has not come, or cannot, is said and not drawn", () => {
  const waiting = vit({ blocks: "pending" });
  expect(imagesOf(waiting).length).toBe(1);
  expect(draw(vit({ blocks: "failed" }), FRAME).texts.join(" ")).toContain("gone away");
});

test("a picture under several heads is in the figure once", () => {
  const [image] = media();
  const wide = { width: 80, height: 60, data: new Uint8ClampedArray(4 * 80 * 60).fill(9) };
  const scene = vit({ state: { heads: [0, 1, 2] } });
  const pale = { light: wide, dark: wide };
  const medium = { ...image, width: 80, height: 60, pixels: pale, pale };
  const surface = new SvgSurface({ width: 460, height: 420 });
  headView.draw(surface, { ...scene, media: [medium] } as Scene, FRAME);
  const svg = surface.finish();
  expect(svg.match(/<use /g)?.length).toBe(2);
  expect(svg.match(/id="picture"/g)?.length).toBe(1);
});

test("frames without a time share the sound evenly", () => {
  const untimed = frames.map(({ time: _, ...frame }) => frame);
  const scene = over([token("a")], untimed);
  const [inside] = axisInMedia(scene, scene.keys).media.values();
  expect(Array.from(inside?.edges ?? [])).toEqual(
    [0, 0.2, 0.4, 0.6, 0.8, 1].map((v) => expect.closeTo(v)),
  );
});

test("the legend has the colours that heat makes of a picture's white and of its black", () => {
  const scene = vit({ state: { query: 3, heads: [1] } });
  const { calls } = draw(scene, FRAME);
  const bars = calls.filter(({ kind, group }) => kind === "image" && group === "legend");
  const levels = [255, 0].map((level) => {
    const bytes = new Uint8Array(3 * 6 * 4).fill(level);
    const [medium] = readMedia([{ kind: "image", width: 6, height: 4, offset: 0 }], bytes);
    return medium?.pale.light.data[0] as number;
  });
  expect(bars.length).toBe(2);
  for (const weight of [0, 0.09, 0.36, 1]) {
    const { data } = heatPixels({ rows: 1, columns: 1, at: [0] }, [weight], 1);
    const cover = (data[3] as number) / 255;
    const place = 4 * Math.round(255 * Math.sqrt(weight));
    bars.forEach(({ pixels }, n) => {
      for (let c = 0; c < 3; c++) {
        const seen = cover * (data[c] as number) + (1 - cover) * (levels[n] as number);
        expect(Math.abs((pixels?.data[place + c] as number) - seen)).toBeLessThan(1.5);
      }
    });
  }
});

test("the one head of a sound is named, whatever the frame's width", () => {
  for (let width = 300; width < 700; width += 7) {
    const { texts } = draw(whisper({ state: { heads: [0] } }), { ...FRAME, width });
    expect(texts).toContain("head 0");
  }
});
