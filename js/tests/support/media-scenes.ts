import { type Medium, readMedia } from "../../src/data/media.js";
import type { Position } from "../../src/protocol/generated.js";
import type { Scene } from "../../src/scene/scene.js";
import { attentionScene } from "./attention-scene.js";

type Given = Parameters<typeof attentionScene>[0];
type Made = ReturnType<typeof attentionScene>;

export function media(): readonly Medium[] {
  const image = Uint8Array.from({ length: 3 * 6 * 4 }, (_, i) => (i * 5) % 256);
  const sound = Uint8Array.from({ length: 10 * 3 }, (_, i) => (i * 9) % 256);
  return readMedia(
    [
      { kind: "image", width: 6, height: 4, offset: 0, note: "colours rescaled" },
      { kind: "spectrogram", width: 10, height: 3, offset: image.length, seconds: 2 },
    ],
    Uint8Array.from([...image, ...sound]),
  );
}

export const token = (label: string): Position => ({
  label,
  kind: label.startsWith("[") ? "special" : "token",
});

/** Two rows of three patches. */
export const patches: readonly Position[] = Array.from({ length: 6 }, (_, i) => ({
  label: `r${Math.floor(i / 3)} c${i % 3}`,
  kind: "patch" as const,
  row: Math.floor(i / 3),
  column: i % 3,
  grid: [2, 3] as const,
  medium: 0,
}));

export const frames: readonly Position[] = Array.from({ length: 5 }, (_, i) => ({
  label: `${(i * 0.4).toFixed(2)} s`,
  kind: "frame" as const,
  time: i * 0.4,
  medium: 1,
}));

/** A scene whose axes are these positions, drawn over what they lie in. */
export function over(
  queries: readonly Position[],
  keys: readonly Position[],
  given: Given = {},
): Scene & Pick<Made, "heads"> {
  const labels = (positions: readonly Position[]) => positions.map(({ label }) => label);
  const scene = attentionScene({
    queries: labels(queries),
    keys: labels(keys),
    ...given,
    state: { form: "image", ...given?.state },
  });
  const same = queries === keys;
  const stream = { ...scene.stream, key_positions: same ? 0 : 1 };
  return { ...scene, stream, queries, keys, media: media() };
}

export const vit = (given: Given = {}) => {
  const axis = [token("[CLS]"), ...patches];
  return over(axis, axis, given);
};

export const chat = (given: Given = {}) => {
  const axis = [token("<bos>"), ...patches, token("what"), token("is"), token("this")];
  return over(axis, axis, given);
};

export const whisper = (given: Given = {}) => over([token("a"), token("b")], frames, given);
