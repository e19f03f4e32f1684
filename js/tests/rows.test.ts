// The rows that the page has, and what it asks for: never all, never twice, never while it scrolls.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Rows } from '../src/rows';

const lines = (first: number, count: number) => Array.from({ length: count }, (_, i) => `1line ${first + i}`);

/** Rows that know the last 40 of `total`, and what they have asked for. */
function tailOf(total: number): { rows: Rows; asked: { stream: number; first: number; count: number }[] } {
  const asked: { stream: number; first: number; count: number }[] = [];
  const rows = new Rows(({ op, ...range }) => void asked.push(range), () => {});
  rows.setTail(total, total - 40, total, lines(total - 40, 40));
  return { rows, asked };
}

function withTimers(body: (tick: (ms: number) => void) => void): void {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    body((ms) => mock.timers.tick(ms));
  } finally {
    mock.timers.reset();
  }
}

test('a filter begins anew, and asks for rows of its stream', () =>
  withTimers((tick) => {
    const { rows, asked } = tailOf(1000);
    rows.want(0, 20, 0);
    tick(1000);
    rows.filter(2);
    equal(rows.total, 0);
    equal(rows.get(999), undefined);
    rows.setTail(300, 260, 300, lines(260, 40));
    rows.want(100, 120, 0);
    tick(1000);
    deepEqual(asked, [{ stream: 0, first: 0, count: 100 }, { stream: 2, first: 100, count: 100 }]);
    rows.add(100, lines(100, 100));
    equal(rows.get(150), '1line 150');
  }));

test('the tail is there, and nothing is asked for it', () =>
  withTimers((tick) => {
    const { rows, asked } = tailOf(1000);
    equal(rows.get(999), '1line 999');
    equal(rows.get(959), undefined);
    ok(rows.has(960, 999) && !rows.has(959, 999));
    rows.want(965, 1000, 0);
    tick(1000);
    deepEqual(asked, []);
  }));

test('what is missing is asked for when the scroll rests, by chunks', () =>
  withTimers((tick) => {
    const { rows, asked } = tailOf(10_000);
    rows.want(4210, 4228, 60);
    tick(40);
    rows.want(5010, 5028, 0);
    tick(40);
    deepEqual(asked, [], 'it has gone on');
    tick(20);
    deepEqual(asked, [{ stream: 0, first: 5000, count: 100 }]);
    rows.add(5000, lines(5000, 100));
    equal(rows.get(5028), '1line 5028');
    rows.want(5010, 5028, 60);
    tick(300);
    deepEqual(asked[1], { stream: 0, first: 4900, count: 100 }, 'the rows before those in sight');
  }));

test('a question without an answer is asked again, with more and more patience', () =>
  withTimers((tick) => {
    const { rows, asked } = tailOf(10_000);
    const want = () => rows.want(100, 118, 0);
    want();
    tick(100);
    equal(asked.length, 1);
    want();
    tick(1000);
    equal(asked.length, 1);
    tick(1000);
    want(); // as the redraw does
    tick(300);
    equal(asked.length, 2);
    tick(2000);
    want();
    tick(300);
    equal(asked.length, 2);
    tick(2000);
    want();
    tick(300);
    equal(asked.length, 3);
  }));

test('a kernel that is gone is asked nothing', () =>
  withTimers((tick) => {
    const { rows, asked } = tailOf(1000);
    rows.lost = true;
    rows.want(0, 18, 60);
    tick(100_000);
    deepEqual(asked, []);
  }));

test('rows that were not settled are forgotten when the next tail comes', () => {
  const { rows } = tailOf(100);
  rows.setTail(100, 60, 90, lines(60, 40));
  rows.setTail(200, 160, 200, lines(160, 40));
  equal(rows.get(89), '1line 89');
  equal(rows.get(95), undefined, 'it may have changed');
});

test('it holds fifty chunks, those that were in sight last', () => {
  const { rows } = tailOf(1_000_000);
  for (let chunk = 0; chunk < 80; chunk++) {
    rows.want(0, 18, 0); // the first one stays in sight
    rows.add(100 * chunk, lines(100 * chunk, 100));
  }
  rows.close();
  const kept = Array.from({ length: 80 }, (_, chunk) => chunk).filter((chunk) => rows.get(100 * chunk));
  equal(kept.length, 50);
  ok(kept.includes(0) && kept.includes(79) && !kept.includes(10));
});
