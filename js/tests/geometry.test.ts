// Where rows are: the window that is drawn, and how it meets the scroll bar.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Geometry, MARGIN, MOST_PX, ROW } from '../src/geometry';

const PAGE = 10; // rows in sight
const one = () => ROW;

function geometry(total: number): Geometry {
  const made = new Geometry({ total });
  made.height = PAGE * ROW + 8;
  return made;
}

/** Wrapped rows that are drawn, `heights` high. */
function wrapped(total: number, first: number, heights: number[]): Geometry {
  const made = geometry(total);
  made.wrapped = true;
  made.first = first;
  made.last = first + heights.length;
  made.edges = heights.reduce((edges, height) => [...edges, edges.at(-1)! + height], [0]);
  return made;
}

test('it draws what is in sight and a margin, never more', () => {
  const all = geometry(1_000_000);
  deepEqual(all.around(5000, one), [5000 - MARGIN, 5000 + PAGE + MARGIN]);
  deepEqual(all.around(0, one), [0, PAGE + MARGIN]);
  deepEqual(all.around(1_000_000, one), [1_000_000 - PAGE - MARGIN, 1_000_000]);
  deepEqual(geometry(3).around(3, one), [0, 3]);
  deepEqual(geometry(0).around(0, one), [0, 0]);
});

test('of wrapped rows as many as fill the view on either side', () => {
  const all = wrapped(1000, 0, []);
  deepEqual(all.around(500, one), [480, 520]);
  deepEqual(all.around(500, () => 10 * ROW), [498, 502]);
  deepEqual(all.around(1000, one), [980, 1000]);
});

test('the end is where the last row is at the lower edge', () => {
  equal(geometry(100).end(), 90);
  equal(geometry(5).end(), 0);
  equal(wrapped(100, 98, [180, 180]).end(), 99);
  equal(wrapped(100, 0, [180, 180]).end(), 100, 'it is not drawn, and so not known');
});

test('y and at undo each other', () => {
  for (const each of [geometry(1000), wrapped(1000, 40, [18, 54, 18, 180, 36])]) {
    for (const row of [30, 40, 40.5, 41.25, 43.9, 45, 60.5]) ok(Math.abs(each.at(each.y(row)) - row) < 1e-9, `${row}`);
  }
});

test('wrapped rows count as they are high where they are drawn', () => {
  const all = wrapped(1000, 40, [18, 54, 18]);
  equal(all.y(42), 72);
  equal(all.at(45), 41.5);
  equal(all.y(44), 90 + ROW, 'beyond them as one line each');
  equal(all.bottom(40), 48);
});

test('the scroll bar is exact as long as a browser can draw it', () => {
  const most = Math.floor(MOST_PX / ROW);
  ok(geometry(most).exact);
  ok(!geometry(most + 1).exact);
  ok(wrapped(2, 0, [18, 90]).exact);
  ok(!wrapped(3, 0, [18, 90]).exact, 'the height of the third one is not known');
});

test('the share goes from nothing to all, however many rows there are', () => {
  const all = geometry(10_000_000);
  equal(all.share(0), 0);
  equal(all.share(all.end()), 1);
  ok(Math.abs(all.share(5_000_000) - 0.5) < 1e-5);
  equal(geometry(3).share(0), 1, 'all is in sight');
});
