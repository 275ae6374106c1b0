/* Generated from attnwidget/protocol/schema.json by `npm run generate`. */

/**
 * Pinned positions: one; two or more, the first one leading; or null. Weights of several queries are averaged, of several keys summed.
 */
export type Pins = number | readonly number[] | null;
/**
 * What is drawn of a head: weights; weights times the length of each key's value, or of that value behind the output projection; weights times the gradient of the record's metric, with both signs, or the positive part of that; or the rollout of a stream, which has no heads.
 */
export type Measure = "weights" | "value" | "norm" | "gradient" | "relevance" | "rollout";
/**
 * [layer, head], both counted from 0 as the model counts them.
 *
 * @minItems 2
 * @maxItems 2
 */
export type HeadRef = readonly [number, number];
/**
 * Links whose weight ranks all heads: from queries to keys, from a group of positions to another, or a pattern that the kernel knows by its number.
 */
export type Ranking = LinkRanking | PatternRanking | GroupRanking;
/**
 * Key positions that are set aside: shades, the width of links and the scores and rankings of heads are those of the rest; numbers are not changed.
 */
export type Aside = ("first" | "special" | "first and special") | readonly number[] | null;
export type Request = BlockRequest | HeadsRequest;
/**
 * Half-open ranges, rising.
 *
 * @minItems 1
 */
export type Ranges = readonly (readonly [number, number])[];
export type Reply = Answer | Refusal | Unfinished;
/**
 * A part of an edit, as `Edits.to_json` writes it.
 */
export type Intervention =
  AblatedHeads | CutLinks | PatchedHeads | RemovedDirections | ReplacedToken | MaskedToken;
/**
 * Position numbers, or tokens' texts; null for all positions.
 */
export type CutEnd = number | string | readonly (number | string)[] | null;
/**
 * The edits that are in force, in order: the trait `interventions`. Page and kernel set it. Where the kernel refuses what the page has set, it sets it back to what is in force, and `what_if` says why.
 *
 * @maxItems 10000
 */
export type Interventions = Intervention[];
/**
 * Changes of the metric without all of these links, and without any link; null where they were not cut.
 */
export type TracedTogether = {
  traced: number;
  every: number;
} | null;
/**
 * What effects are measured in: the trait `metric`. Null for what the unedited model would choose, a token or label for its log-probability, two for the difference of their logits. Page and kernel set it.
 *
 * @minItems 2
 * @maxItems 2
 */
export type Metric = string | readonly [string, string] | null;

/**
 * What travels between the Python side and the front end. TypeScript types are generated from this file, and Python's output is validated against it. Rows are queries, columns are keys, everywhere.
 */
export interface Protocol {
  state: State;
  meta: Meta;
  request: Request;
  reply: Reply;
  snapshot: Snapshot;
  figure: Figure;
  command?: Command;
  messages?: Messages;
  command_error?: CommandError;
  save?: SaveMessage;
  still?: StillMessage;
  chosen?: Chosen;
  position?: Position;
  axis?: PackedPositions;
  editing?: Editing;
  interventions?: Interventions;
  metric?: Metric;
  what_if?: WhatIf;
  effects?: EffectsOfHeads;
  traced?: TraceOfView;
  trace?: Trace;
}
/**
 * The shared selection: one two-way trait per key.
 */
