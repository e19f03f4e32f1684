// When views draw: few at once, many in the same frame, and one alone never waits.
import { deepEqual, equal } from 'node:assert/strict';
import { mock, test } from 'node:test';
import { leave, together } from '../src/together';

function withClock(body: (pass: (ms: number) => void) => void): void {
  let now = 1_000_000;
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(performance, 'now', () => now);
  try {
    body((ms) => {
      for (let each = 0; each < ms; each++) {
        now++;
        mock.timers.tick(1);
      }
    });
  } finally {
    mock.timers.reset();
    mock.restoreAll();
  }
}

test('a few draw at once, however often', () =>
  withClock((pass) => {
    const views = [{}, {}];
    let drawn = 0;
    for (let n = 0; n < 30; n++) {
      together(views[n % 2]!, () => drawn++);
      equal(drawn, n + 1);
      pass(10);
    }
    views.forEach(leave);
  }));

test('ten that draw once a second each, at any moment, make two frames a second of it', () =>
  withClock((pass) => {
    const views = Array.from({ length: 10 }, () => ({}));
    const at = new Set<number>();
    const drawn = new Map<object, number>();
    for (let n = 0; n < 50; n++) {
      const view = views[n % 10]!;
      if (n >= 20) together(view, () => (at.add(performance.now()), drawn.set(view, (drawn.get(view) ?? 0) + 1)));
      else together(view, () => {});
      pass(100);
    }
    pass(500);
    equal(at.size, 6); // in 3 s
    deepEqual([...drawn.values()], Array(10).fill(3));
    pass(1500);
    let alone = false;
    together(views[0]!, () => (alone = true));
    equal(alone, true, 'the others have nothing more to draw');
    views.forEach(leave);
  }));

test('what has drawn in vain is not drawn twice, and what is closed not at all', () =>
  withClock((pass) => {
    const views = [{}, {}, {}, {}, {}];
    const drawn: string[] = [];
    views.forEach((view, n) => together(view, () => drawn.push(`first ${n}`)));
    views.forEach((view, n) => together(view, () => drawn.push(`second ${n}`)));
    deepEqual(drawn.slice(0, 2), ['first 0', 'first 1']);
    leave(views[4]!);
    pass(500);
    deepEqual(drawn.slice(2), ['second 2', 'second 3', 'second 0', 'second 1']);
    views.forEach(leave);
  }));
