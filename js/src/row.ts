// One row of text -> elements. Nothing here is ever parsed as markup.
import type { Link } from './links';
import { look, runs } from './sgr';

const MOST_PATTERNS = 500;

const patterns = new Map<string, HTMLElement>(); // by the codes of the style

/** Put the text of a row into its element. */
export function fill(row: HTMLElement, text: string): void {
  row.replaceChildren();
  let into = row;
  let current: Link | undefined;
  for (const { text: part, codes, link } of runs(text)) {
    if (link !== current) {
      current = link;
      into = link ? anchor(link.url) : row;
      if (link) row.append(into);
    }
    into.append(codes ? styled(part, codes) : part);
  }
}

/** A span of this style: a copy of the last one like it, which takes a browser a third of the time of a new one. */
function styled(text: string, codes: string): HTMLElement {
  let pattern = patterns.get(codes);
  if (!pattern) {
    if (patterns.size >= MOST_PATTERNS) patterns.clear();
    patterns.set(codes, (pattern = patternOf(codes)));
  }
  const made = pattern.cloneNode() as HTMLElement;
  made.textContent = text;
  return made;
}

function patternOf(codes: string): HTMLElement {
  const made = document.createElement('span');
  const { css, inverse } = look(codes);
  if (inverse) made.className = 'ipyproc-inverse';
  for (const [name, value] of Object.entries(css)) made.style.setProperty(name, value);
  return made;
}

function anchor(url: string): HTMLAnchorElement {
  const made = document.createElement('a');
  made.href = url;
  made.target = '_blank';
  made.rel = 'noopener noreferrer nofollow';
  return made;
}