export interface State {
  view: "all" | "model" | "head" | "neuron" | "compare";
  stream: string;
  layer: number;
  /**
   * @minItems 1
   */
  heads: number[];
  query: Pins;
  key: Pins;
  measure: Measure;
  /**
   * Positions as the record has them, or pieces of a word as one: summed over the pieces of a key, averaged over those of a query.
   */
  positions: "pieces" | "words";
  /**
   * How the head view draws; image: over the picture or the sound, where the stream has one, else lines; text: the running text, shaded, where there is any, else lines; groups: the shares that groups give each other, a matrix a head; profile: these shares over the layers; both where the stream has groups, else lines; geometry: queries and keys in one plane, a panel a head, where the layer has vectors and one record is shown, else lines; trace: the links that a metric depends on, over all layers, where one record is shown, else lines.
   */
  form: "lines" | "matrix" | "image" | "text" | "groups" | "profile" | "geometry" | "trace";
  /**
   * Pinned heads of this stream, side by side.
   */
  compare: HeadRef[];
  /**
   * The generated token that is about to be chosen, counted from 0; null shows all of them.
   */
  step: number | null;
  theme: "auto" | "light" | "dark";
  /**
   * What the model view's heads are coloured by: a name in meta.scores, "ranking" for the weight of the links in `ranking`, "effect" for the numbers of the trait `effects` where there are any, or null for thumbnails alone.
   */
  score: string | null;
  /**
   * The scatter's vertical score; null chooses one.
   */
  other_score: string | null;
  /**
   * How the model view stands: as the model has its heads, all in one ranking by the score, each layer's in a ranking, or as dots over two scores.
   */
  arrange: "layers" | "rank" | "rank_by_layer" | "scatter";
  /**
   * Heads with a lower score are faint, or hidden.
   */
  threshold: number | null;
  /**
   * What the model view makes of heads below the threshold.
   */
  below_threshold: "faint" | "hidden";
  /**
   * The layers that the model view shows; null shows all of the stream.
   *
   * @minItems 1
   */
  show_layers: number[] | null;
  /**
   * The links that heads are ranked by.
   */
  ranking: Ranking | null;
  /**
   * What the neuron view explains: one link step by step, or the whole head as a matrix for each step.
   */
  explain: "link" | "head";
  /**
   * Of each query, only so many of its strongest links are drawn as lines; null draws all of them. Where there is a mass, that says.
   */
  top_k: number | null;
  /**
   * Of each query, only the fewest strongest links are drawn that make up this share of its weight; null where top_k says.
   */
  mass: number | null;
  aside: Aside;
  /**
   * Where the shades of matrices end: above the largest weight in sight, or at 1.
   */
  shade: "own" | "fixed";
  /**
   * The selected heads as one more head, in every form of the head view; null draws each by itself.
   */
  together: "mean" | "max" | "sum" | null;
  /**
   * The layers whose heads of the selected numbers are taken together, while the selected layer is one of them; null takes those of the selected layer alone.
   *
   * @minItems 1
   */
  together_layers: number[] | null;
  /**
   * Whether the lines of several heads lie over one another, or each head has a panel of its own.
   */
  panels: "overlaid" | "one a head";
  /**
   * The stream's grouping that is marked, by its name; null for none.
   */
  grouping: string | null;
  /**
   * The group of queries that is drawn; null for all.
   */
  from_group: string | null;
  /**
   * The group of keys that is drawn; null for all.
   */
  to_group: string | null;
  /**
   * What the points of the form geometry are coloured by: their position, their group of the grouping that is marked (position where none is), or the length of the vector.
   */
  colour: "position" | "group" | "norm";
}
export interface LinkRanking {
  /**
   * Null for all of them.
   *
   * @minItems 1
   */
  queries: number[] | null;
  /**
   * @minItems 1
   */
  keys: number[];
}
export interface PatternRanking {
  /**
   * What it is called.
   */
  pattern: string;
  number: number;
}
/**
 * The mean over the queries of one group of their weight on another.
 */
export interface GroupRanking {
  /**
   * One of the stream's groupings.
   */
  grouping: string;
  /**
   * Name of the group whose queries count, null for all queries.
   */
  from: string | null;
  /**
   * Name of the group whose keys count, null for all keys.
   */
  to: string | null;
}
export interface Meta {
  version: 1;
  model: string;
  /**
   * Each axis once. They travel packed; the front end unpacks them as they come.
   */
  positions: Position[][];
  /**
   * @minItems 1
   */
  streams: StreamMeta[];
  /**
   * The pictures and sounds that positions lie in.
   */
  media: MediumMeta[];
  /**
   * In the order of blocks of scores.
   */
  scores: ScoreMeta[];
  generation?: Generation;
  lens?: LensMeta;
  /**
   * What was done to the model while it was recorded, as the calls that say so; left out where that is nothing.
   *
   * @minItems 1
   */
  edits?: string[];
  survey?: SurveyMeta;
  comparison?: ComparisonMeta;
  /**
   * Directions of heads that the neuron view has a row for.
   */
  directions?: HeadDirections[];
  python?: PythonCall;
}
export interface StreamMeta {
  name: string;
  /**
   * @minItems 1
   */
  layers: LayerMeta[];
  /**
   * Index into meta.positions.
   */
  query_positions: number;
  /**
   * Index into meta.positions.
   */
  key_positions: number;
  overview: OverviewMeta;
  prompt?: Prompt;
  sink?: Sink;
  /**
   * Scores that make no sense here, with the reason.
   */
  absent?: {
    [k: string]: string;
  };
  /**
   * Why there is no rollout, where there is none.
   */
  no_rollout?: string;
  /**
   * What the gradients of the record are of, where it has any.
   */
  metric?: string;
  /**
   * Why there are no gradients where there is no metric, other than that the record was made without.
   */
  no_gradients?: string;
  /**
   * Ways to put the positions into groups; the caller's own first, then those of at least 2 groups. None of more than 64.
   */
  groupings?: Grouping[];
  /**
   * Three numbers per head, [query, key, weight]: its strongest link, leaving out the first key when other keys exist.
   */
  top?: number[];
}
export interface LayerMeta {
  layer: number;
  module_path: string;
  num_heads: number;
  num_key_value_heads: number | null;
  head_dim: number | null;
  has_vectors: boolean;
  /**
   * Why has_vectors is false.
   */
  reason: string | null;
  missing?: Missing;
  /**
   * How the weights of vectors in half precision are computed, where they are.
   */
  precision?: string;
  scaling: number | null;
  softcap: number | null;
  /**
   * One extra logit per head whose share is dropped.
   */
  sinks: number[] | null;
  causal: boolean;
  window: number | null;
  /**
   * True when something is added to the scaled dot product beyond a structural mask.
   */
  bias: boolean;
}
/**
 * Why there is no such measure, where there is none.
 */
