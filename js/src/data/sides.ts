// Letters of compared records: in requests, at positions that not all of them have, and on the screen.

import { SIDES } from "../protocol/constants.js";
import type { Position } from "../protocol/generated.js";

/** The letter that requests name the n-th record by. */
export const sideOf = (n: number): string => SIDES[n] as string;

/** "B", or "A, C": the records that have something, by their letters. */
export const sideNames = (letters: string): string => letters.toUpperCase().split("").join(", ");

/** Of compared records the letters of those that have a position; undefined where all have. */
export const heldBy = (position: Position | undefined): string | undefined =>
  position?.among ?? position?.only;
