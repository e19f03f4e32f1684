// What is said of the time of a line: no more than is known.
import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import { words } from '../src/moments';

declare const process: { env: Record<string, string> };
process.env.TZ = 'Asia/Kathmandu'; // 5:45 ahead
const AT = 1_700_000_000.26; // 2023-11-14 22:13:20.26 UTC

const told = (more: object) => ({ row: 7, at: AT, gap: 2.34, within: 0.1, ...more });

test('the time where the page is, and the gap before', () => {
  equal(words(told({})), '2023-11-15 03:58:20.2 · 2.3 s after the line before');
  equal(words(told({ row: 0 })), '2023-11-15 03:58:20.2 · 2.3 s after the start');
  equal(words(told({ gap: 182 })), '2023-11-15 03:58:20.2 · 3:02 after the line before');
});

test('a day that is today is not said', () => {
  equal(/^\d\d:\d\d:\d\d\.\d$/.test(words(told({ at: Date.now() / 1000, gap: null }))), true);
});

test('no more is said than is known', () => {
  equal(words(told({ gap: null })), '2023-11-15 03:58:20.2');
  equal(words(told({ gap: 0 })), '2023-11-15 03:58:20.2 · less than 0.1 s after the line before');
  equal(words(told({ within: 3.1 })), '2023-11-15 03:58:20 · less than 3.1 s after the line before');
  equal(words(told({ within: 3.1, gap: 61 })), '2023-11-15 03:58:20 · 1:01 after the line before');
  equal(words(told({ at: null })), '');
});
