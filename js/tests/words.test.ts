// Figures for people, and the wire's own words.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { share, size } from '../src/size';
import { duration, running, stopping } from '../src/time';
import { newId, stamp, unpack } from '../src/wire';

test('spans of time', () => {
  deepEqual([0, 0.449, 12.9, 59.94, 60, 182, 3599.9, 3605, 360_000].map(duration), [
    ...['0.0 s', '0.4 s', '12.9 s', '59.9 s', '1:00', '3:02', '59:59', '1:00:05', '100:00:00'],
  ]);
  deepEqual([0.9, 12.9, 59.99, 182].map(running), ['0 s', '12 s', '59 s', '3:02']);
  equal(duration(59.96), '1:00', 'there are no 60.0 s');
});

test('how far stopping has come, with no word of what the page cannot know', () => {
  equal(stopping('SIGTERM', 0.4, 4.6), 'Stopping (SIGTERM sent 0 s ago, else SIGKILL in 5 s)');
  equal(stopping('SIGINT', 1.2, 0.8), 'Stopping (SIGINT sent 1 s ago, else SIGTERM in 1 s)');
  equal(stopping('SIGTERM', 61, -56), 'Stopping (SIGTERM sent 61 s ago, else SIGKILL due)');
  equal(stopping('SIGKILL', 2, null), 'Stopping (SIGKILL sent 2 s ago)');
});

test('sizes', () => {
  deepEqual([0, 783, 999.6, 1000, 9960, 412e6, 2.14e9, 5e15].map(size), [
    ...['0 B', '783 B', '1.0 kB', '1.0 kB', '10 kB', '412 MB', '2.1 GB', '5000 TB'],
  ]);
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
  const [first, second] = [stamp(), stamp()];
  equal(first.page, second.page);
  equal(second.n, first.n + 1);
  ok(newId() !== newId());
});
