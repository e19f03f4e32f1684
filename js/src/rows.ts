// The rows that the page has: the tail, and some chunks that were asked for.
import { type GetRows, MOST_ROWS } from './messages';
import type { Send } from './wire';

const CHUNK = 100; // rows
const KEPT = 50; // chunks
const REST_MS = 50; // a scroll that goes on for less is not at rest
const PAUSE_MS = 200; // between two questions
const PATIENCE_MS = 2000; // then a question is asked again, and after twice as long once more
const MOST_PATIENCE_MS = 60_000;

export class Rows {
  total = 0;
  lost = false; // there is no kernel to ask
  stream = 0; // 0: all rows; else those of this stream alone
  private settled = 0;
  private tail: string[] = [];
  private tailFirst = 0;
  private readonly chunks = new Map<number, string[]>(); // the one that was in sight last is the last item
  private sight = { first: 0, last: 0, ahead: 0 };
  private asked?: { first: number; last: number };
  private askedAt = -Infinity;
  private waitsFor = -1; // the chunk that will be asked for when the scroll is at rest
  private rest = 0;
  private retry = 0;
  private patience = PATIENCE_MS;

  constructor(
    private readonly send: Send<GetRows>,
    private readonly changed: () => void,
  ) {}

  /** One row with the digit of its stream before it; nothing while it is not here. */
  get(row: number): string | undefined {
    return row >= this.tailFirst ? this.tail[row - this.tailFirst] : this.chunks.get(Math.floor(row / CHUNK))?.[row % CHUNK];
  }

  /** From now on these are the rows of this stream; none of them is here yet. */
  filter(stream: number): void {
    this.stream = stream;
    this.answered();
    this.chunks.clear();
    this.settled = 0;
    this.setTail(0, 0, 0, []);
    this.changed();
  }

  has(first: number, last: number): boolean {
    return this.missing(first, last + 1) === undefined;
  }

  /** Whoever calls it draws anew. */
  setTail(total: number, first: number, settled: number, rows: string[]): void {
    this.forget(Math.min(this.settled, settled)); // what was not settled when it came may have changed since
    this.total = total;
    this.settled = settled;
    this.tailFirst = first;
    this.tail = rows;
    this.keep(first, rows.slice(0, Math.max(0, settled - first))); // they stay when the tail moves on
  }

  add(first: number, rows: string[]): void {
    this.keep(first, rows);
    if (rows.length && this.asked && first >= this.asked.first && first <= this.asked.last) this.answered();
    this.changed();
  }

  /**
   * Rows from `first` up to `last` (without it) are in sight: what is missing there, or so many rows ahead on either
   * side, is asked for when they rest.
   */
  want(first: number, last: number, ahead: number): void {
    this.sight = { first, last, ahead };
    for (const chunk of [Math.floor(first / CHUNK), Math.floor(last / CHUNK)]) this.touch(chunk);
    const missing = this.lost ? undefined : this.nextMissing();
    if (missing === undefined || (this.asked && missing >= this.asked.first && missing <= this.asked.last)) {
      this.wait(-1);
    } else {
      this.wait(Math.floor(missing / CHUNK));
    }
  }

  close(): void {
    clearTimeout(this.rest);
    clearTimeout(this.retry);
  }

  private keep(first: number, rows: string[]): void {
    rows.forEach((text, i) => {
      const number = Math.floor((first + i) / CHUNK);
      let chunk = this.chunks.get(number);
      if (!chunk) this.chunks.set(number, (chunk = []));
      chunk[(first + i) % CHUNK] = text;
    });
    for (const number of this.chunks.keys()) {
      if (this.chunks.size <= KEPT) break;
      this.chunks.delete(number);
    }
  }

  private forget(from: number): void {
    for (const [number, chunk] of this.chunks) {
      const left = from - number * CHUNK;
      if (left <= 0) this.chunks.delete(number);
      else if (left < chunk.length) chunk.length = left;
    }
  }

  private touch(number: number): void {
    const chunk = this.chunks.get(number);
    if (!chunk) return;
    this.chunks.delete(number);
    this.chunks.set(number, chunk);
  }

  private missing(first: number, last: number): number | undefined {
    for (let row = Math.max(0, first); row < Math.min(last, this.total); row++) if (this.get(row) === undefined) return row;
    return undefined;
  }

  private nextMissing(): number | undefined {
    const { first, last, ahead } = this.sight;
    return this.missing(first, last) ?? this.missing(first - ahead, last + ahead);
  }

  /** A timer for one chunk is left alone while the same chunk is waited for; another one starts it again. */
  private wait(chunk: number): void {
    if (chunk === this.waitsFor) return;
    clearTimeout(this.rest);
    this.waitsFor = chunk;
    if (chunk < 0) return;
    this.rest = setTimeout(() => this.ask(), Math.max(REST_MS, this.askedAt + PAUSE_MS - performance.now()));
  }

  private ask(): void {
    this.waitsFor = -1;
    const missing = this.nextMissing();
    if (missing === undefined || this.lost) return;
    let first = missing;
    while (first % CHUNK && this.get(first - 1) === undefined) first--;
    const chunk = Math.floor(first / CHUNK);
    const through = this.get((chunk + 1) * CHUNK) === undefined && this.sight.last + this.sight.ahead > (chunk + 1) * CHUNK;
    const last = Math.min((chunk + (through ? 2 : 1)) * CHUNK, first + MOST_ROWS, this.total) - 1;
    this.asked = { first, last };
    this.askedAt = performance.now();
    clearTimeout(this.retry);
    this.retry = setTimeout(() => {
      this.asked = undefined;
      this.patience = Math.min(2 * this.patience, MOST_PATIENCE_MS);
      this.changed();
    }, this.patience);
    this.send({ op: 'rows', stream: this.stream, first, count: last - first + 1 });
  }

  private answered(): void {
    clearTimeout(this.retry);
    this.asked = undefined;
    this.patience = PATIENCE_MS;
  }
}
