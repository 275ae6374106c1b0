import { expect, test } from "vitest";
import { drawFrequencyAxis } from "../../../../src/marks/matrix/image-heat.js";
import { themes } from "../../../../src/styles/theme.js";
import { headView } from "../../../../src/views/head/view.js";
import { whisper } from "../../../support/media-scenes.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const RECT = { x: 40, y: 10, width: 300, height: 160 };

function ticks(middles: readonly number[], rect = RECT) {
  const surface = new RecordingSurface(400, 200);
  drawFrequencyAxis(surface, rect, middles, themes.light);
  expect(surface.broken).toEqual([]);
  const lines = surface.calls.filter(({ kind }) => kind === "line");
  return surface.texts.map((text, n) => ({ text, y: lines[n]?.numbers[1] as number }));
}

test("even bands: each tick is where its frequency is, and says once what it counts", () => {
  // 64 bands from 0 to 8 kHz.
  const found = ticks(Array.from({ length: 64 }, (_, band) => (band + 0.5) * 125));
  expect(found.map(({ text }) => text)).toEqual(["8 kHz", "6", "4", "3", "2", "1", "0.2"]);
  for (const { text, y } of found) {
    const share = Number.parseFloat(text) / 8;
    expect(y).toBeCloseTo(RECT.y + RECT.height * (1 - share), 6);
  }
});

test("bands of a mel scale: low frequencies have more of the height", () => {
  const mel = (hertz: number) => 2595 * Math.log10(1 + hertz / 700);
  const hertz = (value: number) => 700 * (10 ** (value / 2595) - 1);
  const middles = Array.from({ length: 40 }, (_, band) => hertz(((band + 0.5) / 40) * mel(8000)));
  const found = ticks(middles, { ...RECT, height: 400 });
  const at = (text: string) => found.find((tick) => tick.text === text)?.y as number;
  expect(at("1")).toBeCloseTo(RECT.y + 400 * (1 - mel(1000) / mel(8000)), 0);
  for (const [n, { y }] of found.slice(1).entries()) {
    expect(y - (found[n]?.y as number)).toBeGreaterThanOrEqual(16);
  }
});

test("a sound whose bands are known has the axis, with room for it beside the picture", () => {
  const bare = whisper();
  const known = {
    ...bare,
    media: bare.media.map((medium) =>
      medium.kind === "image" ? medium : { ...medium, frequencies: [1000, 2000, 3000] },
    ),
  };
  const draw = (scene: typeof bare) => {
    const surface = new RecordingSurface(460, 420);
    headView.draw(surface, scene, { width: 460, height: 420, scroll: 0 });
    expect(surface.broken).toEqual([]);
    return surface;
  };
  expect(draw(bare).texts.join(" ")).not.toContain("kHz");
  const { texts, calls } = draw(known);
  expect(texts).toContain("3 kHz");
  const label = calls.find(({ text }) => text === "3 kHz");
  const picture = calls.find(({ kind }) => kind === "image");
  expect(label?.numbers[0]).toBeLessThan(picture?.numbers[0] as number);
  expect(picture?.numbers[0]).toBeGreaterThan(30);
});
