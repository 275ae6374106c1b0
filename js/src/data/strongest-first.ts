// The order of numbers from large to small in which NaN, which is no number, comes last.

/** Compares for `sort`: the larger first, NaN last; equal ones stay as they are. */
export function strongestFirst(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  // Never ∞ − ∞.
  return a === b ? 0 : b - a;
}

/** The index among these of the largest value, the first of equals; -1 where there is none. */
export function strongestOf(indices: Iterable<number>, values: ArrayLike<number>): number {
  let best = -1;
  for (const index of indices) {
    if (best < 0 || strongestFirst(values[index] as number, values[best] as number) < 0)
      best = index;
  }
  return best;
}
