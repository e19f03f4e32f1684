// What was found: where to go first, and round the ends.
import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { Hits, hasUpper, patternOf } from '../src/hits';

/** As the kernel sends it, at an odd place of a larger buffer. */
function hits(rows: number[], more = false): Hits {
  const bytes = new Uint8Array(new Uint32Array(rows).buffer);
  const all = new Uint8Array(bytes.length + 3);
  all.set(bytes, 3);
  return new Hits({ total: 5000, more }, new DataView(all.buffer, 3));
}

test('none', () => {
  const none = new Hits();
  none.goNear(3);
  none.go(1);
  deepEqual([none.current, none.label], [-1, 'none']);
});

test('the first is the nearest below the upper edge, or the last', () => {
  const found = hits([10, 20, 1_000_000]);
  found.goNear(10.7);
  deepEqual([found.current, found.label], [10, '1 of 3']);
  found.goNear(11);
  equal(found.current, 20);
  found.goNear(2_000_000);
  deepEqual([found.current, found.label], [1_000_000, '3 of 3']);
});

test('forward and back, round the ends', () => {
  const found = hits([10, 20, 30], true);
  found.goNear(0);
  const gone = [1, 1, 1, -1, -1].map((step) => (found.go(step), found.current));
  deepEqual(gone, [20, 30, 10, 30, 20]);
  equal(found.label, '2 of 3+');
});

test('a later search goes on where the earlier one was', () => {
  const found = hits([10, 20, 30]);
  const beside = (row: number, step: number) => (found.goBeside(row, step), found.current);
  deepEqual([beside(20, 1), beside(20, -1), beside(15, 1), beside(15, -1)], [30, 10, 20, 10]);
  deepEqual([beside(30, 1), beside(10, -1)], [10, 30], 'round the ends');
});

test('the text is what it says, and a capital letter is meant', () => {
  deepEqual('a.b+ A.B+ axb+'.match(patternOf('a.b+')), ['a.b+', 'A.B+']);
  deepEqual('a.b A.b'.match(patternOf('A.')), ['A.']);
  deepEqual('[x]-(y)'.match(patternOf('[x]-(y)')), ['[x]-(y)']);
  deepEqual([hasUpper('ß'), hasUpper('É')], [false, true]);
});