export interface Missing {
  value?: string;
  norm?: string;
  gradient?: string;
  relevance?: string;
}
/**
 * Where this stream's thumbnails lie in the overview bytes: sum(num_heads) images of rows x columns, uint8 holding 255*sqrt(weight), max-pooled.
 */
export interface OverviewMeta {
  offset: number;
  rows: number;
  columns: number;
  /**
   * True when only a sample of the query rows was pooled.
   */
  sampled: boolean;
  /**
   * They are not among the bytes: they are asked for, layer by layer.
   */
  later?: true;
}
/**
 * How many positions there were when the first token was generated; with each token there is one more. Absent where nothing was generated.
 */
export interface Prompt {
  queries: number;
  /**
   * Null where the keys are those of another sequence, which does not grow.
   */
  keys: number | null;
}
/**
 * Present when the first position takes a large part of all the weight.
 */
export interface Sink {
  /**
   * Mean weight on the first key, over all heads and all queries but the first.
   */
  share: number;
}
/**
 * A way to put positions into groups. Every query and every key is in one of them; those that nothing is known of are in the last, 'rest'.
 */
export interface Grouping {
  /**
   * segment, role, turn, modality, part, special, sentence; own for the caller's.
   */
  name: string;
  /**
   * In the order of a block of shares.
   *
   * @minItems 1
   * @maxItems 64
   */
  groups: Group[];
}
export interface Group {
  /**
   * What tables and rankings call it: A, 2 assistant, picture 1, sentence 3.
   */
  name: string;
  /**
   * What stands beside its positions, where they are seen to be in order: assistant.
   */
  label: string;
  /**
   * Its queries, as half-open ranges in order.
   */
  queries: [number, number][];
  /**
   * Its keys, as half-open ranges in order.
   */
  keys: [number, number][];
}
/**
 * A picture, or the spectrogram of a sound. Its pixels lie at `offset` in the media bytes, uint8, row by row: RGB of an image, one grey of a spectrogram with the lowest band first.
 */
export interface MediumMeta {
  kind: "image" | "spectrogram";
  width: number;
  height: number;
  offset: number;
  /**
   * Length of the sound.
   */
  seconds?: number;
  /**
   * The middle of each band of a spectrogram in Hz, lowest first, where it is known.
   *
   * @minItems 1
   */
  frequencies?: readonly number[];
  /**
   * What the reader should know about it.
   */
  note?: string;
}
/**
 * A score that heads can have, between 0 and 1.
 */
export interface ScoreMeta {
  name: string;
  /**
   * The short word a head carries.
   */
  label: string;
  question: string;
  formula: string;
  source: string;
}
/**
 * What the model expected next after each position from `first` on: the softmax of its own logits, the most probable first.
 */
export interface Generation {
  /**
   * Query position of the first row.
   */
  first: number;
  /**
   * Tokens in a row.
   */
  ranks: number;
  /**
   * Labels; the numbers below are places in this list.
   */
  tokens: string[];
  /**
   * Row after row.
   */
  top: number[];
  /**
   * Of `top`.
   */
  probabilities: (number | null)[];
  /**
   * The token that came next, one per row.
   */
  chosen: (number | null)[];
  /**
   * Null where it is not known.
   */
  chosen_probabilities: (number | null)[];
}
/**
 * What the model would predict if it ended after each of its layers, at each query position of a stream from `first` on, the likeliest first.
 */
export interface LensMeta {
  stream: string;
  /**
   * Query position of the first row.
   */
  first: number;
  /**
   * How many; after the last one the model's own prediction.
   */
  layers: number;
  /**
   * Tokens in a row.
   */
  ranks: number;
  /**
   * Labels; the numbers below are places in this list.
   */
  tokens: string[];
  /**
   * Layer after layer, row after row.
   */
  top: number[];
  /**
   * Of `top`.
   */
  probabilities: (number | null)[];
}
/**
 * Scores are means over many inputs; the record is one of them, or of no position.
 */
export interface SurveyMeta {
  inputs: number;
  /**
   * There is a model to record an example with.
   */
  can_open: boolean;
  /**
   * The input that the record is of.
   */
  example?: number;
  /**
   * Beginnings of examples by index.
   */
  texts: {
    [k: string]: string;
  };
  /**
   * How many contexts it keeps of each head and score; absent without any.
   */
  contexts?: number;
  /**
   * Of each stream with gold links, by the name of a score of these: what it is of, and its best heads beside the best fixed offset. Absent without any.
   */
  links?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}
/**
 * Present when records are compared, two or a series of more: what each is called, in their order. Of a series the scores are how heads change: over all of it, then a score `step_1`, `step_2` … for each record but the first, against the one before it.
 */
export interface ComparisonMeta {
  /**
   * @minItems 2
   * @maxItems 26
   */
  names: string[];
}
/**
 * Directions of the queries and keys of one head that make a pattern: unit vectors at right angles.
 */
