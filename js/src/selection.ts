// What the user has selected, over any number of rows; the browser's selection shows the part of it that is drawn.
import { clamp } from './dom';
import type { Log } from './log';
import type { Rows } from './rows';
import { plain } from './sgr';

export interface Place {
  row: number;
  column: number; // in characters, not in UTF-16 units: so the kernel counts; Infinity is the end of the row
}
type Point = [node: Node, offset: number];

const EDGE_MS = 40; // between two steps when the mouse is dragged beyond an edge
const MOST_STEP = 300; // px
const CORNER = 16; // px

export class Selection {
  private anchor?: Place;
  private focus?: Place;
  private native = false; // the browser's own selection of words or rows, by two or three clicks, is going on
  private dragged = false;
  private mouse = { x: 0, y: 0 };
  private edge = 0;

  constructor(
    private readonly log: Log,
    private readonly rows: Rows,
  ) {
    log.root.addEventListener('mousedown', (event) => this.pressed(event));
    log.root.addEventListener('dragstart', (event) => event.preventDefault()); // a link is text to select, too
    log.root.addEventListener('click', (event) => this.dragged && event.preventDefault(), true);
    document.addEventListener('selectionchange', this.changed);
  }

  /** Its two ends in order, or nothing. */
  get range(): [Place, Place] | undefined {
    if (!this.anchor || !this.focus) return undefined;
    const order = this.anchor.row - this.focus.row || this.anchor.column - this.focus.column;
    if (!order || Number.isNaN(order)) return undefined;
    return order < 0 ? [this.anchor, this.focus] : [this.focus, this.anchor];
  }

  clear(): void {
    this.anchor = this.focus = undefined;
  }

  selectAll(): void {
    this.anchor = { row: 0, column: 0 };
    this.focus = { row: this.rows.total - 1, column: Infinity };
    this.log.redraw();
  }

  /** The selected text, unless a row of it is not here. */
  text([start, end]: [Place, Place]): string | undefined {
    if (!this.rows.has(start.row, end.row)) return undefined;
    const texts: string[] = [];
    for (let row = start.row; row <= end.row; row++) {
      const characters = Array.from(plain(this.rows.get(row)!.slice(1)));
      texts.push(characters.slice(row === start.row ? start.column : 0, row === end.row ? end.column : Infinity).join(''));
    }
    return texts.join('\n');
  }

  /** Show it in the rows that are drawn now. */
  apply(): void {
    this.changed(); // the event may be still to come
    const typing = document.activeElement instanceof HTMLInputElement; // it would lose its caret
    if (!this.anchor || !this.focus || this.native || typing) return;
    const selection = document.getSelection();
    const points = this.points();
    if (points && !same(selection, points)) selection?.setBaseAndExtent(...points[0], ...points[1]);
    if (!points && this.holds(selection) && !selection?.isCollapsed) selection?.removeAllRanges();
  }

  close(): void {
    document.removeEventListener('selectionchange', this.changed);
    this.released();
  }

  private readonly changed = (): void => {
    const selection = document.getSelection();
    if (!selection?.rangeCount || isInFind(selection.anchorNode)) return; // none of it is drawn, or the user types
    if (!this.holds(selection)) this.anchor = this.focus = undefined;
    else if (this.native) {
      this.anchor = this.placeOf(selection.anchorNode!, selection.anchorOffset);
      this.focus = this.placeOf(selection.focusNode!, selection.focusOffset);
    }
  };

  private pressed(event: MouseEvent): void {
    const { root } = this.log;
    if (event.button !== 0 || isOnBar(root, event)) return;
    this.dragged = false;
    this.native = event.detail > 1;
    addEventListener('mouseup', this.released);
    if (this.native) return;
    event.preventDefault(); // the browser would select drawn rows only, and scroll by px that may be scaled
    root.focus({ preventScroll: true });
    this.mouse = { x: event.clientX, y: event.clientY };
    const place = this.placeAtMouse();
    if (!event.shiftKey) document.getSelection()?.collapse(root, 0); // tells other cards that theirs is over
    if (!event.shiftKey || !this.anchor) this.anchor = place;
    this.focus = place;
    addEventListener('mousemove', this.moved);
    this.log.redraw();
  }

  private readonly moved = (event: MouseEvent): void => {
    this.mouse = { x: event.clientX, y: event.clientY };
    this.focus = this.placeAtMouse();
    if (this.range) {
      this.dragged = true;
      this.log.following = false; // else new rows would pull the text away under the mouse
    }
    const [dx, dy] = this.beyond();
    if (!dx && !dy) this.stopAtEdge();
    else this.edge ||= setInterval(() => this.scrollAtEdge(), EDGE_MS);
    this.log.redraw();
  };

