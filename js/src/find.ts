// The bar below the log that finds text in all rows, in the kernel, and goes to a line by its number.
import { clamp, element, iconButton } from './dom';
import { Hits, hasUpper, patternOf } from './hits';
import type { Log } from './log';
import { type Found, MOST_FIND } from './messages';
import type { Rows } from './rows';
import { type Send, newId } from './wire';

const TYPING_MS = 250;
const MOST_BYTES = 4; // of a character
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
    maxlength: String(MOST_FIND / MOST_BYTES),
  });
  private readonly count = element('span', 'find-count', { 'aria-live': 'polite' });
  private hits = new Hits();
  private asked = '';
  private askedFor = '';
  private step = 0; // where to go from the current one when the answer comes
  private timer = 0;
  private marks: StaticRange[] = [];
  private unrevealed = false; // the current match may be out of sight, sideways

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
    if (text) this.input.value = text.slice(0, this.input.maxLength);
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
    const before = this.hits.current;
    this.hits = new Hits(message, buffer);
    if (this.step && before >= 0) this.hits.goBeside(before, this.step);
    else this.hits.goNear(this.log.top);
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

  private go(step: number): void {
    clearTimeout(this.timer);
    const line = /^:(\d+)$/.exec(this.input.value.trim());
    if (line) this.goToLine(Number(line[1]));
    else if (this.input.value !== this.askedFor || this.hits.searched < this.rows.total) this.search(step);
    else if (this.hits.current >= 0) {
      this.hits.go(step);
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
    this.send({ op: 'find', stream: this.rows.stream, id: this.asked, text, case: hasUpper(text) });
  }

  /** What was found is no longer there. */
  forget(): void {
    this.asked = this.askedFor = this.count.textContent = '';
    this.hits = new Hits();
    this.log.marked = -1;
    this.unrevealed = false;
    this.highlight();
    this.log.redraw();
  }

  private show(): void {
    const { current } = this.hits;
    this.count.textContent = this.hits.label;
    this.log.marked = current;
    this.unrevealed = current >= 0;
    if (current >= 0) this.log.show(current);
    this.highlight();
    this.log.redraw();
  }

  /** Scroll a long row sideways to its first match, once it is drawn. */
  private reveal(): void {
    const row = this.log.rowElement(this.hits.current);
    const mark = this.marks.find(({ startContainer }) => row?.contains(startContainer));
    if (!mark) return;
    this.unrevealed = false;
    const range = document.createRange();
    range.setStart(mark.startContainer, mark.startOffset);
    range.setEnd(mark.endContainer, mark.endOffset);
    this.log.revealSideways(range.getBoundingClientRect());
  }

  private matches(): StaticRange[] {
    const pattern = patternOf(this.askedFor);
    const { first, last } = this.log.range;
    const found: StaticRange[] = [];
    for (let row = first; row < last && found.length < MOST_MARKS; row++) {
      const element = this.log.rowElement(row);
      if (element) found.push(...matchesIn(element, pattern, MOST_MARKS - found.length));
    }
    return found;
  }
}

/** Walks the texts of a row and its matches together, once. */
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
