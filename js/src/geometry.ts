// Where the rows of a log are, in px. The heights of wrapped rows are known for drawn ones only; a browser limits the height
// of an element, so beyond MOST_PX, or where heights are not known, the scroll bar is scaled.

export const ROW = 18; // px, of a row that is not wrapped
export const PADDING = 4; // px, above the first and below the last row
export const MARGIN = 10; // rows drawn on either side of the view
export const MOST_PX = 8_000_000;
const MOST_VIEW = 328; // px; see log.css

export class Geometry {
  first = 0; // the drawn rows ...
  last = 0; // ... up to this one, without it
  edges: number[] = []; // where the drawn rows begin, when wrapped: px from the first; and where the last one ends
  height = 0; // of the view
  wrapped = false;

  constructor(private readonly rows: { readonly total: number }) {}

  /** px for rows in the view; before it has a size, the most that it can have. */
  get page(): number {
    return (this.height || MOST_VIEW) - 2 * PADDING;
  }

  /** Whether the scroll bar can be as long as all rows are high. */
  get exact(): boolean {
    return this.wrapped ? this.first === 0 && this.last === this.rows.total : this.rows.total * ROW <= MOST_PX;
  }

  /** Where the first drawn row is among all, in px, as long as the scroll bar is exact. */
  get firstY(): number {
    return this.wrapped ? 0 : this.first * ROW;
  }

  /** Where a row begins, in px from the first drawn one; where no heights are known a row counts as not wrapped. */
  y(row: number): number {
    const drawn = row - this.first;
    if (!this.wrapped || drawn < 0) return drawn * ROW;
    const n = Math.floor(drawn);
    const from = this.edges[n];
    const to = this.edges[n + 1];
    if (from !== undefined && to !== undefined) return from + (drawn - n) * (to - from);
    return (this.edges.at(-1) ?? 0) + (row - this.last) * ROW;
  }

  /** The row, with its part, that is at this distance from the first drawn one. */
  at(y: number): number {
    const bottom = this.edges.at(-1) ?? 0;
    if (!this.wrapped || y < 0) return this.first + y / ROW;
    if (y >= bottom) return this.last + (y - bottom) / ROW;
    const n = this.edges.findIndex((edge) => edge > y) - 1;
    const from = this.edges[n] ?? 0;
    return this.first + n + (y - from) / (this.edges[n + 1]! - from);
  }

  /** The top at which the last row is in sight. When wrapped that is known only once it is drawn. */
  end(): number {
    const { total } = this.rows;
    if (!this.wrapped) return Math.max(0, total - this.page / ROW);
    return this.last === total ? Math.max(0, this.at((this.edges.at(-1) ?? 0) - this.page)) : total;
  }

  /** The last row in sight, counted from 1. */
  bottom(top: number): number {
    return Math.min(this.rows.total, Math.ceil(this.at(this.y(top) + this.page)));
  }

  /** How far down the top is: 0 to 1. */
  share(top: number): number {
    const end = this.end();
    return top >= end ? 1 : top / (this.wrapped ? this.rows.total : end);
  }

  /**
   * The rows to draw, up to the second without it. Of wrapped ones as many as fill the view on either side, so that the
   * end can be put in its place.
   */
  around(top: number, leastHeight: (row: number) => number): [number, number] {
    const { total } = this.rows;
    if (!this.wrapped) {
      const row = Math.min(top, this.end());
      return [Math.max(0, Math.floor(row) - MARGIN), Math.min(total, Math.ceil(row + this.page / ROW) + MARGIN)];
    }
    let first = Math.floor(Math.min(top, total));
    let last = first;
    for (let px = this.page + MARGIN * ROW; px > 0 && first > 0; px -= leastHeight(first)) first--;
    for (let px = this.page + MARGIN * ROW; px > 0 && last < total; px -= leastHeight(last - 1)) last++;
    return [first, last];
  }
}
