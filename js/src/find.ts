// The bar below the log that finds text in all rows, in the kernel, and goes to a line by its number.
import { clamp, element, iconButton } from './dom';
import type { Log } from './log';
import type { Rows } from './rows';
import { type Found, type Send, newId } from './wire';

const TYPING_MS = 250;
const MOST_MARKS = 500; // in the drawn rows; of the letter `e` there are too many to tell one from another anyway
const HIGHLIGHT = 'ipyproc-match';

export class Find {
  readonly bar = element('div', 'find', { role: 'search', 'aria-label': 'Find in the output' });
  readonly input = element('input', 'find-text', {
    type: 'text',
    'aria-label': 'Find, or :123 for a line',
    placeholder: 'Find, or :123 for a line',
    spellcheck: 'false',
    autocomplete: 'off',
  });
  private readonly count = element('span', 'find-count', { 'aria-live': 'polite' });
  private rowsFound = new Uint32Array();
  private more = false;
  private searched = 0; // rows there were when the kernel searched
  private at = -1; // index of the current one
  private asked = '';
  private askedFor = '';
  private step = 0; // where to go from the current one when the answer comes
  private timer = 0;
  private marks: StaticRange[] = [];
  private unrevealed = false; // the current match may be beside the view

  constructor(
    private readonly log: Log,
    private readonly rows: Rows,
    private readonly send: Send,
    private readonly toggled: () => void,
  ) {
    this.bar.hidden = true;
    this.bar.append(
      this.input,
      this.count,
      iconButton('previous', 'Previous (Shift+Enter)', () => this.go(-1)),
      iconButton('next', 'Next (Enter)', () => this.go(1)),
      iconButton('close', 'Close (Escape)', () => this.close()),
    );
    this.input.addEventListener('input', () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.search(), TYPING_MS);
    });
  }

  get isOpen(): boolean {
    return !this.bar.hidden;
  }

  /** Open it, with a text to find. */
  open(text = ''): void {
    this.bar.hidden = false;
    if (text) this.input.value = text;
    this.input.focus();
    this.input.select();
    if (this.input.value) this.search();
    this.toggled();
  }

  close(): void {
    clearTimeout(this.timer);
    this.bar.hidden = true;
    this.forget();
    this.log.root.focus({ preventScroll: true });
    this.toggled();
  }

  /** A key in the bar; true when it is for us. */
  key(event: KeyboardEvent): boolean {
    if (event.key === 'Escape') this.close();
    else if (event.key === 'Enter' && event.target === this.input && !event.isComposing) this.go(event.shiftKey ? -1 : 1);
    else return false;
    return true;
  }

  found(message: Found, buffer: DataView | undefined): void {
    if (message.id !== this.asked) return;
    const before = this.current;
    const bytes = buffer ? buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength) : new ArrayBuffer();
    this.rowsFound = new Uint32Array(bytes as ArrayBuffer);
    this.more = message.more;
    this.searched = message.total;
    this.at = this.step && before >= 0 ? this.beside(before, this.step) : this.nearest();
    this.show();
  }

  /** Highlight the text in the rows that are drawn now. */
  highlight(): void {
    const highlights = shared();
    if (!highlights) return;
    for (const mark of this.marks) highlights.delete(mark);
    this.marks = this.isOpen && this.askedFor ? this.matches() : [];
    for (const mark of this.marks) highlights.add(mark);
    if (this.unrevealed) this.reveal();
  }

  end(): void {
    clearTimeout(this.timer);
    this.askedFor = '';
    this.highlight();
  }

  private get current(): number {
    return this.rowsFound[this.at] ?? -1;
  }

  private go(step: number): void {
    clearTimeout(this.timer);
    const line = /^:(\d+)$/.exec(this.input.value.trim());
    if (line) this.goToLine(Number(line[1]));
    else if (this.input.value !== this.askedFor || this.searched < this.rows.total) this.search(step);
    else if (this.rowsFound.length) {
      this.at = (this.at + step + this.rowsFound.length) % this.rowsFound.length;
      this.show();
    }
  }

  private goToLine(line: number): void {
    this.forget();
    const row = clamp(line, 1, this.rows.total) - 1;
    this.log.marked = row;
    this.count.textContent = `line ${row + 1}`;
    this.log.show(row);
  }

  private search(step = 0): void {
    const text = this.input.value;
    if (!text || /^:\d*$/.test(text.trim())) {
      this.forget();
      return;
    }
    this.step = text === this.askedFor ? step : 0;
    this.askedFor = text;
    this.asked = newId();
    this.send('find', { id: this.asked, text, case: hasUpper(text) });
  }

  private forget(): void {
    this.asked = this.askedFor = this.count.textContent = '';
    this.rowsFound = new Uint32Array();
    this.at = this.log.marked = -1;
    this.unrevealed = false;
    this.highlight();
    this.log.redraw();
  }

  /** The first at or below the upper edge of the view, or else the last. */
  private nearest(): number {
    const below = this.rowsFound.findIndex((row) => row >= Math.floor(this.log.top));
    return below < 0 ? this.rowsFound.length - 1 : below;
  }

  private beside(row: number, step: number): number {
    const { rowsFound } = this;
    if (step > 0) return Math.max(0, rowsFound.findIndex((other) => other > row));
    const from = rowsFound.findIndex((other) => other >= row);
    return (from > 0 ? from : rowsFound.length) - 1;
  }

  private show(): void {
    const all = this.rowsFound.length.toLocaleString('en') + (this.more ? '+' : '');
    this.count.textContent = this.rowsFound.length ? `${(this.at + 1).toLocaleString('en')} of ${all}` : 'none';
    this.log.marked = this.current;
    this.unrevealed = this.current >= 0;
    if (this.current >= 0) this.log.show(this.current);
    this.highlight();
    this.log.redraw();
  }

  /** Scroll a long row sideways to its first match, once it is drawn. */
  private reveal(): void {
    const row = this.log.rowElement(this.current);
    const mark = this.marks.find(({ startContainer }) => row?.contains(startContainer));
    if (!mark) return;
    this.unrevealed = false;
    const range = document.createRange();
    range.setStart(mark.startContainer, mark.startOffset);
    range.setEnd(mark.endContainer, mark.endOffset);
    this.log.revealSideways(range.getBoundingClientRect());
  }

  private matches(): StaticRange[] {
    const pattern = new RegExp(this.askedFor.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'), hasUpper(this.askedFor) ? 'g' : 'gi');
    const { first, last } = this.log.range;
    const found: StaticRange[] = [];
    for (let row = first; row < last && found.length < MOST_MARKS; row++) {
      const element = this.log.rowElement(row);
      if (element) found.push(...matchesIn(element, pattern, MOST_MARKS - found.length));
    }
    return found;
  }
}

