// Elements, icons and buttons of the card.

const RING = 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM8 3a5 5 0 110 10A5 5 0 018 3z';

/** 16 x 16; drawn as filled shapes. What is alive has a ring, what has ended a disc. */
const SHAPES: Record<string, string> = {
  ok: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM7.2 11L4.5 8.3l1-1 1.7 1.6 3.3-3.7 1.1 1z',
  failed: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM10.8 11.8L8 9l-2.8 2.8-1-1L7 8 4.2 5.2l1-1L8 7l2.8-2.8 1 1L9 8l2.8 2.8z',
  signaled: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM5.5 5.5h5v5h-5z',
  left: 'M2.5 6.5h3v3h-3zM6.5 6.5h3v3h-3zM10.5 6.5h3v3h-3z',
  closed: `${RING}M6.3 5l5 3-5 3z`,
  stopping: `${RING}M5.6 5.6h4.8v4.8H5.6z`,
  lost: `${RING}M7.2 4.8h1.6v4H7.2zM7.2 10h1.6v1.6H7.2z`,
  timeout: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM7.2 4h1.6v3.6l2.6 1.7-.9 1.3-3.3-2.2z',
  paused: `${RING}M5.6 5.5h1.8v5H5.6zM8.6 5.5h1.8v5H8.6z`,
  pause: 'M4 3.5h3v9H4zM9 3.5h3v9H9z',
  resume: 'M5 3l8 5-8 5z',
  stop: 'M4.5 3.5h7a1 1 0 011 1v7a1 1 0 01-1 1h-7a1 1 0 01-1-1v-7a1 1 0 011-1z',
  kill: 'M9.5 1L3 9h4l-1 6 7-8.5H8.7z',
};
/** Icons that are drawn as lines. */
const LINES: Record<string, string> = {
  follow: 'M4 3.5l4 4 4-4M4 8.5l4 4 4-4',
  find: 'M7 2.5a4.5 4.5 0 100 9 4.5 4.5 0 000-9zM10.3 10.3l3.2 3.2',
  wrap: 'M2.5 4h11M2.5 8h8.7a2.2 2.2 0 010 4.4H8.5M10.2 10.6l-1.8 1.8 1.8 1.8M2.5 12.4h3',
  copy: 'M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1',
  download: 'M8 2v8M4.8 7L8 10.2 11.2 7M2.5 11v2.5h11V11',
  previous: 'M4 10l4-4 4 4',
  next: 'M4 6l4 4 4-4',
  close: 'M4 4l8 8M12 4l-8 8',
};

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  name: string,
  attributes: Record<string, string> = {},
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = `ipyproc-${name}`;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function drawing<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Record<string, string>): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function icon(name: string): SVGSVGElement {
  const svg = drawing('svg', { viewBox: '0 0 16 16', width: '14', height: '14', 'aria-hidden': 'true' });
  const lines = LINES[name];
  const paint: Record<string, string> = lines
    ? { d: lines, fill: 'none', stroke: 'currentColor', 'stroke-width': '1.3', 'stroke-linejoin': 'round' }
    : { d: SHAPES[name] ?? '', fill: 'currentColor', 'fill-rule': 'evenodd' };
  svg.append(drawing('path', paint));
  return svg;
}

/** A button with an icon only: what it does stands in its title. */
export function iconButton(name: string, title: string, press: () => void): HTMLButtonElement {
  const made = element('button', name, { type: 'button', 'aria-label': title, title });
  made.append(icon(name));
  made.addEventListener('click', press);
  return made;
}

/** A text that stays the same is not set again: the page would lay out anew. */
export function put(into: HTMLElement, text: string): void {
  if (into.textContent !== text) into.textContent = text;
}

/** The same for `hidden`, which costs a frame even if it was so before. */
export function hide(what: HTMLElement, hidden: boolean): void {
  if (what.hidden !== hidden) what.hidden = hidden;
}

export function rename(button: HTMLButtonElement, title: string): void {
  button.title = title;
  button.setAttribute('aria-label', title);
}

export function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(value, most));
}
