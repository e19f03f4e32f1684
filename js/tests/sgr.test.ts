// A row of text becomes runs: none lost, none doubled, each with its style and its link.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { linksOf } from '../src/links';
import { contrast, look, plain, runs } from '../src/sgr';

const urls = (text: string) => linksOf(text).map(({ url }) => url);

test('text without styles is one run', () => {
  deepEqual(runs('plain'), [{ text: 'plain', codes: '' }]);
  deepEqual(runs(''), []);
});

test('each sequence begins a run, and 0 ends the style', () => {
  deepEqual(runs('a\x1b[0;1;31mb\x1b[0mc\x1b[0;32md'), [
    { text: 'a', codes: '' },
    { text: 'b', codes: '0;1;31' },
    { text: 'c', codes: '' },
    { text: 'd', codes: '0;32' },
  ]);
  equal(plain('a\x1b[0;1;31mb\x1b[0mc'), 'abc');
});

test('an empty run is left out', () => {
  deepEqual(runs('\x1b[0;31m\x1b[0;32mx\x1b[0m'), [{ text: 'x', codes: '0;32' }]);
});

test('a link goes through the styles in it, as one', () => {
  const [before, first, second, behind] = runs('see http://a.b/\x1b[0;1mc\x1b[0m, and');
  equal(before?.text, 'see ');
  deepEqual([first?.text, first?.codes], ['http://a.b/', '']);
  deepEqual([second?.text, second?.codes], ['c', '0;1']);
  equal(first?.link?.url, 'http://a.b/c');
  ok(first?.link === second?.link);
  deepEqual(behind, { text: ', and', codes: '' });
});

test('two links side by side are two', () => {
  const links = runs('http://a.b http://a.b').map(({ link }) => link);
  equal(links.length, 3);
  ok(links[0] && links[2] && links[0] !== links[2] && !links[1]);
});

test('runs hold all of the text, whatever is in it', () => {
  let seed = 1;
  const next = (most: number) => (seed = (seed * 48271) % 2147483647) % most;
  const parts = ['http://x.y/z', ' ', '\x1b[0;31m', '\x1b[0m', '(', ').', 'é', '😀', 'https://', '\x1b[0;4mhttp://q.r', 'text'];
  for (let turn = 0; turn < 2000; turn++) {
    const text = Array.from({ length: next(12) }, () => parts[next(parts.length)]).join('');
    equal(runs(text).map((run) => run.text).join(''), plain(text), JSON.stringify(text));
    for (const { text: part, link } of runs(text)) ok(!link || link.url.includes(part));
  }
});

test('a link ends before the punctuation of its sentence', () => {
  deepEqual(urls('(see https://a.b/c).'), ['https://a.b/c']);
  deepEqual(urls('https://a.b/c_(d), "https://e.f"'), ['https://a.b/c_(d)', 'https://e.f']);
  deepEqual(urls('[x](https://a.b/[c])'), ['https://a.b/[c]']);
});

test('only web addresses are links, and nothing invisible is in one', () => {
  deepEqual(urls('javascript://a.b ftp://a.b file:///etc http:// xhttp://a.b'), []);
  deepEqual(urls('http://a.b/\u202egpj.exe'), ['http://a.b/']);
});

test('the colours of a theme, of a palette and of the program', () => {
  equal(look('0;31').css.color, 'var(--ipyproc-color-1)');
  equal(look('0;97').css.color, 'var(--ipyproc-color-15)');
  equal(look('0;38;5;196').css.color, '#ff0000');
  equal(look('0;38;5;244').css.color, '#808080');
  equal(look('0;38;5;3').css.color, 'var(--ipyproc-color-3)');
  equal(look('0;38;2;1;2;300').css.color, '#0102ff');
});

test('on a background of its own, text can be read', () => {
  deepEqual(look('0;47').css, { 'background-color': '#d0d0d0', color: '#000000' });
  deepEqual(look('0;40').css, { 'background-color': '#000000', color: '#ffffff' });
  deepEqual(look('0;7;31').css, { 'background-color': '#d63c41', color: '#ffffff' });
  deepEqual(look('0;7'), { css: {}, inverse: true });
});

test('one of the 16 colours on another one can be read, unless they have the same hue', () => {
  const code = (n: number, base: number) => (n < 8 ? base + n : base + 52 + n);
  for (let front = 0; front < 16; front++) {
    for (let back = 0; back < 16; back++) {
      const { color, 'background-color': ground } = look(`0;${code(front, 30)};${code(back, 40)}`).css;
      if (front % 8 !== back % 8) ok(contrast(color!, ground!) >= 4.5, `${front} on ${back}`);
      if (front === back) equal(color, ground, 'hidden on purpose');
    }
  }
  equal(look('0;97;41').css.color, '#ffffff', 'what can be read is left as it is');
  equal(look('0;38;2;9;9;9;48;2;0;0;0').css.color, '#090909', 'and what has exact colours');
  equal(contrast('#ffffff', '#000000').toFixed(1), '21.0');
});

test('what else a style can be', () => {
  deepEqual(look('0;1;2;3;4;9').css, {
    'font-weight': 'bold',
    opacity: '0.65',
    'font-style': 'italic',
    'text-decoration': 'underline line-through',
  });
  deepEqual(look('0;5;99').css, {}, 'an unknown code is no style');
});
