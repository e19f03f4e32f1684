// The output of a process: of any number of rows only those in sight are in the page, and a margin.
//
// What counts is `top`: the row at the upper edge of the view, and the part of it above that. With few rows, the browser
// scrolls; with many, the scroll bar is scaled, and wheel and keys move by rows. See geometry.ts.
import { clamp, element } from './dom';
import { Geometry, MOST_PX, PADDING, ROW } from './geometry';
import { fill } from './row';
import { LAST_ROWS } from './messages';
import type { Rows } from './rows';
import { plain } from './sgr';

const AHEAD = 60; // rows on either side that are asked for before they come in sight; not while it follows a flood
const LEAST_CHARACTER = 3; // px; no font draws a row in fewer for each character
const LABEL_MS = 300;
const FRAME_US = 7_000; // what the new rows of one frame may cost
const CHARACTER_US = 0.25; // what they cost, by measurement on a slow machine: to make, to style and to lay out
const ELEMENT_US = 18;
const STREAMS = ['ipyproc-aside', 'ipyproc-out', 'ipyproc-err'];
const SAID = ['ipyproc-plain', 'ipyproc-warning', 'ipyproc-error'];

interface Drawn {
  element: HTMLElement;
  text: string | undefined;
}

export class Log {
  readonly root = element('div', 'log', { role: 'log', 'aria-live': 'off', 'aria-label': 'Output', tabindex: '0' });
  marked = -1; // the row that was found
  failed = false; // the last rows may say why
  top = 0;
  unseen = 0; // rows that came since it stopped following
  private readonly sheet = element('div', 'sheet'); // as high as all rows
  private readonly lines = element('div', 'lines'); // the drawn ones
  private readonly drawn = new Map<number, Drawn>();
  private readonly geometry: Geometry;
  private width = 0; // of the view
  private widest = 0;
  private placed = 0; // where we have put the scroll bar: all else is the user's doing
  private centred = -1; // the row that stays in the middle until the user scrolls
  private follow = true;
  private seen = 0; // rows that were there when it stopped following
  private frame = 0;
  private isSeen = true; // until it is known
  private stale = false; // it has changed since it was drawn
  private label = 0;
  private toldAt = 0;
  private digits = 0;
  private readonly observer = new ResizeObserver(([entry]) => this.resized(entry!.contentRect));

  constructor(
    private readonly rows: Rows,
    private readonly onDrawn: (changed: boolean) => void,
  ) {
    this.geometry = new Geometry(rows);
    this.sheet.append(this.lines);
    this.root.append(this.sheet);
    this.root.addEventListener('scroll', () => this.scrolled(), { passive: true });
    this.root.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    this.observer.observe(this.root);
  }

  get following(): boolean {
    return this.follow;
  }

  set following(on: boolean) {
    if (this.follow && !on) this.seen = this.rows.total;
    if (on) this.centred = -1;
    this.follow = on;
    this.redraw();
  }

  get wrap(): boolean {
    return this.geometry.wrapped;
  }

  set wrap(on: boolean) {
    this.geometry.wrapped = on;
    this.root.classList.toggle('ipyproc-wrapped', on);
    this.sheet.style.minWidth = '';
    this.widest = 0;
    this.redraw();
  }

  /** The drawn rows, up to `last` without it. */
  get range(): { first: number; last: number } {
    return { first: this.geometry.first, last: this.geometry.last };
  }

  rowElement(row: number): HTMLElement | undefined {
    return this.drawn.get(row)?.element;
  }

  set inSight(seen: boolean) {
    this.isSeen = seen;
    if (seen && this.stale) this.redraw();
  }

  /** Draw in the next frame; if it was drawn before and is out of sight, only when it is in sight again. */
  redraw(): void {
    this.stale = !this.isSeen && this.drawn.size > 0;
    if (!this.stale) this.frame ||= requestAnimationFrame(() => this.draw());
  }

  /** Bring a row into the middle. */
  show(row: number): void {
    this.following = false;
    this.centred = clamp(row, 0, this.rows.total - 1);
  }

