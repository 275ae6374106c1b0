// Bytes of a block, or base64 text of them, to float32.

import type { Block } from "./generated.js";

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Uint8Array(128);
for (let i = 0; i < BASE64.length; i++) VALUES[BASE64.charCodeAt(i)] = i;

/** Written out because the headless engine has neither `atob` nor `TextDecoder`. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  for (let i = 0; i < text.length; i += 4) {
    let bits = 0;
    for (let j = 0; j < 4; j++)
      bits = (bits << 6) | (VALUES[text.charCodeAt(i + j) & 127] as number);
    bytes[at++] = bits >> 16;
    if (at < bytes.length) bytes[at++] = bits >> 8;
    if (at < bytes.length) bytes[at++] = bits;
  }
  return bytes;
}

function float16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024);
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

export interface Decoded {
  readonly shape: readonly number[];
  readonly data: Float32Array;
  /** The numbers came in 256 shades. */
  readonly rounded?: true;
}

/**
 * A block's numbers as float32. The bytes may start anywhere in a larger buffer (a comm message
 * carries several), so `byteOffset` is honoured and unaligned data is copied. uint8 stands for
 * 255·√weight.
 *
 * @throws RangeError when the bytes do not fit the shape.
 */
export function decodeBlock(block: Block, view: ArrayBufferView): Decoded {
  const count = block.shape.reduce((product, size) => product * size, 1);
  const width = { uint8: 1, float16: 2, float32: 4 }[block.dtype];
  if (view.byteLength !== count * width) {
    throw new RangeError(
      `A ${block.dtype} block of shape [${block.shape.join(", ")}] needs ${count * width} bytes, got ${view.byteLength}.`,
    );
  }
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  if (block.dtype === "uint8") {
    const data = Float32Array.from(bytes, (v) => (v / 255) ** 2);
    return { shape: block.shape, data, rounded: true };
  }
  const aligned = view.byteOffset % width === 0 ? bytes : bytes.slice();
  if (block.dtype === "float32") {
    return {
      shape: block.shape,
      data: new Float32Array(aligned.buffer, aligned.byteOffset, count),
    };
  }
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, count);
  return { shape: block.shape, data: Float32Array.from(halves, float16) };
}