export interface HeadDirections {
  stream: string;
  layer: number;
  head: number;
  /**
   * What it is called: a score's name, "links", or "own pattern".
   */
  pattern: string;
  vectors: readonly (readonly number[])[];
}
/**
 * What the call is written from that opens a view at a selection; opened: what a view opens with that is told nothing, left out where that was not looked for.
 */
export interface PythonCall {
  /**
   * How the view was made, without what is selected and without a closing bracket.
   */
  call: string;
  opened?: State;
  /**
   * What is different in a view that is told a layer; without opened all of it.
   */
  placed: Partial<State>;
}
/**
 * A tensor block. For weights, scores and bias: [head, query, key] over the half-open range `queries` and every key, or those of the range `keys`. For vectors: [position, dim], the whole axis, or the half-open range `queries` of its positions. For extents: [1, 4], the largest size of a number in the head's queries, keys, products of a query and a key dimension by dimension, and values, over all positions. For mean: [1, key], the mean over all queries, of weights or under a measure of gradients. For lengths: [1, key], what weights are multiplied by in a measure. For overview: [head, row, column], a layer's heads max-pooled under a measure; of numbers with both signs a cell holds what is of largest size, with its sign. For gradient: [1, query, key], each weight times the gradient of the metric. For rollout: [1, query, key], from the first layer up to this one. For tile: [row, column], the largest in each cell; level 0 is float32 and exact, above it weights and rollout are uint8 holding 255*sqrt(w) and other measures float32. For column: [query, key], what every query gives some keys, of weights, the rollout or a measure of gradients. Of a stream whose thumbnails come later, thumbnails: uint8 [head, row, column], those of a layer; links: [head, 4], query, key and weight of each head's strongest link (see top) and its mean weight on the first key; sample: the thumbnails of a few of its query rows, with all keys, which stand there until those do. For geometry: [query + key + 1, 3], where each query and then each key of the head lies in one plane (x, y) and how long its vector is; in the last row the share of the variance along x and along y, and the number that queries were multiplied by and keys divided by. For group_shares: [head, from, to], for all heads of the layer the mean over the queries of each group of a grouping, those of the range `queries` from 0 on where it is given, of their weight on each group; NaN from a group without queries, and of heads whose weights are not numbers. For together_shares: [1, head], what part of several heads that are one is each one's: of their mean or sum its part of the weight, of their maximum the part of the pairs with any weight where it is the largest, equal ones counting alike.
 */
export interface BlockRequest {
  what:
    | "weights"
    | "scores"
    | "bias"
    | "query_vectors"
    | "key_vectors"
    | "value_vectors"
    | "output"
    | "mean"
    | "lengths"
    | "overview"
    | "gradient"
    | "rollout"
    | "tile"
    | "column"
    | "thumbnails"
    | "links"
    | "sample"
    | "extents"
    | "geometry"
    | "group_shares"
    | "together_shares";
  stream: string;
  layer: number;
  head: number;
  /**
   * @minItems 2
   * @maxItems 2
   */
  queries?: number[];
  /**
   * For overview: at most this many rows and columns.
   */
  size?: number;
  /**
   * For tile: a cell is 2^level queries by as many keys.
   */
  level?: number;
  /**
   * For tile: row and column among the tiles of the level, each 256 cells high and wide but for the last.
   *
   * @minItems 2
   * @maxItems 2
   */
  tile?: number[];
  /**
   * A half-open range of keys: of a column, and of part of weights, scores or bias.
   *
   * @minItems 2
   * @maxItems 2
   */
  keys?: number[];
  measure?: Measure;
  /**
   * For tile, and with together: between words. For group_shares: each word counts once among the queries, and is in the group of its first piece.
   */
  positions?: "words";
  /**
   * For group_shares: one of the stream's groupings.
   */
  grouping?: string;
  together?: TogetherHeads;
  /**
   * With together: only so many queries, counted in pieces, are there yet.
   */
  there?: number;
  between?: Between;
  /**
   * Of compared records: which one, on the common axes. An overview is of their difference, |b - a|, of a series the largest between neighbours, and has no side; group_shares without one are the last record's minus the first's.
   */
  side?: string;
}
/**
 * For weights, column, mean and tile: of these heads as one, number by number, under the measure and between the positions asked for; of a tile before the largest of each cell is taken. For together_shares: whose shares are asked for.
 */
export interface TogetherHeads {
  how: "mean" | "max" | "sum";
  /**
   * Rising; of several layers those of each layer after those of the one before.
   *
   * @minItems 2
   */
  heads: readonly number[];
  /**
   * Of each head its layer; all are of the request's layer where it is left out.
   *
   * @minItems 2
   */
  layers?: readonly number[];
}
/**
 * For together_shares: from these queries to these keys, each as half-open ranges; all of an axis that is left out.
 */
