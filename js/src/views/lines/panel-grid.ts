// Panels of lines in a grid: how many beside one another, how high their rows.

/** Between panels. */
export const PANEL_GAP = 18;
const MIN_WIDTH = 188;
const MAX_WIDTH = 340;
const HIGH_ROW = 16;
/** Below this row height tokens are windowed rather than squeezed further. */
const LOW_ROW = 3;
/** From this row height up rows are whole pixels, so that labels stand sharp. */
const WHOLE_ROW = 8;

export interface PanelGrid {
  readonly rows: number;
  readonly columns: number;
  /** Of one panel. */
  readonly width: number;
}

/** Panels of at least that width in as few rows as fit, evenly filled. */
export function panelGrid(count: number, width: number, least: number = MIN_WIDTH): PanelGrid {
  const most = Math.max(1, Math.floor((width + PANEL_GAP) / (least + PANEL_GAP)));
  const rows = Math.ceil(count / most);
  const columns = Math.ceil(count / rows);
  const each = Math.min(MAX_WIDTH, Math.floor((width - (columns - 1) * PANEL_GAP) / columns));
  return { rows, columns, width: each };
}

/** Rows as high as lets all tokens stand in a panel's body, within limits. */
export function panelRowHeight(tokens: number, body: number): number {
  const fitted = Math.max(LOW_ROW, Math.min(HIGH_ROW, body / tokens));
  return fitted >= WHOLE_ROW ? Math.floor(fitted) : fitted;
}
