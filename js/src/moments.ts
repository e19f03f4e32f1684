// When each line came: a tip beside the row under the pointer, the same for the keyboard, and the way from a moment to its
// line. The kernel is asked when the pointer rests.
import { element } from './dom';
import type { Log } from './log';
import type { RowTime } from './messages';
import type { Rows } from './rows';
import { duration } from './time';
import { type Send, newId } from './wire';

const REST_MS = 250;
const TENTH = 0.1; // seconds; the kernel knows times no better

export class Moments {
  readonly tip = element('div', 'tip', { role: 'tooltip' });
  private row = -1; // under the pointer
  private y = 0; // where it is
  private told = (_: RowTime) => {}; // what is done with the answer to the last question for the tip ...
  private said = this.told; // ... and for the foot
  private rest = 0;

  constructor(
    private readonly log: Log,
    private readonly rows: Rows,
    private readonly send: Send,
    private readonly say: (words: string) => void,
  ) {
    this.tip.hidden = true;
    log.root.setAttribute('aria-keyshortcuts', 't');
    log.root.addEventListener('pointermove', ({ target }) => this.point((target as Element).closest<HTMLElement>('.ipyproc-row')));
    log.root.addEventListener('pointerleave', () => this.point(null));
  }

  /** The rows were drawn: the one that was under the pointer may have moved. */
  drawn(): void {
    if (this.row >= 0 && this.place() !== this.y) this.point(null);
  }

  /** Say when this row came. */
  sayRow(row: number): void {
    this.said = this.ask({ op: 'time', row }, (told) => this.say(`Line ${row + 1}: ${words(told) || 'it is not known when it came'}`));
  }

  /** Go to the line that came so many seconds after the start. */
  goTo(seconds: number): void {
    this.said = this.ask({ op: 'row_at', ms: Math.round(1000 * seconds) }, (told) => {
      if (told.row === null) return this.say('It is not known which line was printed then');
      this.log.marked = told.row;
      this.log.show(told.row);
      this.say(`Line ${told.row + 1}: ${words(told)}`);
    });
  }

  take(message: RowTime): void {
    this.told(message);
    this.said(message);
  }

  close(): void {
    clearTimeout(this.rest);
  }

  /** Ask; gives what hears the answer. */
  private ask(question: { op: 'time'; row: number } | { op: 'row_at'; ms: number }, tell: (message: RowTime) => void): typeof this.told {
    const id = newId();
    this.send({ ...question, stream: this.rows.stream, id });
    return (message) => message.id === id && tell(message);
  }

  private point(element: HTMLElement | null): void {
    const row = Number(element?.dataset.row ?? -1);
    if (row === this.row) return;
    this.row = row;
    this.y = this.place();
    this.tip.hidden = true;
    clearTimeout(this.rest);
    if (row < 0 || this.rows.lost) return;
    const tell = (told: RowTime) => {
      this.tip.textContent = words(told);
      this.tip.hidden = told.row !== this.row || !this.tip.textContent;
      this.tip.style.top = `${this.y}px`;
    };
    this.rest = setTimeout(() => (this.told = this.ask({ op: 'time', row }, tell)), REST_MS);
  }

  /** Where the row is, in px below the upper edge of the view. */
  private place(): number {
    const box = this.log.rowElement(this.row)?.getBoundingClientRect();
    return box ? Math.round(box.top - this.log.root.getBoundingClientRect().top) : NaN;
  }
}

/** `14:03:07.4 · 2.3 s after the line before`; empty if it is not known. */
export function words({ row, at, gap, within }: Omit<RowTime, 'op' | 'id' | 'stream'>): string {
  if (at === null) return '';
  const time = clock(at, within > TENTH + 0.01);
  const least = Math.max(TENTH, within);
  const passed = gap === null ? '' : gap < least ? `less than ${duration(least)}` : duration(gap);
  return passed ? `${time} · ${passed} after the ${row ? 'line before' : 'start'}` : time;
}

/** The time where the page is, with the date if that is not today's. */
function clock(at: number, isRough: boolean): string {
  const local = (ms: number) => new Date(ms - 60_000 * new Date(ms).getTimezoneOffset()).toISOString();
  const [day, time] = local(1000 * at).split('T') as [string, string];
  return `${local(Date.now()).startsWith(day) ? '' : `${day} `}${time.slice(0, isRough ? 8 : 10)}`;
}
