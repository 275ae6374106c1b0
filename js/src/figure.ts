// Entry of the headless renderer: a snapshot in, an SVG and the list of missing blocks out.

import { BlockStore } from "./data/store.js";
import { composeSvg } from "./figure/compose.js";
import { composeTrace } from "./figure/trace.js";
import { decodeBase64, decodeBlock } from "./protocol/decode.js";
import type { Figure, Request, Screen, Snapshot, Trace } from "./protocol/generated.js";
import { readMeta } from "./protocol/positions.js";
import { editedOf } from "./scene/edited.js";
import { withEdits, withTrace } from "./scene/scene.js";
import { SceneMaker } from "./scene/scene-maker.js";
import { reading, readingText } from "./shell/reading/reading-text.js";
import { fromTraits } from "./state/selection.js";
import { defaultOptions } from "./state/signals.js";

/** What the headless engine returns: the figure, what the reading line says of it, and the blocks it could not be drawn without. */
interface Rendered {
  readonly svg: string;
  readonly said: string;
  readonly missing: readonly Request[];
}

interface Job {
  readonly snapshot: Snapshot;
  readonly figure?: Figure;
}

/** Pictures of whole layers, which stand in where a head's own numbers are not here yet. */
const STAND_INS: readonly string[] = ["thumbnails", "links"] satisfies Request["what"][];

/** What is asked for in this round: stand-ins last, when nothing else is missing that they could stand in for. */
function neededFirst(missing: readonly Request[]): readonly Request[] {
  const own = missing.filter(({ what }) => !STAND_INS.includes(what));
  return own.length > 0 ? own : missing;
}

/** In the place of a trace that nobody asked for. */
const NOT_FOUND = "No trace was found: call view.find_trace() first.";

const DEFAULT_SCREEN: Screen = { width: 1200, dark: false, scroll: {} };

/**
 * Draw a snapshot without a browser: plain TypeScript from here down, since a bare V8 has no DOM.
 * The caller answers `missing` and calls again, so it never has to know which view needs what.
 */
export function render(job: string): string {
  const { snapshot, figure } = JSON.parse(job) as Job;
  const meta = readMeta(snapshot.meta);
  const nothing = async () => [];
  const store = new BlockStore(nothing, () => {}, Number.POSITIVE_INFINITY);
  for (const { request, block } of snapshot.blocks) {
    if (block.data !== undefined) store.put(request, decodeBlock(block, decodeBase64(block.data)));
  }
  const media = decodeBase64(snapshot.media ?? "");
  const overview = decodeBase64(snapshot.overview);
  const maker = new SceneMaker(meta, overview, store, media, true);
  const screen = snapshot.screen ?? DEFAULT_SCREEN;
  const usual = defaultOptions();
  const options = {
    keyOrder: screen.key_order ?? usual.keyOrder,
    dimensionOrder: screen.dimension_order ?? usual.dimensionOrder,
    allKeys: screen.all_keys ?? usual.allKeys,
    attendedBy: screen.attended_by ?? usual.attendedBy,
    map: screen.map ?? null,
    strongest: usual.strongest,
    containing: usual.containing,
  };
  const { theme } = snapshot.state;
  const dark = theme === "auto" ? screen.dark : theme === "dark";
  const { what_if = null, effects = null, traced: found = null } = snapshot;
  const edited = editedOf(what_if?.edits ?? [], what_if, effects);
  const made = withEdits(maker.make(fromTraits(snapshot.state), null, options, dark), edited);
  const scene = withTrace(made, { found, cannot: NOT_FOUND });
  const { width, scroll } = screen;
  const svg = composeSvg(scene, { width, scroll, ...(figure ? { figure } : {}) });
  maker.end(scene);
  // Before anything is read for the sentence: a picture is not waited for because of its words.
  const missing = neededFirst(store.missing);
  const said = readingText(reading(scene, snapshot.chosen ?? null));
  return JSON.stringify({ svg, said, missing } satisfies Rendered);
}

interface TraceJob {
  readonly trace: Trace;
  /** CSS pixels, margins included. */
  readonly width: number;
  readonly figure: Figure;
}

/** Draw a trace, for which everything is there. */
export function renderTrace(job: string): string {
  const { trace, width, figure } = JSON.parse(job) as TraceJob;
  return JSON.stringify(composeTrace(trace, width, figure));
}
