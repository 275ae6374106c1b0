/* Generated from attnwidget/protocol/schema.json by `npm run generate`. */

/** Cells along a side of a tile of a head's map; at level 0 a cell is one weight. */
export const TILE_SIZE = 256;

/** Weights per band of query rows, or of key columns: 64 kB of float32. A window onto a head takes a few bands. */
export const BAND_WEIGHTS = 16384;

/** Up to this many weights a head travels whole, as rows, and its map is made of them; the map of a larger one comes as tiles. */
export const LARGEST_WHOLE_HEAD = 1048576;

/** Entries along the longer side of a thumbnail, at most. */
export const THUMBNAIL_SIZE = 48;

/** Above this mean weight on the first position, setting it aside is offered. */
export const SINK_SHARE = 0.25;

/** Measures that are weights times a length per key. */
export const WEIGHTED_MEASURES = ["value", "norm"] as const;

/** Measures of records with the gradients of a metric: weights times them, and the positive part of that. */
export const GRADIENT_MEASURES = ["gradient", "relevance"] as const;

/** Of a longer axis, the neuron view of a whole head shows so many positions around what is pinned. */
export const EXPLAINED_WINDOW = 128;

/** Letters of compared records, in their order: so many can be compared at most. */
export const SIDES = "abcdefghijklmnopqrstuvwxyz";

/** The score that is the weight of the links in `State.ranking`. */
export const RANKING = "ranking";

/** Where nobody says which grouping is shown, the first of these that a stream has: the caller's own, who speaks, what kind of input a position is. */
export const USUAL_GROUPINGS = ["own", "segment", "role", "turn", "modality", "part"] as const;

/** What positions in no group are called. */
export const REST_GROUP = "rest";

/** The score that is how much the metric changes without a head: its numbers are in the trait `effects`, and in no block. */
export const EFFECT = "effect";

/** The traits of the shared selection, in the order of the schema. */
export const STATE_NAMES = ["view", "stream", "layer", "heads", "query", "key", "measure", "positions", "form", "compare", "step", "theme", "score", "other_score", "arrange", "threshold", "below_threshold", "show_layers", "ranking", "explain", "top_k", "mass", "aside", "shade", "together", "together_layers", "panels", "grouping", "from_group", "to_group", "colour"] as const;
