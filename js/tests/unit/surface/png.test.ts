import { crc32, inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { fewColours } from "../../../src/surface/palette.js";
import { base64, encodePalettePng, encodePng } from "../../../src/surface/png.js";
import type { Pixels } from "../../../src/surface/surface.js";

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

/** The chunks of a PNG file, each with its checksum verified. */
function chunksOf(file: Uint8Array): Chunk[] {
  const bytes = Buffer.from(file);
  expect([...bytes.subarray(0, 8)]).toEqual([137, 80, 78, 71, 13, 10, 26, 10]);
  const chunks: Chunk[] = [];
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const body = bytes.subarray(at + 4, at + 8 + length);
    expect(bytes.readUInt32BE(at + 8 + length)).toBe(crc32(body));
    chunks.push({ type: body.toString("latin1", 0, 4), data: body.subarray(4) });
    at += 12 + length;
  }
  return chunks;
}

/** Pixels of an 8-bit PNG whose rows are unfiltered or filtered by "Sub". */
function decode(file: Uint8Array): { width: number; height: number; rgba: number[] } {
  const chunks = chunksOf(file);
  expect(chunks.map(({ type }) => type)).toEqual(["IHDR", "IDAT", "IEND"]);
  const [header, data] = chunks as [Chunk, Chunk];
  const [width, height] = [header.data.readUInt32BE(0), header.data.readUInt32BE(4)];
  const channels = header.data[9] === 6 ? 4 : 3;
  const raw = inflateSync(data.data);
  expect(raw.length).toBe(height * (1 + width * channels));
  const rgba: number[] = [];
  for (let y = 0; y < height; y++) {
    const start = y * (1 + width * channels);
    const row = Array.from(raw.subarray(start + 1, start + 1 + width * channels));
    expect(raw[start]).toBeLessThan(2);
    if (raw[start] === 1) {
      for (let i = channels; i < row.length; i++) {
        row[i] = ((row[i] as number) + (row[i - channels] as number)) & 255;
      }
    }
    for (let x = 0; x < width; x++) {
      rgba.push(...row.slice(x * channels, x * channels + 3));
      rgba.push(channels === 4 ? (row[x * 4 + 3] as number) : 255);
    }
  }
  return { width, height, rgba };
}

function noise(width: number, height: number, alpha: (i: number) => number): Pixels {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < data.length; i++) data[i] = i % 4 === 3 ? alpha(i) : (i * 7919) % 256;
  return { width, height, data };
}

test.each([
  ["opaque", noise(7, 5, () => 255)],
  ["translucent", noise(5, 7, (i) => (i * 31) % 256)],
  ["one pixel", noise(1, 1, () => 3)],
])("a decoder reads back exactly what was encoded: %s", (_, pixels) => {
  const { width, height, rgba } = decode(encodePng(pixels));
  expect([width, height]).toEqual([pixels.width, pixels.height]);
  expect(rgba).toEqual(Array.from(pixels.data));
});

test("opaque pictures carry no alpha channel", () => {
  const [header] = chunksOf(encodePng(noise(7, 5, () => 255)));
  expect(header?.data[9]).toBe(2);
});

test.each([0, 1, 2, 3, 4, 5, 256])("base64 of %d bytes is what everybody reads", (length) => {
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + 200) % 256);
  expect(base64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
});

test("a picture that is stored holds the same pixels", () => {
  const pixels = noise(7, 5, (i) => i % 256);
  expect(decode(encodePng(pixels, 0))).toEqual(decode(encodePng(pixels)));
});

/** Colours of a PNG with a palette, unfiltered. */
function decodePalette(file: Uint8Array): number[][] {
  const chunks = chunksOf(file);
  expect(chunks.map(({ type }) => type)).toEqual(["IHDR", "PLTE", "IDAT", "IEND"]);
  const [header, palette, data] = chunks as [Chunk, Chunk, Chunk];
  const [width, height] = [header.data.readUInt32BE(0), header.data.readUInt32BE(4)];
  const bits = header.data[8] as number;
  expect(header.data[9]).toBe(3);
  expect(palette.data.length / 3).toBeLessThanOrEqual(1 << bits);
  const raw = inflateSync(data.data);
  const stride = 1 + Math.ceil((width * bits) / 8);
  expect(raw.length).toBe(height * stride);
  return Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    const byte = raw[y * stride + 1 + Math.floor((x * bits) / 8)] as number;
    const place = bits === 8 ? byte : x % 2 === 0 ? byte >> 4 : byte & 15;
    return [...palette.data.subarray(3 * place, 3 * place + 3)];
  });
}

test.each([
  [7, 16],
  [8, 16],
  [7, 64],
])("few colours are kept exactly: %i wide, at most %i", (width, most) => {
  const colours = [
    [255, 255, 255],
    [0, 0, 0],
    [200, 30, 90],
    [10, 140, 250],
  ];
  const own = Array.from({ length: 5 * width }, (_, i) => colours[(i * i) % 4] as number[]);
  const data = Uint8ClampedArray.from(own.flatMap((colour) => [...colour, 255]));
  const file = encodePalettePng(fewColours({ width, height: 5, data }, most));
  expect(decodePalette(file)).toEqual(own);
});

test("of many colours each is close to its own, and the first pixel's is kept", () => {
  const own = Array.from({ length: 4096 }, (_, i) => [i >> 4, 255 - (i >> 4), (i >> 4) / 2]);
  own[0] = [17, 20, 24];
  const data = Uint8ClampedArray.from(own.flatMap((colour) => [...colour, 255]));
  const found = decodePalette(encodePalettePng(fewColours({ width: 64, height: 64, data }, 64)));
  expect(found[0]).toEqual([17, 20, 24]);
  const away = found.map((colour, i) =>
    Math.max(...colour.map((shade, c) => Math.abs(shade - (own[i]?.[c] as number)))),
  );
  expect(Math.max(...away)).toBeLessThanOrEqual(16);
});
