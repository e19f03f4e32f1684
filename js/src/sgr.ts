// One row of text -> its runs, each with an SGR style, a link, both or none.
import { type Link, linksOf } from './links';

// What a terminal shows on its own backgrounds, as in views/styles.py. Text on the card's background has colours of the
// theme instead (log.css).
const BASE = [
  ...['#000000', '#d63c41', '#1c873b', '#b58900', '#2177d1', '#b644c3', '#0e818f', '#d0d0d0'],
  ...['#666666', '#f2555a', '#3fb950', '#e6c34a', '#58a6ff', '#d670d6', '#39c5cf', '#ffffff'],
];
const READABLE = 4.5; // the least contrast, as WCAG counts it
const STEPS = 10;
const SEQUENCE = /\x1b\[([0-9;]*)m/g;

interface Style {
  color?: number | string; // a number is one of the 16
  background?: number | string;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  strike?: boolean;
  inverse?: boolean;
}
/** A part of a row that looks the same all over. */
export interface Run {
  text: string;
  codes: string; // of its style, canonical; empty: none
  link?: Link; // the same object in all runs of one link
}
/** A style as CSS. */
export interface Look {
  css: Record<string, string>;
  inverse: boolean; // front and back of the theme change places
}

/** The text without its styles. */
export function plain(text: string): string {
  return text.includes('\x1b') ? text.replace(SEQUENCE, '') : text;
}

/** The runs of a row, one behind the other. */
export function runs(text: string): Run[] {
  const links = linksOf(plain(text));
  const found: Run[] = [];
  let at = 0;
  for (const { text: all, codes } of styledRuns(text)) {
    for (let rest = all; rest; ) {
      const next = links[0];
      const link = next && at >= next.from ? next : undefined;
      const until = link ? link.from + link.url.length : (next?.from ?? Infinity);
      const part = rest.slice(0, until - at);
      found.push({ text: part, codes, ...(link && { link }) });
      rest = rest.slice(part.length);
      at += part.length;
      if (link && at === until) links.shift();
    }
  }
  return found;
}

function styledRuns(text: string): Run[] {
  if (!text.includes('\x1b')) return [{ text, codes: '' }];
  const found: Run[] = [];
  let from = 0;
  let codes = '';
  for (const match of text.matchAll(SEQUENCE)) {
    found.push({ text: text.slice(from, match.index), codes });
    codes = match[1] === '0' ? '' : (match[1] ?? '');
    from = match.index + match[0].length;
  }
  found.push({ text: text.slice(from), codes });
  return found;
}

/** The style that a canonical sequence sets; it never builds on an earlier one. */
function styleOf(codes: string): Style {
  const style: Style = {};
  const numbers = codes.split(';').map(Number);
  for (let n = numbers.shift(); n !== undefined; n = numbers.shift()) {
    if (n === 1) style.bold = true;
    else if (n === 2) style.dim = true;
    else if (n === 3) style.italic = true;
    else if (n === 4) style.underline = true;
    else if (n === 7) style.inverse = true;
    else if (n === 9) style.strike = true;
    else if (n === 38) style.color = extended(numbers);
    else if (n === 48) style.background = extended(numbers);
    else if (n >= 30 && n <= 37) style.color = n - 30;
    else if (n >= 90 && n <= 97) style.color = n - 82;
    else if (n >= 40 && n <= 47) style.background = n - 40;
    else if (n >= 100 && n <= 107) style.background = n - 92;
  }
  return style;
}

/** The colour behind 38 or 48: `5;n` or `2;r;g;b`, which is taken off the numbers. */
function extended(numbers: number[]): number | string | undefined {
  if (numbers.shift() === 2) return rgb(numbers.splice(0, 3));
  const n = numbers.shift() ?? 0;
  if (n < 16) return n;
  if (n >= 232) return rgb(Array(3).fill(8 + 10 * (n - 232)));
  const level = (k: number) => (k ? 55 + 40 * k : 0);
  return rgb([Math.floor((n - 16) / 36), Math.floor((n - 16) / 6) % 6, (n - 16) % 6].map(level));
}

function rgb(parts: number[]): string {
  return `#${parts.map((part) => Math.min(part, 255).toString(16).padStart(2, '0')).join('')}`;
}

/** What the codes of a run look like. */
export function look(codes: string): Look {
  const style = styleOf(codes);
  const css = paint(style);
  if (style.bold) css['font-weight'] = 'bold';
  if (style.dim) css.opacity = '0.65';
  if (style.italic) css['font-style'] = 'italic';
  const lines = [style.underline ? 'underline' : '', style.strike ? 'line-through' : ''].filter(Boolean);
  if (lines.length) css['text-decoration'] = lines.join(' ');
  return { css, inverse: style.inverse === true && style.color === undefined && style.background === undefined };
}

/** A background brings its own text colour: that of the theme may not be readable on it. */
function paint({ color, background, inverse }: Style): Record<string, string> {
  if (color === undefined && background === undefined) return {};
  if (!inverse && background === undefined) return { color: typeof color === 'number' ? `var(--ipyproc-color-${color})` : color! };
  const [front, back] = inverse ? [background, color ?? 7] : [color, background];
  const ground = fixed(back ?? 0);
  return { 'background-color': ground, color: front === undefined ? plainOn(ground) : frontOn(front, back ?? 0) };
}

/** One of the 16 colours on another one is made readable, but for two of the same hue: the program wants them near. */
function frontOn(front: number | string, back: number | string): string {
  const isPair = typeof front === 'number' && typeof back === 'number' && front % 8 !== back % 8;
  return isPair ? readable(fixed(front), fixed(back)) : fixed(front);
}

/** The nearest to this colour that can be read there: a mixture with black or white, as views/styles.py makes it. */
function readable(front: string, ground: string): string {
  const towards = parts(plainOn(ground));
  const mixed = (step: number) => rgb(parts(front).map((part, n) => Math.floor((part * (STEPS - step) + towards[n]! * step) / STEPS)));
  for (let step = 0; step < STEPS; step++) if (contrast(mixed(step), ground) >= READABLE) return mixed(step);
  return mixed(STEPS);
}

/** White, or black where that cannot be read. */
function plainOn(ground: string): string {
  return contrast('#ffffff', ground) >= READABLE ? '#ffffff' : '#000000';
}

function fixed(color: number | string): string {
  return typeof color === 'number' ? (BASE[color] ?? '') : color;
}

/** As WCAG 2 defines it: 1 to 21. */
export function contrast(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function luminance(color: string): number {
  const [r, g, b] = parts(color).map((part) => (part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function parts(color: string): number[] {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}
