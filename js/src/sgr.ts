// One row of text -> elements: its SGR styles, and its links. Nothing here is ever parsed as markup.

// What a terminal shows on its own backgrounds. Text on the card's background has colours of the theme instead (card.css).
const BASE = [
  ...['#000000', '#c0282d', '#1a7f37', '#b58900', '#1f6fc4', '#9c36a8', '#0e7f8c', '#d0d0d0'],
  ...['#666666', '#f2555a', '#3fb950', '#e6c34a', '#58a6ff', '#d670d6', '#39c5cf', '#ffffff'],
];
const SEQUENCE = /\x1b\[([0-9;]*)m/g;
// no invisible characters (\p{Cf}): they could make a link look like another one
const LINK = /\bhttps?:\/\/[^\s<>"`\\\p{Cf}\p{Cc}]+/giu;
const MOST_LINKS = 100; // in one row; each costs a browser more than ten words
const MOST_PATTERNS = 500;
const CLOSING: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

const patterns = new Map<string, HTMLElement>(); // by the codes of the style

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
interface Link {
  from: number;
  url: string;
}
interface Run {
  text: string;
  codes: string;
}

/** The text without its styles. */
export function plain(text: string): string {
  return text.includes('\x1b') ? text.replace(SEQUENCE, '') : text;
}

/** Put the text of a row into its element. */
export function fill(row: HTMLElement, text: string): void {
  const links = linksOf(plain(text));
  row.replaceChildren();
  let at = 0;
  let link: HTMLElement | undefined;
  for (const { text: all, codes } of runs(text)) {
    for (let rest = all; rest; ) {
      const next = links[0];
      if (next && at === next.from) row.append((link = anchor(next.url)));
      const until = !next ? Infinity : link ? next.from + next.url.length : next.from;
      const part = rest.slice(0, until - at);
      (link ?? row).append(codes ? styled(part, codes) : part);
      rest = rest.slice(part.length);
      at += part.length;
      if (link && at === until) {
        link = undefined;
        links.shift();
      }
    }
  }
}

function runs(text: string): Run[] {
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

/** A span of this style: a copy of the last one like it, which takes a browser a third of the time of a new one. */
function styled(text: string, codes: string): HTMLElement {
  let pattern = patterns.get(codes);
  if (!pattern) {
    if (patterns.size >= MOST_PATTERNS) patterns.clear();
    patterns.set(codes, (pattern = patternOf(styleOf(codes))));
  }
  const made = pattern.cloneNode() as HTMLElement;
  made.textContent = text;
  return made;
}

function patternOf(style: Style): HTMLElement {
  const made = document.createElement('span');
  paint(made, style);
  if (style.bold) made.style.fontWeight = 'bold';
  if (style.dim) made.style.opacity = '0.65';
  if (style.italic) made.style.fontStyle = 'italic';
  const lines = [style.underline ? 'underline' : '', style.strike ? 'line-through' : ''].filter(Boolean);
  if (lines.length) made.style.textDecoration = lines.join(' ');
  return made;
}

/** A background brings its own text colour: that of the theme may not be readable on it. */
function paint(made: HTMLElement, { color, background, inverse }: Style): void {
  if (inverse && color === undefined && background === undefined) made.className = 'ipyproc-inverse';
  else if (inverse || background !== undefined) {
    const [front, back] = inverse ? [background, color ?? 7] : [color, background];
    const ground = fixed(back ?? 0);
    made.style.backgroundColor = ground;
    made.style.color = front === undefined ? (isLight(ground) ? '#000' : '#fff') : fixed(front);
  } else if (color !== undefined) made.style.color = typeof color === 'number' ? `var(--ipyproc-color-${color})` : color;
}

function fixed(color: number | string): string {
  return typeof color === 'number' ? (BASE[color] ?? '') : color;
}

function isLight(color: string): boolean {
  const part = (at: number) => parseInt(color.slice(at, at + 2), 16);
  return 0.3 * part(1) + 0.59 * part(3) + 0.11 * part(5) > 140;
}

function linksOf(text: string): Link[] {
  if (!text.includes('://')) return [];
  const links: Link[] = [];
  for (const match of text.matchAll(LINK)) {
    const url = trim(match[0]);
    if (isWeb(url)) links.push({ from: match.index, url });
    if (links.length >= MOST_LINKS) break;
  }
  return links;
}

/** The link without the punctuation of the sentence that it stands in; `(http://a/b)` ends before its bracket, `b_(c)` behind. */
function trim(link: string): string {
  const count = (part: string) => link.split(part).length - 1;
  const open: Record<string, number> = {};
  for (const [closing, opening] of Object.entries(CLOSING)) open[closing] = count(opening) - count(closing);
  let end = link.length;
  for (; end; end--) {
    const last = link.charAt(end - 1);
    if (last in open && open[last]!++ >= 0) break;
    if (!/[.,;:!?)\]}'"]/.test(last)) break;
  }
  return link.slice(0, end);
}

function isWeb(link: string): boolean {
  return URL.canParse(link) && /^https?:$/.test(new URL(link).protocol);
}

function anchor(url: string): HTMLAnchorElement {
  const made = document.createElement('a');
  made.href = url;
  made.target = '_blank';
  made.rel = 'noopener noreferrer nofollow';
  return made;
}
