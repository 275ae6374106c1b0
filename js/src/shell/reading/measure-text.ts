// Widths of words in the font of the page, which is not that of the pictures.

import { textWidth } from "../../surface/text.js";
import type { Measure } from "./fit-line.js";

/** Where a page lets nobody measure: its font may be so much wider than the one whose widths are known. */
const WIDER = 1.15;

/** Measures text in an element's font without laying anything out. */
export function measureIn(element: Element): Measure {
  const context = document.createElement("canvas").getContext("2d");
  let family = "";
  return (text, size, weight = "normal") => {
    if (!context) return WIDER * textWidth(text, size, "sans", weight);
    family ||= getComputedStyle(element).fontFamily;
    // As in widget.css: what is bold in the line is not quite so.
    context.font = `${weight === "bold" ? 600 : 400} ${size}px ${family}`;
    return context.measureText(text).width;
  };
}
