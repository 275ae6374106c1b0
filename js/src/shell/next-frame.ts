// When something is drawn: at the browser's next frame, where there is one.

/** A page in sight has its frames within this. */
const NO_FRAME_MS = 250;

/**
 * Call `draw` at the next frame, or a while later where none comes; returns what calls it off.
 *
 * @param unseen Whether it is to be drawn out of sight, too. Browsers have no frames for a page of another origin, such as
 *   a frozen copy, until it is scrolled to: it would have neither its picture nor its height before, nor ever in print.
 */
export function nextFrame(unseen: boolean, draw: () => void): () => void {
  let timer = 0;
  const frame = requestAnimationFrame(() => {
    clearTimeout(timer);
    draw();
  });
  if (unseen) {
    timer = window.setTimeout(() => {
      cancelAnimationFrame(frame);
      draw();
    }, NO_FRAME_MS);
  }
  return () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
}
