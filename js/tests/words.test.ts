// Figures for people, and the wire's own words.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { VERSION } from '../src/messages';
import { share, size } from '../src/size';
import { duration, running, stopping } from '../src/time';
import { mismatch, newId, stamp, unpack } from '../src/wire';

test('spans of time', () => {
  deepEqual([0, 0.449, 12.9, 59.94, 60, 182, 3599.9, 3605, 360_000].map(duration), [
    ...['0.0 s', '0.4 s', '12.9 s', '59.9 s', '1:00', '3:02', '59:59', '1:00:05', '100:00:00'],
  ]);
  deepEqual([0.9, 12.9, 59.99, 182].map(running), ['0 s', '12 s', '59 s', '3:02']);
  equal(duration(59.96), '1:00', 'there are no 60.0 s');
});

// the kernel's tests read these too: both write a size in the same way
const SIZES = [
  [0, '0 B'],
  [783, '783 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [1150, '1.2 kB'],
  [1250, '1.3 kB'],
  [9949, '9.9 kB'],
  [9950, '10 kB'],
  [10500, '11 kB'],
  [12500, '13 kB'],
  [999499, '999 kB'],
  [999500, '1.0 MB'],
  [412e6, '412 MB'],
  [2.14e9, '2.1 GB'],
  [5e15, '5000 TB'],
];
test('how far stopping has come, with no word of what the page cannot know', () => {
  equal(stopping('SIGTERM', 0.4, 4.6), 'Stopping (SIGTERM sent 0 s ago, else SIGKILL in 5 s)');
  equal(stopping('SIGINT', 1.2, 0.8), 'Stopping (SIGINT sent 1 s ago, else SIGTERM in 1 s)');
  equal(stopping('SIGTERM', 61, -56), 'Stopping (SIGTERM sent 61 s ago, else SIGKILL due)');
  equal(stopping('SIGKILL', 2, null), 'Stopping (SIGKILL sent 2 s ago)');
});

test('sizes', () => {
  deepEqual(
    SIZES.map(([bytes]) => [bytes, size(Number(bytes))]),
    SIZES,
  );
  equal(share(12.3e6, 100e6), '12 of 100 MB');
  equal(share(0, 0), '0 of 0 B');
});

test('rows travel behind the digit of their stream', () => {
  const pack = (text: string) => new DataView(new TextEncoder().encode(text).buffer as ArrayBuffer);
  deepEqual(unpack(pack('1out\n2é😀\n1')), ['1out', '2é😀', '1']);
  deepEqual(unpack(pack('')), []);
  deepEqual(unpack(undefined), []);
});

test('a page has one id, and its messages grow in number', () => {
  const [first, second] = [stamp('job'), stamp('other')];
  equal(first.page, second.page);
  equal(second.n, first.n + 1);
  deepEqual([first.job, second.job, first.version], ['job', 'other', VERSION]);
  ok(newId() !== newId());
});

test('a page and a kernel of different versions say which of them is the old one', () => {
  equal(mismatch(VERSION), '');
  equal(mismatch(VERSION + 1), 'This page was loaded before ipyproc was updated: reload it.');
  const old = 'This kernel was started before ipyproc was updated: restart it.';
  deepEqual([VERSION - 1, undefined].map(mismatch), [old, old]);
});