export interface Between {
  queries?: Ranges;
  keys?: Ranges;
}
/**
 * Numbers about all heads of a stream, float32, layer after layer. head_scores: [2, head, score], of all weight and without what is set aside (the first position and special tokens where nothing is named), NaN where a score is not defined. head_labels: [head, 2], the place of the score that a head's label comes from (-1 for none) and its value. ranking: [head], the weight of the links, without what is set aside where that is named, NaN of a head that has nothing left. All under a measure other than weights where one is named. Of a survey besides, head_spreads: [2, head, score], standard deviations; typical: [2, head, place], index and score of the most typical inputs, -1 for none; contexts, of one layer and head: JSON, each UTF-16 code unit a number, a list of the places where the head does most, best first: input, value, weight, query, key, tokens (label, and the sum of 1 for one that joins the token before, 2 for the query, 4 for the key, 8 for one after a gap), queries (tokens, where those are of another sequence), closed (why the input cannot be opened).
 */
export interface HeadsRequest {
  what: "head_scores" | "head_labels" | "ranking" | "head_spreads" | "typical" | "contexts";
  stream: string;
  ranking?: Ranking;
  measure?: Measure;
  aside?: Aside;
  /**
   * What examples are typical of, and contexts of; of these also link, for the strongest links.
   */
  score?: string;
  /**
   * Layer and head of contexts.
   *
   * @minItems 2
   * @maxItems 2
   */
  of?: readonly [number, number];
}
export interface Answer {
  ok: true;
  block: Block;
}
/**
 * C order, little-endian. The bytes travel beside it as a buffer, or in `data` as base64 inside a snapshot.
 */
export interface Block {
  dtype: "uint8" | "float16" | "float32";
  shape: number[];
  data?: string;
  /**
   * The bytes in `data` are compressed (zlib, RFC 1950).
   */
  deflated?: true;
}
export interface Refusal {
  ok: false;
  error: string;
}
/**
 * What takes long is computed in slices: so much of it is done, and it goes on when it is asked for again.
 */
export interface Unfinished {
  ok: false;
  part: number;
}
/**
 * A widget without its kernel: state, meta, thumbnails and the blocks that fit a budget.
 */
export interface Snapshot {
  state: State;
  meta: Meta;
  screen?: Screen;
  chosen?: Chosen;
  what_if?: WhatIf;
  effects?: EffectsOfHeads;
  traced?: TraceOfView;
  overview: string;
  media?: string;
  blocks: StoredBlock[];
}
/**
 * What the reader's window looks like, so that a figure made without it matches.
 */
export interface Screen {
  width: number;
  /**
   * CSS pixels of the whole widget.
   */
  height?: number;
  dark: boolean;
  key_order?: "position" | "weight";
  dimension_order?: "index" | "contribution";
  /**
   * The neuron view has a row for every key, however many there are.
   */
  all_keys?: boolean;
  /**
   * Running text is shaded by what attends to a token.
   */
  attended_by?: boolean;
  /**
   * Pixels scrolled, by view.
   */
  scroll: {
    [k: string]: number;
  };
  map?: MapWindow;
}
/**
 * What is in sight of matrices, where that is not all: from and to, in positions and parts of one, of a stream's pieces or words.
 */
export interface MapWindow {
  stream: string;
  words: boolean;
  /**
   * @minItems 2
   * @maxItems 2
   */
  queries: readonly [number, number];
  /**
   * @minItems 2
   * @maxItems 2
   */
  keys: readonly [number, number];
}
/**
 * What was chosen for the reader, and why: where the view opened, or the head that a ranking put first.
 */
export interface Chosen {
  stream: string;
  layer: number;
  head: number;
  query: Pins;
  key: Pins;
  /**
   * Of the link; of compared records the size of its change; of a survey the mean score.
   */
  weight: number;
  /**
   * Completes "chosen for you:".
   */
  why: string;
  /**
   * Other heads, with what they do.
   */
  also: Also[];
  before?: Before;
}
export interface Also {
  label: string;
  layer: number;
  head: number;
}
/**
 * What was selected before a ranking was shown.
 */
export interface Before {
  layer: number;
  /**
   * @minItems 1
   */
  heads: number[];
  /**
   * @minItems 1
   */
  together_layers: number[] | null;
  query: Pins;
  key: Pins;
}
/**
 * What the model says without and under the edits: the trait `what_if`, null where nothing was edited. While it runs, and where an edit was refused, all but state and message are those of the edits that are in force.
 */
export interface WhatIf {
  state: "running" | "done" | "refused";
  /**
   * Why it was refused, or what became of edits under another text; else nothing.
   */
  message: string;
  /**
   * Label of the position that chooses; null where the whole input does.
   */
  at: string | null;
  /**
   * Its number among the query positions of the record.
   */
  position: number | null;
  /**
   * What is chosen there; empty where that is not known.
   */
  kind: "token" | "label" | "embedding" | "";
  /**
   * What is measured, in words.
   */
  metric: string;
  /**
   * The metric without the edits; null where it is no finite number.
   */
  before: number | null;
  after: number | null;
  /**
   * How far all probabilities move, in nats; null where nothing is chosen among.
   */
  kl: number | null;
  /**
   * The five likeliest without and the five likeliest under the edits, the likeliest without them first.
   */
  choices: Choice[];
  /**
   * How the numbers came about, in words.
   */
  method: string;
  edits: Interventions;
}
export interface Choice {
  label: string;
  /**
   * A probability.
   */
  before: number;
  after: number;
}
/**
 * Heads whose output is replaced.
 */