  /** Move by this many px; false at the end. */
  scrollBy(px: number): boolean {
    const before = this.top;
    this.moveTo(this.geometry.at(this.geometry.y(this.top) + px));
    return this.top !== before;
  }

  scrollPage(direction: 1 | -1): void {
    this.scrollBy(direction * Math.max(ROW, this.geometry.page - ROW));
  }

  scrollToEnd(direction: 1 | -1): void {
    this.moveTo(direction < 0 ? 0 : this.geometry.end());
  }

  /** Scroll sideways until this is in sight, with some of what stands before it. */
  revealSideways({ left, right }: DOMRect): void {
    const box = this.root.getBoundingClientRect();
    const before = this.width / 4;
    if (left < box.left + before / 2 || right > box.right) this.root.scrollLeft += left - box.left - before;
  }

  /** The row at this distance from the upper edge of the view. */
  rowAt(px: number): number {
    return clamp(Math.floor(this.geometry.at(this.geometry.y(this.top) + px - PADDING)), 0, this.rows.total - 1);
  }

  close(): void {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.label);
  }

  private moveTo(top: number): void {
    this.centred = -1;
    const up = top < this.top;
    const end = this.geometry.end();
    this.top = clamp(top, 0, end);
    this.following = !up && this.top >= end;
  }

  private draw(): void {
    this.frame = 0;
    const { total } = this.rows;
    this.top = this.centred >= 0 ? this.centred : this.follow ? total : clamp(this.top, 0, total);
    const changed = this.fill(...this.geometry.around(this.top, (row) => this.leastHeight(row)));
    if (this.geometry.wrapped) this.measure();
    if (this.centred >= 0) this.top = this.geometry.at(this.geometry.y(this.centred) - (this.geometry.page - ROW) / 2);
    this.top = clamp(this.top, 0, this.geometry.end());
    this.place();
    if (this.follow) this.seen = total;
    this.unseen = Math.max(0, total - this.seen);
    this.rows.want(Math.floor(this.top), this.geometry.bottom(this.top), this.follow ? 0 : AHEAD);
    if (performance.now() - this.toldAt > LABEL_MS) this.tell();
    else this.label ||= setTimeout(() => this.tell(), LABEL_MS);
    this.onDrawn(changed);
  }

  private leastHeight(row: number): number {
    const text = this.rows.get(row) ?? '';
    const least = (length: number) => Math.max(1, Math.floor((length * LEAST_CHARACTER) / (this.width || Infinity)));
    return ROW * (least(text.length) > 1 ? least(plain(text).length) : 1);
  }

  /** Have exactly these rows in the page; those that have not changed are left alone. */
  private fill(first: number, last: number): boolean {
    const moved = first !== this.geometry.first || last !== this.geometry.last;
    for (const [row, { element }] of this.drawn) {
      if (row >= first && row < last) continue;
      element.remove();
      this.drawn.delete(row);
    }
    let next = this.lines.firstChild;
    for (let row = first; row < last; row++) {
      let drawn = this.drawn.get(row);
      if (!drawn) this.drawn.set(row, (drawn = this.newRow(row)));
      if (drawn.element === next) next = next.nextSibling;
      else this.lines.insertBefore(drawn.element, next);
      drawn.element.classList.toggle('ipyproc-marked', row === this.marked);
      drawn.element.classList.toggle('ipyproc-ending', this.failed && row >= this.rows.total - LAST_ROWS);
    }
    this.geometry.first = first;
    this.geometry.last = last;
    return this.fillRows() || moved;
  }

  /** Put the texts into the rows, from the middle on. What takes too long for one frame is left to the next. */
  private fillRows(): boolean {
    const middle = this.top + (this.follow ? -1 : 1) * (this.geometry.page / ROW / 2);
    const near = [...this.drawn].sort(([a], [b]) => Math.abs(a - middle) - Math.abs(b - middle));
    let cost = 0;
    for (const [row, drawn] of near) {
      const text = this.rows.get(row);
      // a row whose text has gone from the cache keeps it on the screen until it comes again
      if (text === undefined || text === drawn.text) continue;
      if (cost > FRAME_US) {
        this.redraw();
        break;
      }
      this.fillRow(drawn, text);
      cost += text.length * CHARACTER_US + drawn.element.getElementsByTagName('*').length * ELEMENT_US;
    }
    return cost > 0;
  }

  private newRow(row: number): Drawn {
    const made = element('div', 'row ipyproc-waits');
    made.dataset.row = String(row);
    made.dataset.number = String(row + 1);
    made.textContent = '…';
    return { element: made, text: undefined };
  }

  private fillRow(drawn: Drawn, text: string): void {
    drawn.text = text;
    const { classList } = drawn.element;
    const digit = Number(text.charAt(0));
    classList.remove('ipyproc-waits', ...STREAMS, ...SAID);
    classList.add(STREAMS[digit % 3]!, SAID[Math.floor(digit / 3)]!);
    fill(drawn.element, text.slice(1));
  }

  private measure(): void {
    const rows = [...this.lines.children] as HTMLElement[];
    this.geometry.edges = rows.map((row) => row.offsetTop);
    this.geometry.edges.push(this.lines.offsetHeight);
  }

  /** Put scroll bar and rows where `top` says. All writes but the last ones come before all reads: one layout. */
  private place(): void {
    const { total } = this.rows;
    const { geometry } = this;
    const high = geometry.wrapped && geometry.exact ? (geometry.edges.at(-1) ?? 0) : Math.min(total * ROW, MOST_PX);
    this.sheet.style.height = `${high + 2 * PADDING}px`;
    const digits = String(total).length;
    if (digits !== this.digits) this.root.style.setProperty('--ipyproc-digits', String((this.digits = digits))); // of all rows
    this.root.classList.toggle('ipyproc-tall', high > geometry.page + 1); // a page at 80 % rounds
    const scroll = geometry.exact ? geometry.y(this.top) + geometry.firstY : geometry.share(this.top) * (high - geometry.page);
    const wide = geometry.wrapped ? 0 : this.lines.offsetWidth;
    const wasAt = this.root.scrollTop;
    if (wide > this.widest && wide > this.width + 1) this.sheet.style.minWidth = `${(this.widest = wide)}px`;
    if (Math.abs(wasAt - scroll) > 1) this.root.scrollTop = scroll;
    this.placed = Math.abs(wasAt - scroll) > 1 ? this.root.scrollTop : wasAt;
    const shift = geometry.exact ? geometry.firstY : Math.round(this.placed - geometry.y(this.top));
    this.lines.style.transform = `translateY(${PADDING + shift}px)`;
  }

  /** The scroll bar, or the browser's own scrolling, has moved. */
  private scrolled(): void {
    const now = this.root.scrollTop;
    const before = this.placed;
    if (!this.geometry.height || Math.abs(now - before) <= 1) return;
    this.placed = now;
    this.centred = -1;
    const most = this.root.scrollHeight - this.geometry.height;
    const share = clamp(now / most, 0, 1);
    const end = this.geometry.wrapped ? this.rows.total : this.geometry.end();
    this.top = this.geometry.exact ? this.geometry.at(now - this.geometry.firstY) : share * end;
    this.following = now > before && now >= most - 2;
  }

  /** Where the scroll bar is scaled, the wheel moves by true rows. At the ends it goes on to the notebook. */
  private wheel(event: WheelEvent): void {
    if (this.geometry.exact || event.ctrlKey || event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    const unit = [1, ROW, this.geometry.page][event.deltaMode] ?? 1;
    if (this.scrollBy(event.deltaY * unit)) event.preventDefault();
  }

  private resized({ width, height }: DOMRectReadOnly): void {
    this.width = width;
    this.geometry.height = height;
    this.redraw();
  }

  private tell(): void {
    clearTimeout(this.label);
    this.label = 0;
    this.toldAt = performance.now();
    const lines = `lines ${Math.floor(this.top) + 1} to ${this.geometry.bottom(this.top)} of ${this.rows.total}`;
    this.root.setAttribute('aria-label', `Output, ${lines}`);
  }
}
