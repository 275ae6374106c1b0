// Contexts of a survey as rows of shaded text: the query underlined, the key shaded by the weight of the link.

import { formatWeight } from "../../marks/format.js";
import { sequentialShade } from "../../marks/matrix/shading.js";
import type { Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { entry } from "../../styles/colours.js";
import { inkOn } from "../../styles/ink.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { ellipsize, textWidth, wrapText } from "../../surface/text.js";
import type { Frame, Stop } from "../view.js";
import {
  BOX,
  type Context,
  contextLines,
  contextRule,
  contextsOf,
  contextText,
  hasContexts,
  LINK,
  type Line,
  type Placed,
  ruleTitle,
  scoreOfInputs,
} from "./contexts.js";

const LEFT = 6;
const VALUE = 44;
const LINE = 17;
const SIZE = 11;
const SMALL = 10;
const GAP = 9;
const MOST_LINES = 3;
const SWITCH = 22;
const HEADING = 24;
/** The line that says how query and key are marked. */
const KEY_LINE = 16;
const MARKS = "underlined: query · box: key, shaded by the weight of the link";
const SHADE = sequentialShade();

interface ContextRow {
  readonly context: Context;
  /** Its place in the list. */
  readonly at: number;
  readonly lines: readonly Line[];
  /** From the top of the content. */
  readonly y: number;
  readonly height: number;
}

interface Choice {
  readonly text: string;
  readonly chosen: boolean;
  readonly rect: Rect;
}

export interface ContextPart {
  readonly choices: readonly Choice[];
  readonly rows: readonly ContextRow[];
  /** Lines that say why there is no row. */
  readonly why: readonly string[];
  readonly top: number;
  /** Where the inputs below begin. */
  readonly end: number;
}

/** The rules one may choose between: the score on show, and the strongest links. */
function choicesOf(scene: Scene, top: number): readonly Choice[] {
  const score = scoreOfInputs(scene);
  const rule = contextRule(scene);
  let at = LEFT + textWidth("contexts by ", SIZE);
  return (score === null ? [LINK] : [score, LINK]).map((name) => {
    const text = ruleTitle(scene, name);
    const width = textWidth(text, SIZE, "sans", "bold");
    const rect = { x: at - 4, y: top, width: width + 8, height: SWITCH - 4 };
    at += width + 16;
    return { text, chosen: name === rule, rect };
  });
}

/** What there is to draw of contexts from a height on; null of a survey without any. */
export function contextPart(scene: Scene, top: number, width: number): ContextPart | null {
  if (!hasContexts(scene)) return null;
  const choices = choicesOf(scene, top);
  const found = contextsOf(scene);
  const room = Math.max(60, width - LEFT - VALUE - 10);
  let y = top + SWITCH;
  if (typeof found === "string") {
    const why = wrapText(found, Math.max(60, width - 2 * LEFT), SIZE);
    return { choices, rows: [], why, top, end: y + why.length * LINE + HEADING };
  }
  y += KEY_LINE;
  const rows = found.map((context, at): ContextRow => {
    const lines = contextLines(context, room, SIZE, MOST_LINES);
    const said = context.closed === null ? 0 : LINE;
    const row = { context, at, lines, y, height: lines.length * LINE + GAP + said };
    y += row.height;
    return row;
  });
  return { choices, rows, why: [], top, end: y + HEADING };
}

function drawToken(surface: Surface, scene: Scene, token: Placed, y: number, weight: number): void {
  const { theme } = scene;
  const x = LEFT + VALUE + token.x;
  const shade = Math.round(SHADE(weight));
  if (token.afterGap) {
    const style = { fill: theme.muted, size: SIZE };
    surface.text(x - textWidth("… ", SIZE), y, "…", style);
  }
  if (token.isKey) {
    const rect = { x: x - BOX, y: y - 7, width: token.width + 2 * BOX, height: 14 };
    surface.rect(rect, { fill: entry(theme.sequential, shade), radius: 2 });
  }
  const fill = token.isKey ? inkOn(theme.sequential, shade, theme.text) : theme.text;
  const text = ellipsize(token.text, token.width + 0.5, SIZE);
  surface.text(x, y, text, { fill, size: SIZE });
  if (token.isQuery)
    surface.line(x, y + 7.5, x + token.width, y + 7.5, { stroke: theme.accent, width: 2 });
}

/** Whether the input of a context can be recorded and shown, or is. */
function opens({ meta }: Scene, { input, closed }: Context): boolean {
  const { survey } = meta;
  return survey?.example === input || (survey?.can_open === true && closed === null);
}

function drawRow(surface: Surface, scene: Scene, row: ContextRow, width: number): void {
  const { theme } = scene;
  const { context, lines, y, height } = row;
  const open = opens(scene, context);
  if (open && scene.hover?.context === row.at)
    surface.rect(
      { x: 1, y, width: width - 2, height: height - 2 },
      { fill: theme.wash, radius: 3 },
    );
  const first = y + GAP / 2 + LINE / 2 - 2;
  const fill = open ? theme.text : theme.muted;
  const number = { fill, size: SIZE, anchor: "end" } as const;
  surface.text(LEFT + VALUE - 10, first, formatWeight(context.value), number);
  lines.forEach((line, at) => {
    for (const token of line) drawToken(surface, scene, token, first + at * LINE, context.weight);
  });
  if (context.closed === null) return;
  const style = { fill: theme.muted, size: SMALL, maxWidth: width - LEFT - VALUE - 8 };
  surface.text(LEFT + VALUE, first + lines.length * LINE, context.closed, style);
}

/** Whether a row is whole above the lower edge: what would be cut there waits until it is scrolled to. */
export function isWhole(row: { readonly y: number; readonly height: number }, frame: Frame) {
  return row.y + row.height - GAP / 2 - frame.scroll <= frame.height;
}

export function drawContexts(
  surface: Surface,
  scene: Scene,
  part: ContextPart,
  frame: Frame,
): void {
  const { theme } = scene;
  const { width } = frame;
  const middle = part.top + (SWITCH - 4) / 2;
  surface.text(LEFT, middle, "contexts by", { fill: theme.muted, size: SIZE });
  for (const { text, chosen, rect } of part.choices) {
    const weight = chosen ? ("bold" as const) : ("normal" as const);
    const fill = chosen ? theme.text : theme.accent;
    surface.text(rect.x + 4, middle, text, { fill, size: SIZE, weight });
  }
  part.why.forEach((line, at) => {
    const y = part.top + SWITCH + (at + 0.5) * LINE;
    surface.text(LEFT, y, line, { fill: theme.muted, size: SIZE });
  });
  if (part.rows.length > 0) {
    const style = { fill: theme.muted, size: SMALL, maxWidth: width - 2 * LEFT };
    surface.text(LEFT, part.top + SWITCH + KEY_LINE / 2 - 3, MARKS, style);
  }
  for (const row of part.rows) if (isWhole(row, frame)) drawRow(surface, scene, row, width);
  const y = part.end - HEADING / 2;
  if (!isWhole({ y, height: HEADING / 2 }, frame)) return;
  surface.line(LEFT, part.end - HEADING + 2, width - LEFT, part.end - HEADING + 2, {
    stroke: theme.rule,
  });
  surface.text(LEFT, y + 2, "most typical inputs", { fill: theme.muted, size: SIZE });
}

const opening = ({ context: { input, query, key }, at }: ContextRow): Hit => ({
  action: "open-example",
  example: input,
  context: at,
  place: { query, key },
});

/** What lies at a place of the content. */
export function contextHit(
  scene: Scene,
  part: ContextPart,
  frame: Frame,
  { x, y }: { readonly x: number; readonly y: number },
): Hit | null {
  const choice = part.choices.find(({ rect }) => contains(rect, x, y));
  if (choice) return choice.chosen ? null : { action: "contexts-by" };
  const row = part.rows.find((one) => y >= one.y && y < one.y + one.height);
  return row && isWhole(row, frame) && opens(scene, row.context) ? opening(row) : null;
}

function rowName({ context }: ContextRow): string {
  const named = (which: "isQuery" | "isKey") =>
    context.parts.flat().find((token) => token[which])?.text ?? "";
  const link = `query ${named("isQuery")}, key ${named("isKey")}`;
  const closed = context.closed === null ? "" : ` (${context.closed})`;
  return `context in input ${context.input}, ${formatWeight(context.value)}, ${link}: ${contextText(context)}${closed}`;
}

/** What can be reached by the keyboard; rects are in the frame. */
export function contextStops(scene: Scene, part: ContextPart, frame: Frame): readonly Stop[] {
  const choices = part.choices
    .filter(({ chosen }) => !chosen)
    .map(({ text, rect }): Stop => {
      const moved = { ...rect, y: rect.y - frame.scroll };
      return { action: "contexts-by", rect: moved, name: `contexts by ${text}` };
    });
  const rows = part.rows.map((row): Stop => {
    const rect = { x: 0, y: row.y - frame.scroll, width: frame.width, height: row.height };
    const place = { rect, name: rowName(row) };
    return opens(scene, row.context) ? { ...opening(row), ...place } : { ...place, onlyRead: true };
  });
  return [...choices, ...rows];
}