export interface AblatedHeads {
  /**
   * @minItems 1
   */
  ablate: readonly (readonly [number, number])[];
  how: "zero" | "mean" | "resample";
  /**
   * Null for the only one there is.
   */
  stream: string | null;
  /**
   * What a mean is of, or another output is taken from.
   */
  source: {} | null;
}
/**
 * Links that no head, or some, may look along. Null for all queries, all keys, all heads, all layers.
 */
export interface CutLinks {
  cut: CutEnds;
  heads: readonly (readonly [number, number])[] | null;
  layers: readonly number[] | null;
  /**
   * Null for the only one there is.
   */
  stream: string | null;
  /**
   * Whether the other weights of a row are divided by what remains of it.
   */
  renormalise: boolean;
}
export interface CutEnds {
  query: CutEnd;
  key: CutEnd;
}
/**
 * Heads of which something is taken from another record: Python alone makes these.
 */
export interface PatchedHeads {
  patch: unknown;
}
/**
 * Directions of queries and keys that the scores of one head are computed without: Python alone makes these.
 */
export interface RemovedDirections {
  /**
   * @minItems 1
   * @maxItems 1
   */
  remove_directions: readonly (readonly [number, number])[];
  /**
   * @minItems 1
   */
  vectors: readonly (readonly number[])[];
  /**
   * Null for the only one there is.
   */
  stream: string | null;
}
/**
 * A token of the input in whose place another stands: Python alone makes these.
 */
export interface ReplacedToken {
  replace: number | string;
  with: string;
}
/**
 * A token of the input in whose place the mask token stands: Python alone makes these.
 */
export interface MaskedToken {
  mask: number | string;
}
/**
 * How much the metric changes without each head: the trait `effects`, null where nobody asked. The numbers of the score `effect`.
 */
export interface EffectsOfHeads {
  state: "running" | "done" | "stopped" | "refused";
  /**
   * Why it was refused, or why some heads have no effect; else nothing.
   */
  message: string;
  /**
   * What is measured, in words.
   */
  metric: string;
  /**
   * Label of the position that chooses: they stay those of this one when another is pinned.
   */
  at: string | null;
  /**
   * Its number among the query positions of the record.
   */
  position: number | null;
  how: "zero" | "mean" | "resample";
  /**
   * By the stream's name, its layers in the order of meta, each layer's heads in theirs.
   */
  streams: {
    [k: string]: EffectsOfStream;
  };
  /**
   * Heads that were run.
   */
  done: number;
  /**
   * Heads there are.
   */
  of: number;
  agreement?: AgreementOfMeasures;
}
export interface EffectsOfStream {
  /**
   * The metric without the head less the metric with all heads; the first-order estimate where the head was not run yet, null where there is none.
   */
  values: readonly (readonly (number | null)[])[];
  /**
   * Whether the head was run.
   */
  exact: readonly (readonly boolean[])[];
  /**
   * Where heads are zeroed and a source of means is known: the same with the head set to its mean, null where it was not run.
   */
  means?: readonly (readonly (number | null)[])[];
  /**
   * Beside means: whether the two differ by more than a factor of 3, or in sign, and the larger is no noise.
   */
  differs?: readonly (readonly boolean[])[];
}
/**
 * Where heads are zeroed, and metric and position are those that the record has the gradients of: how far measures of gradients rank heads as these effects do. Empty while heads are run, and with fewer than two that were run.
 */
export interface AgreementOfMeasures {
  gradient?: AgreementOfMeasure;
  relevance?: AgreementOfMeasure;
}
/**
 * A measure summed over the links of each head, against what the metric loses without the head: with signs, or of a measure that has none by size.
 */
export interface AgreementOfMeasure {
  /**
   * Spearman's rank correlation; null where all numbers of one side are the same.
   */
  correlation: number | null;
  /**
   * Heads that were run and have the measure.
   */
  heads: number;
  /**
   * Heads there are.
   */
  of: number;
  /**
   * Whether the head that matters most has the largest sum.
   */
  first: boolean;
  /**
   * The head without which the metric changes most.
   */
  most: string;
  /**
   * The head with the largest sum, whatever its sign.
   */
  largest: string;
}
/**
 * The trace that a view's form `trace` draws, and how far it has come: the trait `traced`, null where nobody asked.
 */
