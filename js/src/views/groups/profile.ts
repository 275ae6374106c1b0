// The form "profile": what one group gives each group, layer by layer, a line with a band for each.

import { drawCard } from "../../marks/card.js";
import { formatWeight } from "../../marks/format.js";
import { drawNotes, fittedNotes, LEGEND_LINE } from "../../marks/legends/legend.js";
import { scaleEnd } from "../../marks/matrix/shading.js";
import { labelStep } from "../../marks/text/token-axis.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type PathStep, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { drawFailure } from "../shared/failure.js";
import { MEASURES } from "../shared/measure.js";
import { pointer } from "../shared/series.js";
import type { Frame, Stop } from "../view.js";
import { type Profile, type ProfileLine, profileOf } from "./profile-data.js";

const LABEL = 11;
const TOP = 34;
const LEFT = 44;
const BOTTOM = 36;
const HEIGHT = 250;
const LEAST_HEIGHT = 120;
const MOST_LABEL = 120;
const LINE = 14;
/** Of a line that is not the chosen one. */
const FADED = 0.25;

interface ProfilePlan {
  readonly profile: Profile;
  readonly area: Rect;
  readonly end: number;
  readonly labels: readonly {
    readonly rect: Rect;
    readonly line: ProfileLine;
    readonly at: number;
  }[];
  x(place: number): number;
  y(share: number): number;
}

function notesOf(profile: Profile, width: number): readonly string[] {
  const notes = ["line: mean of a layer’s heads; band: their middle half"];
  if (profile.left > 0) notes.push(`${profile.left} groups with less weight are left out`);
  return fittedNotes(notes, width);
}

function footerHeight(scene: Scene, profile: Profile, width: number): number {
  return hasLegend(scene) ? 6 + LEGEND_LINE * notesOf(profile, width).length : 4;
}

/** Labels at the last point of each line, moved apart where they would touch. */
function placeLabels(lines: readonly ProfileLine[], y: (share: number) => number, area: Rect) {
  const wished = lines
    .map((line, at) => {
      const last = line.points.findLast((point) => point !== null);
      return { line, at, y: y(last?.mean ?? 0) };
    })
    .sort((a, b) => a.y - b.y);
  let free = area.y + LINE / 2 - 4;
  const placed = wished.map((one) => {
    const at = Math.max(one.y, free);
    free = at + LINE;
    return { ...one, y: at };
  });
  let low = area.y + area.height;
  for (const one of placed.reverse()) {
    one.y = Math.min(one.y, low);
    low = one.y - LINE;
  }
  return placed;
}

function planOf(
  scene: Scene,
  { width, height }: Pick<Frame, "width" | "height">,
): ProfilePlan | null {
  const profile = profileOf(scene);
  if (!profile) return null;
  const { lines, layers } = profile;
  const widest = lines.reduce(
    (most, { name }) => Math.max(most, textWidth(name, LABEL, "sans", "bold")),
    0,
  );
  const room = Math.min(MOST_LABEL, widest) + 14;
  const free = height - TOP - BOTTOM - footerHeight(scene, profile, width);
  const area = {
    x: LEFT,
    y: TOP,
    width: Math.max(40, Math.min(width - LEFT - room, 56 * Math.max(4, layers.length))),
    height: Math.max(LEAST_HEIGHT, lines.length * LINE, Math.min(HEIGHT, free)),
  };
  const most = Math.max(
    0,
    ...lines.flatMap(({ points }) => points.map((point) => point?.high ?? 0)),
  );
  const end = most > 0.5 && most <= 1 ? 1 : scaleEnd(most);
  const inset = Math.min(14, area.width / 8);
  const x = (place: number) =>
    layers.length < 2
      ? area.x + area.width / 2
      : area.x + inset + (place * (area.width - 2 * inset)) / (layers.length - 1);
  const y = (share: number) => area.y + area.height * (1 - Math.min(1, share / end));
  const labels = placeLabels(lines, y, area).map(({ line, at, y: middle }) => ({
    line,
    at,
    rect: { x: area.x + area.width + 6, y: middle - LINE / 2, width: room - 8, height: LINE },
  }));
  return { profile, area, end, labels, x, y };
}

export function profileHeight(scene: Scene, width: number, height: number): number {
  const plan = planOf(scene, { width, height });
  if (!plan) return height;
  return Math.ceil(TOP + plan.area.height + BOTTOM + footerHeight(scene, plan.profile, width));
}

