// "0–20, 40": lists of numbers to text and back.

/** "0–20, 40": numbers in rising order, runs of them as ranges. */
export function rangesText(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(", ");
}

/**
 * Which of `known` a text such as "0–20, 40" names: null for none in particular, undefined where it
 * says nothing that is there.
 */
export function parseRanges(
  text: string,
  known: readonly number[],
): readonly number[] | null | undefined {
  if (text.trim() === "") return null;
  const named = new Set<number>();
  for (const part of text.split(",")) {
    const found = /^\s*(\d+)(?:\s*[-–:]\s*(\d+))?\s*$/.exec(part);
    if (!found) return undefined;
    const [from, to] = [Number(found[1]), Number(found[2] ?? found[1])];
    for (const number of known) if (number >= from && number <= to) named.add(number);
  }
  const list = known.filter((number) => named.has(number));
  if (list.length === 0) return undefined;
  return list.length === known.length ? null : list;
}
