// The rows that hold what was searched for, and the one of them that is looked at.

export class Hits {
  readonly searched: number; // rows there were when the kernel searched
  private readonly rows: Uint32Array; // in their order
  private readonly more: boolean; // than these
  private at = -1; // index of the current one

  constructor({ total, more } = { total: 0, more: false }, buffer?: DataView) {
    const bytes = buffer ? buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength) : new ArrayBuffer();
    this.rows = new Uint32Array(bytes as ArrayBuffer); // a buffer may begin anywhere, and words may not
    this.searched = total;
    this.more = more;
  }

  /** Number of the row; -1: none. */
  get current(): number {
    return this.rows[this.at] ?? -1;
  }

  /** `3 of 10,000+` */
  get label(): string {
    const all = this.rows.length.toLocaleString('en') + (this.more ? '+' : '');
    return this.rows.length ? `${(this.at + 1).toLocaleString('en')} of ${all}` : 'none';
  }

  /** To the next or the one before, and around the ends. */
  go(step: number): void {
    if (this.rows.length) this.at = (this.at + step + this.rows.length) % this.rows.length;
  }

  /** To the first at or below this row, or else the last. */
  goNear(top: number): void {
    const below = this.rows.findIndex((row) => row >= Math.floor(top));
    this.at = below < 0 ? this.rows.length - 1 : below;
  }

  /** To the one behind this row, or before it, and around the ends. */
  goBeside(row: number, step: number): void {
    if (step > 0) this.at = Math.max(0, this.rows.findIndex((other) => other > row));
    else {
      const from = this.rows.findIndex((other) => other >= row);
      this.at = (from > 0 ? from : this.rows.length) - 1;
    }
  }
}

/** The text as an expression, for what the kernel finds too. */
export function patternOf(text: string): RegExp {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'), hasUpper(text) ? 'g' : 'gi');
}

/** A text with a capital letter is meant as it is written. */
export function hasUpper(text: string): boolean {
  return text !== text.toLowerCase();
}