/** Stretches of points that have come. */
function stretches({ points }: ProfileLine): readonly (readonly [number, number])[] {
  const found: [number, number][] = [];
  points.forEach((point, place) => {
    if (!point) return;
    const last = found.at(-1);
    if (last && last[1] === place) last[1] = place + 1;
    else found.push([place, place + 1]);
  });
  return found;
}

const colourOf = ({ theme }: Scene, { lines }: Profile, at: number) => theme.head(at, lines.length);

function drawLine(
  surface: Surface,
  scene: Scene,
  plan: ProfilePlan,
  line: ProfileLine,
  at: number,
) {
  const { profile, x, y } = plan;
  const { to_group } = scene.state;
  const colour = colourOf(scene, profile, at);
  const opacity = to_group !== null && to_group !== line.name ? FADED : 1;
  const draw = () => {
    for (const [start, stop] of stretches(line)) {
      const places = Array.from({ length: stop - start }, (_, n) => start + n);
      const point = (place: number) => line.points[place] as NonNullable<(typeof line.points)[0]>;
      if (places.length > 1) {
        const upper = places.map((place): PathStep => ["L", x(place), y(point(place).high)]);
        const lower = places
          .map((place): PathStep => ["L", x(place), y(point(place).low)])
          .reverse();
        const [[, x0, y0] = ["L", 0, 0]] = upper as readonly (readonly ["L", number, number])[];
        surface.path([["M", x0, y0], ...upper.slice(1), ...lower, ["Z"]], {
          fill: colour,
          opacity: 0.16 * opacity,
        });
        const steps = places.map(
          (place, n): PathStep => [n === 0 ? "M" : "L", x(place), y(point(place).mean)],
        );
        surface.path(steps, { stroke: colour, strokeWidth: 2, opacity });
      }
      for (const place of places) {
        const { low, high, mean } = point(place);
        if (places.length === 1) {
          surface.line(x(place), y(low), x(place), y(high), {
            stroke: colour,
            width: 4,
            opacity: 0.3 * opacity,
          });
        }
        surface.circle(x(place), y(mean), 2.5, { fill: colour, opacity });
      }
    }
  };
  surface.group(`profile ${line.name}`, draw);
}

function drawAxes(surface: Surface, scene: Scene, { profile, area, end, x, y }: ProfilePlan): void {
  const { theme, state } = scene;
  const muted = { fill: theme.muted, size: 10 } as const;
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(part * end);
    surface.line(area.x, at, area.x + area.width, at, { stroke: theme.rule });
    if (part === 0.25 || part === 0.75) continue;
    surface.text(area.x - 6, at, String(Number((part * end).toPrecision(3))), {
      ...muted,
      anchor: "end",
    });
  }
  const { layers } = profile;
  const pitch = layers.length < 2 ? area.width : x(1) - x(0);
  const step = labelStep(pitch, 24);
  const bottom = area.y + area.height;
  layers.forEach((layer, place) => {
    const chosen = !onPaper(scene) && layer === state.layer;
    if (chosen)
      surface.line(x(place), area.y, x(place), bottom, { stroke: theme.accent, opacity: 0.6 });
    const near = layers.some(
      (other, at) => other === state.layer && at !== place && Math.abs(at - place) * pitch < 18,
    );
    if (!chosen && (place % step !== 0 || near)) return;
    const style = {
      ...muted,
      fill: chosen ? theme.accent : theme.muted,
      anchor: "middle",
    } as const;
    surface.text(x(place), bottom + 10, String(layer), style);
  });
  surface.text(area.x + area.width / 2, bottom + 25, "layer", {
    ...muted,
    size: LABEL,
    anchor: "middle",
  });
}

/** The groups' names, each in its line's colour beside the end of the line. */
function drawLabels(surface: Surface, scene: Scene, { labels, profile }: ProfilePlan): void {
  const { to_group } = scene.state;
  for (const { line, at, rect } of labels) {
    surface.text(rect.x, rect.y + rect.height / 2, line.name, {
      fill: colourOf(scene, profile, at),
      size: LABEL,
      weight: "bold",
      maxWidth: rect.width,
      ...(to_group !== null && to_group !== line.name ? { opacity: 0.5 } : {}),
    });
  }
}