/** The texts of the row are walked once, beside its matches. */
function matchesIn(row: HTMLElement, pattern: RegExp, most: number): StaticRange[] {
  const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
  let node = walker.nextNode() as Text | null;
  let from = 0; // where the node begins
  const point = (at: number): [Text, number] | undefined => {
    while (node && at > from + node.length) {
      from += node.length;
      node = walker.nextNode() as Text | null;
    }
    return node ? [node, at - from] : undefined;
  };
  const found: StaticRange[] = [];
  for (const match of row.textContent.matchAll(pattern)) {
    if (found.length >= most) break;
    const start = point(match.index);
    const end = start && point(match.index + match[0].length);
    if (!end) break;
    found.push(new StaticRange({ startContainer: start[0], startOffset: start[1], endContainer: end[0], endOffset: end[1] }));
  }
  return found;
}

/** One highlight for all cards: the page has one registry. */
function shared(): Highlight | undefined {
  if (!('highlights' in CSS)) return undefined;
  let highlight = CSS.highlights.get(HIGHLIGHT);
  if (!highlight) CSS.highlights.set(HIGHLIGHT, (highlight = new Highlight()));
  return highlight;
}

/** A text with a capital letter is meant as it is written. */
function hasUpper(text: string): boolean {
  return text !== text.toLowerCase();
}
