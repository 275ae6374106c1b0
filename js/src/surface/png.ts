// PNG encoder.

import { zlibSync } from "fflate";
import type { FewColours } from "./palette.js";
import type { Pixels } from "./surface.js";

/**
 * One PNG encoder for every surface: an engine without a DOM has neither `toDataURL` nor `btoa`.
 * Format: https://www.w3.org/TR/png-3/
 */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const RGB = 2;
const PALETTE = 3;
const RGBA = 6;

const crcTable = new Uint32Array(256).map((_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = (crcTable[(c ^ byte) & 255] as number) ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** Length, type, data, checksum of type and data. */
function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

function isOpaque(data: Uint8ClampedArray): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return false;
  return true;
}

/**
 * Rows with a leading filter byte each: "Sub", which halves smooth pictures and costs flat ones nothing;
 * "None" where nothing is compressed.
 */
function filtered({ width, height, data }: Pixels, channels: number, sub: boolean): Uint8Array {
  const stride = 1 + width * channels;
  const rows = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    rows[y * stride] = sub ? 1 : 0;
    for (let x = 0; x < width; x++) {
      const from = 4 * (y * width + x);
      const to = y * stride + 1 + x * channels;
      for (let c = 0; c < channels; c++) {
        rows[to + c] =
          (data[from + c] as number) - (sub && x > 0 ? (data[from + c - 4] as number) : 0);
      }
    }
  }
  return rows;
}

/** How hard to compress: 0 stores, which is fast. */
type Level = 0 | 6;

/** A PNG file, 8 bits a channel; without an alpha channel where every pixel is opaque. */
export function encodePng(pixels: Pixels, level: Level = 6): Uint8Array {
  const opaque = isOpaque(pixels.data);
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, pixels.width);
  view.setUint32(4, pixels.height);
  header.set([8, opaque ? RGB : RGBA], 8);
  return file([
    chunk("IHDR", header),
    chunk("IDAT", zlibSync(filtered(pixels, opaque ? 3 : 4, level > 0), { level })),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

/** A PNG file of few colours; up to 16 of them take half a byte each. */
export function encodePalettePng({ width, height, palette, places }: FewColours): Uint8Array {
  const small = palette.length <= 3 * 16;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([small ? 4 : 8, PALETTE], 8);
  const stride = 1 + (small ? Math.ceil(width / 2) : width);
  const rows = new Uint8Array(height * stride);
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0; x < width; x++, from++) {
      const place = places[from] as number;
      const to = y * stride + 1 + (small ? x >> 1 : x);
      rows[to] = small && x % 2 === 0 ? place << 4 : small ? (rows[to] as number) | place : place;
    }
  }
  return file([
    chunk("IHDR", header),
    chunk("PLTE", palette),
    chunk("IDAT", zlibSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function file(chunks: readonly Uint8Array[]): Uint8Array {
  const parts = [Uint8Array.from(SIGNATURE), ...chunks];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const codes = Uint8Array.from(ALPHABET, (char) => char.charCodeAt(0));
const PADDING = "=".charCodeAt(0);
/** Characters that are made into text at once: arguments of one call. */
const PIECE = 1 << 13;

export function base64(bytes: Uint8Array): string {
  const text = new Uint8Array(4 * Math.ceil(bytes.length / 3));
  for (let i = 0, to = 0; i < bytes.length; i += 3, to += 4) {
    const n = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let c = 0; c < 4; c++) text[to + c] = codes[(n >> (18 - 6 * c)) & 63] as number;
  }
  const missing = (3 - (bytes.length % 3)) % 3;
  text.fill(PADDING, text.length - missing);
  const parts: string[] = [];
  for (let i = 0; i < text.length; i += PIECE) {
    // Not spread, which takes four times as long. It reads any array.
    const piece = text.subarray(i, i + PIECE) as unknown as number[];
    parts.push(String.fromCharCode.apply(null, piece));
  }
  return parts.join("");
}

export function pngDataUri(pixels: Pixels, level?: Level): string {
  return `data:image/png;base64,${base64(encodePng(pixels, level))}`;
}