export interface TraceOfView {
  state: "running" | "done" | "stopped" | "refused";
  /**
   * Why it was refused, or why some links keep their estimates; else nothing.
   */
  message: string;
  /**
   * The stream that is traced.
   */
  stream: string;
  /**
   * Label of the position that the metric is read at.
   */
  at: string | null;
  /**
   * Its number among the query positions of the record.
   */
  position: number | null;
  /**
   * Least size of a link, as a share of the largest.
   */
  threshold: number;
  /**
   * How many links are cut, at most.
   */
  budget: number;
  /**
   * Links that were cut.
   */
  done: number;
  /**
   * Links that are to be cut; 0 before they are known.
   */
  of: number;
  /**
   * The call that finds it, in Python, of a view named view.
   */
  call: string;
  /**
   * The links so far; null before they are known.
   */
  trace: Trace | null;
}
/**
 * The links over which a model comes to what it says, for a figure of them.
 */
export interface Trace {
  /**
   * What is measured, in words.
   */
  metric: string;
  /**
   * The metric with all links.
   */
  value: number;
  stream: string;
  /**
   * What each position is called.
   */
  labels: string[];
  /**
   * From the first to the last.
   */
  layers: TracedLayer[];
  /**
   * Positions at which the metric is read off the last layer.
   */
  starts: number[];
  /**
   * The largest first; of very many the largest only.
   */
  links: TracedLink[];
  /**
   * How many links there are, where that is more than are here.
   */
  count?: number;
  together: TracedTogether;
}
export interface TracedLayer {
  layer: number;
  num_heads: number;
}
export interface TracedLink {
  layer: number;
  head: number;
  query: number;
  key: number;
  weight: number;
  /**
   * Minus weight times gradient: the change of the metric without the link, to first order.
   */
  estimate: number;
  /**
   * The change of the metric when the link is cut; null where it was not.
   */
  change: number | null;
}
export interface StoredBlock {
  request: Request;
  block: Block;
}
/**
 * How a figure is drawn where that is not as on the screen.
 */
export interface Figure {
  theme?: "light" | "dark" | "print";
  /**
   * Of weights; the theme has its own.
   */
  colour_map?: "blue" | "cividis" | "viridis" | "magma" | "grey";
  /**
   * A heading, or true for the line that says model, stream, layer and heads; false also leaves the views' names out.
   */
  title?: boolean | string;
  legend?: boolean;
  /**
   * Whether the selected heads stand out in the model view.
   */
  marked?: boolean;
  /**
   * For paper: each view is as high as all of its content, without what only the pointer needs.
   */
  whole?: boolean;
  /**
   * Lines of words below everything, part of the legend.
   */
  notes?: string[];
  /**
   * Leave the background out.
   */
  transparent?: boolean;
  /**
   * A family that comes before the usual ones.
   */
  font?: string;
  size?: FigureSize;
  raster_links?: RasterLinks;
  /**
   * Links of less weight are not drawn as lines.
   */
  threshold?: number;
  /**
   * Whether the tokens of lines stand below one another or side by side.
   */
  layout?: "vertical" | "horizontal";
  /**
   * Which way the tokens run, or where they stand below one another, the links from queries to keys.
   */
  direction?: "ltr" | "rtl";
  grid?: FigureGrid;
}
/**
 * The width of all of the figure as it is printed, margins included.
 */
export interface FigureSize {
  width: number;
  unit: "mm" | "cm" | "in" | "pt" | "px";
  /**
   * CSS pixels of the print for each pixel of the layout, in which labels are 12 high.
   */
  zoom: number;
}
/**
 * For a file that is converted from the SVG: when links are one picture, and how fine that is.
 */
export interface RasterLinks {
  /**
   * Pixels of the picture for each pixel of the layout.
   */
  scale: number;
  /**
   * Links that all panels together draw as vectors.
   */
  most: number;
}
/**
 * The head view once for each of these heads, in place of the selected ones together.
 */
export interface FigureGrid {
  /**
   * @minItems 1
   */
  heads: HeadRef[];
  columns: number | null;
}
/**
 * What the page asks of the kernel, as anywidget's `invoke` sends it. Whatever it is, one answer comes back, with the same id: null where it had none.
 */
export interface Command {
  id: string;
  kind: "anywidget-command";
  name:
    | "blocks"
    | "saved"
    | "still_drawn"
    | "freeze_shown"
    | "open_example"
    | "draw_pdf"
    | "edit_text"
    | "compare_before"
    | "start_effects"
    | "stop_effects"
    | "start_trace"
    | "stop_trace";
  msg: Messages[keyof Messages];
}
/**
 * What each command brings with it, by the command's name.
 */
export interface Messages {
  blocks: BlocksMessage;
  saved: SavedMessage;
  still_drawn: StillDrawnMessage;
  freeze_shown: FreezeMessage;
  draw_pdf: PdfMessage;
  open_example: OpenMessage;
  edit_text: EditMessage;
  compare_before: CompareBeforeMessage;
  start_effects: StartEffectsMessage;
  stop_effects: StopEffectsMessage;
  start_trace: StartTraceMessage;
  stop_trace: StopTraceMessage;
}
/**
 * Answered with a reply to each request, in order.
 */
