// When views draw what the kernel has told them. A few do that at once; many wait for each other, because a frame costs the
// page about the same however much has changed in it.

const FEW = 2; // views
const LATELY_MS = 1500;
const BEAT_MS = 500;

const active = new Map<object, number>(); // when each view had something to draw; the one that had last is the last item
const waiting = new Map<object, () => void>();
let beat = 0;
let drewAt = 0;

/** Draw this view now, or in the same frame as others. */
export function together(view: object, draw: () => void): void {
  const now = performance.now();
  active.delete(view);
  active.set(view, now);
  for (const [each, at] of active) {
    if (now - at < LATELY_MS) break;
    active.delete(each);
  }
  if (active.size <= FEW && !waiting.has(view)) return draw();
  waiting.set(view, draw);
  beat ||= setTimeout(drawAll, BEAT_MS - ((now - drewAt) % BEAT_MS));
}

/** The view is closed. */
export function leave(view: object): void {
  active.delete(view);
  waiting.delete(view);
}

/** Draw all that wait; the clock of all views does it, too, for there is a frame then. */
export function drawAll(): void {
  clearTimeout(beat);
  beat = 0;
  drewAt = performance.now();
  const all = [...waiting.values()];
  waiting.clear();
  for (const draw of all) draw();
}
