// `memo`: results kept for an owner and a key, within a budget of bytes.

/** Drawings kept per owner: a screen of tiles, since a resize or a scroll makes new ones all the time. */
const CAPACITY = 192;
/** A screen of pictures at two device pixels is about 15 MB, and the canvas keeps a copy of each. */
const CAPACITY_BYTES = 48 << 20;

/** What a value holds in pixels; anything else is small beside them. */
function bytesOf(value: unknown): number {
  // What is made when it is read takes no room.
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "data")) return 0;
  return (value as { data?: Partial<ArrayBufferView> }).data?.byteLength ?? 0;
}

const kept = new WeakMap<object, Map<string, unknown>>();

/** As `memo`, but null stands for what is not here yet: it is made again until it is. */
export function memoReady<T>(owner: object, key: string, make: () => T | null): T | null {
  if (kept.get(owner)?.has(key)) return memo<T | null>(owner, key, make);
  const value = make();
  return value === null ? null : memo(owner, key, () => value);
}

/**
 * What `make` returned for this owner and key before, or makes it. Views are pure and are asked to
 * draw again on every move of the pointer: what is costly and did not change is not made again. The
 * key must name everything `make` depends on; the owner's end is the end of what is kept.
 */
export function memo<T>(owner: object, key: string, make: () => T): T {
  let known = kept.get(owner);
  if (!known) {
    known = new Map();
    kept.set(owner, known);
  }
  if (known.has(key)) {
    const value = known.get(key) as T;
    known.delete(key);
    known.set(key, value);
    return value;
  }
  const value = make();
  known.set(key, value);
  let bytes = 0;
  for (const each of known.values()) bytes += bytesOf(each);
  for (const [oldest, each] of known) {
    if (oldest === key || (known.size <= CAPACITY && bytes <= CAPACITY_BYTES)) break;
    known.delete(oldest);
    bytes -= bytesOf(each);
  }
  return value;
}