function titleOf({ state }: Scene): string {
  const { short } = MEASURES[state.measure];
  return `share of ${short} from ${state.from_group ?? "all"} to …`;
}

function placeAt({ profile, area, x }: ProfilePlan, at: number): number | null {
  if (at < area.x || at > area.x + area.width) return null;
  const distances = profile.layers.map((_, place) => Math.abs(x(place) - at));
  return distances.indexOf(Math.min(...distances));
}

function drawLayerCard(surface: Surface, scene: Scene, plan: ProfilePlan, frame: Frame): void {
  const at = pointer(scene.hover, "head");
  const place = plan.profile.layers.indexOf(scene.hover?.layer ?? -1);
  if (!at || place < 0) return;
  const { lines } = plan.profile;
  const rows = lines.flatMap(({ name, points }, n) => {
    const point = points[place];
    if (!point) return [];
    const note = `(${formatWeight(point.least)} to ${formatWeight(point.most)})`;
    return [
      {
        label: name,
        colour: colourOf(scene, plan.profile, n),
        value: formatWeight(point.mean),
        note,
      },
    ];
  });
  const title = `layer ${plan.profile.layers[place]}, from ${scene.state.from_group ?? "all"}`;
  const bounds = { x: 0, y: 0, width: frame.width, height: frame.height };
  const footnote = "mean over the heads (least to most)";
  drawCard(surface, { title, rows, footnote }, at, bounds, scene.theme);
}

export function drawProfile(surface: Surface, scene: Scene, frame: Frame): void {
  const plan = planOf(scene, frame);
  if (!plan) return;
  const { theme } = scene;
  const { profile, area } = plan;
  const title = { fill: theme.text, size: 12, weight: "bold", maxWidth: frame.width - 16 } as const;
  const total = profile.layers.length;
  const progress =
    profile.loaded < total && !profile.error ? ` · ${profile.loaded} of ${total} layers` : "";
  const draw = () => {
    surface.text(8, 12, titleOf(scene) + progress, title);
    drawAxes(surface, scene, plan);
    profile.lines.forEach((line, at) => {
      drawLine(surface, scene, plan, line, at);
    });
    drawLabels(surface, scene, plan);
  };
  const all = { x: 0, y: 0, width: frame.width, height: frame.height };
  surface.group("profile", draw, { clip: all });
  if (profile.error) drawFailure(surface, scene, area, profile.error);
  const y = area.y + area.height + BOTTOM + LEGEND_LINE / 2;
  if (hasLegend(scene)) {
    drawNotes(surface, notesOf(profile, frame.width), frame.width, y, theme);
  }
  drawLayerCard(surface, scene, plan, frame);
}

/** A line's name: a click fades the others, one more brings them back. */
function nameHit({ state }: Scene, name: string): Hit {
  return { from: state.from_group, to: state.to_group === name ? null : name };
}

export function hitProfile(scene: Scene, frame: Frame, x: number, y: number): Hit | null {
  const plan = planOf(scene, frame);
  if (!plan) return null;
  const label = plan.labels.find(({ rect }) => contains(rect, x, y));
  if (label) return nameHit(scene, label.line.name);
  const { area, profile } = plan;
  const place = y >= area.y && y <= area.y + area.height + 18 ? placeAt(plan, x) : null;
  const layer = place === null ? undefined : profile.layers[place];
  return layer === undefined ? null : { layer, action: "open-layer" };
}

const MOST_STOPS = 64;

export function profileStops(scene: Scene, frame: Frame): readonly Stop[] {
  const plan = planOf(scene, frame);
  if (!plan || onPaper(scene)) return [];
  const { area, profile, labels, x } = plan;
  const layers = profile.layers.slice(0, MOST_STOPS).map((layer, place): Stop => {
    const said = profile.lines.flatMap(({ name, points }) => {
      const point = points[place];
      return point ? [`${name} ${formatWeight(point.mean)}`] : [];
    });
    const rect = { x: x(place) - 5, y: area.y, width: 10, height: area.height };
    return { layer, action: "open-layer", name: `layer ${layer}: ${said.join(", ")}`, rect };
  });
  const names = labels.map(
    ({ line, rect }): Stop => ({
      ...nameHit(scene, line.name),
      name: `Only to ${line.name}`,
      rect,
    }),
  );
  return [...layers, ...names];
}