  private readonly released = (): void => {
    this.stopAtEdge();
    removeEventListener('mousemove', this.moved);
    removeEventListener('mouseup', this.released);
    if (this.native) setTimeout(() => (this.native = false)); // behind the event that tells of the last change
  };

  private scrollAtEdge(): void {
    const [dx, dy] = this.beyond();
    this.log.scrollBy(clamp(dy, -MOST_STEP, MOST_STEP));
    this.log.root.scrollLeft += clamp(dx, -MOST_STEP, MOST_STEP);
    this.log.following = false;
    this.focus = this.placeAtMouse();
  }

  private stopAtEdge(): void {
    clearInterval(this.edge);
    this.edge = 0;
  }

  /** How far the mouse is outside of the log. */
  private beyond(): [number, number] {
    const box = this.log.root.getBoundingClientRect();
    const { x, y } = this.mouse;
    return [x - clamp(x, box.left, box.right), y - clamp(y, box.top, box.bottom)];
  }

  private placeAtMouse(): Place {
    const { root } = this.log;
    const box = root.getBoundingClientRect();
    const x = clamp(this.mouse.x, box.left + 1, box.left + root.clientWidth - 2);
    const y = clamp(this.mouse.y, box.top + 1, box.top + root.clientHeight - 2);
    const row = this.log.rowAt(y - box.top);
    const point = caretAt(x, y);
    const place = point && root.contains(point[0]) ? this.placeOf(...point) : undefined;
    return place?.row === row ? place : { row, column: this.mouse.y < box.top ? 0 : Infinity };
  }

  private holds(selection: globalThis.Selection | null): boolean {
    const { root } = this.log;
    return !!selection && root.contains(selection.anchorNode) && root.contains(selection.focusNode);
  }

  private placeOf(node: Node, offset: number): Place | undefined {
    const part = node instanceof Element ? node : node.parentElement;
    const row = part?.closest<HTMLElement>('[data-row]');
    if (!row) {
      const next = node.childNodes[offset]; // the point is between two rows
      return next instanceof HTMLElement && next.dataset.row ? { row: Number(next.dataset.row), column: 0 } : undefined;
    }
    const before = document.createRange();
    before.setStart(row, 0);
    before.setEnd(node, offset);
    return { row: Number(row.dataset.row), column: Array.from(before.toString()).length };
  }

  /** Both ends in the page, each moved to the nearest drawn row. */
  private points(): [Point, Point] | undefined {
    const range = this.range;
    const { first, last } = this.log.range;
    if (!range || range[1].row < first || range[0].row >= last) return undefined;
    const anchor = this.pointOf(this.anchor!);
    const focus = this.pointOf(this.focus!);
    return anchor && focus && [anchor, focus];
  }

  private pointOf({ row, column }: Place): Point | undefined {
    const { first, last } = this.log.range;
    const element = this.log.rowElement(clamp(row, first, last - 1));
    return element && pointIn(element, row < first ? 0 : row >= last ? Infinity : column);
  }
}

/** Where a column of a row is in the page. */
export function pointIn(row: HTMLElement, column: number): Point {
  const units = column === Infinity ? Infinity : Array.from(row.textContent).slice(0, column).join('').length;
  const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
  let left = units;
  let point: Point = [row, 0];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const { length } = node as Text;
    point = [node, Math.min(left, length)];
    if (left <= length) break;
    left -= length;
  }
  return point;
}

function same(selection: globalThis.Selection | null, [anchor, focus]: [Point, Point]): boolean {
  if (!selection) return false;
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
  return anchorNode === anchor[0] && anchorOffset === anchor[1] && focusNode === focus[0] && focusOffset === focus[1];
}

function isInFind(node: Node | null): boolean {
  return node instanceof Element && !!node.closest('.ipyproc-find');
}

/** Whether the mouse is on a scroll bar, or on the corner by which the user drags the height. */
function isOnBar(box: HTMLElement, event: MouseEvent): boolean {
  const { left, top, right, bottom } = box.getBoundingClientRect();
  const onCorner = right - event.clientX < CORNER && bottom - event.clientY < CORNER;
  return onCorner || event.clientX - left > box.clientWidth || event.clientY - top > box.clientHeight;
}

function caretAt(x: number, y: number): Point | undefined {
  if (document.caretPositionFromPoint) {
    const caret = document.caretPositionFromPoint(x, y);
    return caret ? [caret.offsetNode, caret.offset] : undefined;
  }
  const caret = document.caretRangeFromPoint(x, y); // Safari
  return caret ? [caret.startContainer, caret.startOffset] : undefined;
}