export interface BlocksMessage {
  /**
   * Each is compared with `Request` by itself: one that is none takes nothing from the others.
   *
   * @maxItems 65536
   */
  requests: readonly Request[];
}
/**
 * The figure that a message `save` asked for, as a buffer, or why there is none.
 */
export interface SavedMessage {
  token: string;
  error?: string;
}
/**
 * The PNG that a message `still` asked for, as a buffer, how large it stands on the page, and what it shows.
 */
export interface StillDrawnMessage {
  /**
   * CSS pixels. A size that cannot be is not taken: the picture's own stands in its place.
   */
  width: number;
  height: number;
  /**
   * What the reading line says of it.
   */
  said: string;
}
export interface FreezeMessage {
  /**
   * CSS pixels that the copy takes.
   */
  height: number;
}
/**
 * Answered with a PDF of what is shown, as a buffer.
 */
export interface PdfMessage {}
export interface OpenMessage {
  /**
   * Index of the survey's input that is recorded and shown.
   */
  example: number;
  /**
   * The query that is selected in it.
   */
  query?: number;
  /**
   * The key that is selected in it.
   */
  key?: number;
}
export interface EditMessage {
  /**
   * What the model is run on: one in the place of each of `Editing.texts`.
   *
   * @minItems 1
   * @maxItems 10000
   */
  texts: readonly string[];
}
export interface CompareBeforeMessage {
  /**
   * Whether the record before is shown beside the one now, or the one now alone; under an edit, the record without it and the one with it.
   */
  on: boolean;
}
/**
 * Run the model once without each head, of the metric on show; answered at once, what is found comes in the trait `effects`.
 */
export interface StartEffectsMessage {
  /**
   * What is put in the place of a head's output. A mean, or another input's output, needs texts, which only Python gives.
   */
  how: "zero";
  /**
   * Instead of the metric on show, that which the record has the gradients of, at the position that they are of.
   */
  of?: "gradients";
}
/**
 * Run the model for no further head; what was found stays.
 */
export interface StopEffectsMessage {}
/**
 * Trace the metric on show back over the links of the stream on show; answered at once, what is found comes in the trait `traced`.
 */
export interface StartTraceMessage {
  /**
   * Least size of a link, as a share of the largest.
   */
  threshold: number;
  /**
   * How many links are cut, at most.
   */
  budget: number;
  /**
   * Whether one that is there, or on its way, is replaced.
   */
  again: boolean;
}
/**
 * Cut no further link; what was found stays.
 */
export interface StopTraceMessage {}
/**
 * The answer to a command that could not be carried out.
 */
export interface CommandError {
  error: string;
}
/**
 * The kernel asks the page to draw a figure, which the command `saved` brings.
 */
export interface SaveMessage {
  kind: "save";
  token: string;
  format: "svg" | "png";
  scale: number;
  width?: number;
  figure: Figure;
  state: State;
}
/**
 * The kernel asks the page for the still picture of the notebook, which the command `still_drawn` brings.
 */
export interface StillMessage {
  kind: "still";
  /**
   * Bytes of the PNG at most.
   */
  most: number;
}
export interface Position {
  label: string;
  kind: "token" | "special" | "word" | "patch" | "frame" | "latent";
  /**
   * Of two compared records, the one that has it, when the other has not.
   */
  only?: "a" | "b";
  /**
   * Of a series of compared records, the letters of those that have it, when not all have.
   */
  among?: string;
  /**
   * This piece continues the word before it.
   */
  continues?: boolean;
  text?: string;
  row?: number;
  column?: number;
  /**
   * Start of an audio frame in seconds; it lasts until the next one.
   */
  time?: number;
  /**
   * Rows and columns of the grid that row and column count in; it covers the medium evenly.
   *
   * @minItems 2
   * @maxItems 2
   */
  grid?: readonly [number, number];
  /**
   * Which position it is, where others before it are left out.
   */
  index?: number;
  /**
   * Index into meta.media of the picture or the sound that this position lies in.
   */
  medium?: number;
  segment?: number;
  role?: string;
}
/**
 * Positions column by column. `marks` has a digit for each: 1 when it continues the word before it, plus 2 when its text is its label, 4 when it is a space and the label, 6 when it is the next of `texts`. `runs` has, of every other field, values and how many positions in a row have it; null where they have none.
 */
export interface PackedPositions {
  labels: string[];
  marks: string;
  texts: string[];
  runs: Record<string, readonly (readonly [unknown, number])[]>;
}
/**
 * What of the input can be edited in place: the trait `_editing`, null where no single record is shown.
 */
export interface Editing {
  texts: readonly {readonly name: string; readonly text: string}[];
  /**
   * Why nothing can be edited, where nothing can.
   */
  reason?: string;
  /**
   * There is a record before this one to compare with.
   */
  before: boolean;
  /**
   * It is shown beside this one.
   */
  comparing: boolean;
  /**
   * How many times a text was edited: another number is another record, even where its description is the same.
   */
  run: number;
}
