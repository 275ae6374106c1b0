// Which controls stand in the line, which of them short, and which under ⋯: by their measured widths.

/** How a control is drawn: as it is, short, or under ⋯. */
export type Form = "full" | "short" | "more";

/** A control as far as its place is concerned. */
export interface Fitted {
  readonly name: string;
  readonly rank: number;
  /** Without one it has no short form. */
  readonly shortRank?: number | undefined;
  /** Whether it stands at the end, with what always does, in one piece. */
  readonly end?: boolean;
  /** Pixels, with what stands between it and the one before. */
  readonly full: number;
  readonly short: number;
}

/** How many rows things of these widths take, each as soon as it does not fit into the one before. */
export function rowsOf(widths: readonly number[], available: number): number {
  let [rows, used] = [1, 0];
  for (const width of widths) {
    if (used > 0 && used + width > available) {
      rows++;
      used = 0;
    }
    used += width;
  }
  return rows;
}

function shorter(control: Fitted, form: Form): Form {
  return form === "full" && control.shortRank !== undefined ? "short" : "more";
}

function rankOf(control: Fitted, form: Form): number {
  if (form === "more") return Number.POSITIVE_INFINITY;
  return form === "full" ? control.rank : (control.shortRank ?? control.rank);
}

/**
 * The forms of all controls: the one of the lowest rank gives way, one step at a time, until what is left
 * takes no more than so many rows. Null where those of a rank above `most` would have to.
 *
 * `last` is the width of what always stands at the end.
 */
export function fitting(
  controls: readonly Fitted[],
  {
    available,
    rows,
    last,
    most = Number.POSITIVE_INFINITY,
  }: { available: number; rows: number; last: number; most?: number },
): ReadonlyMap<string, Form> | null {
  const forms = new Map<string, Form>(
    controls.map(({ name, rank }) => [name, rank === 0 ? "more" : "full"]),
  );
  const form = ({ name }: Fitted) => forms.get(name) as Form;
  const width = (control: Fitted) =>
    ({ full: control.full, short: control.short, more: 0 })[form(control)];
  const widths = () => [
    ...controls.filter((each) => !each.end && form(each) !== "more").map(width),
    controls.filter((each) => each.end).reduce((sum, each) => sum + width(each), last),
  ];
  while (rowsOf(widths(), available) > rows) {
    const ranks = controls.map((control) => rankOf(control, form(control)));
    const least = Math.min(...ranks);
    if (least > most) return null;
    // What never gives way has to wrap.
    if (!Number.isFinite(least)) break;
    const next = controls[ranks.indexOf(least)] as Fitted;
    forms.set(next.name, shorter(next, form(next)));
  }
  return forms;
}
