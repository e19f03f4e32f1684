// What stands before the title of the tab while nobody sees it: how far a program has come, or how one has ended.

const shares = new Map<object, number>(); // of all cards of the page, the oldest first
let end = ''; // how a program has ended, until the tab is seen
let ours = ''; // the title that was set here
let theirs = '';

/** How far a card's program has come, from 0 to 1; nothing when that is not known. */
export function showShare(card: object, share: number | undefined): void {
  if (share === undefined) shares.delete(card);
  else shares.set(card, share);
  drawTitle();
}

/** How a program has ended, until somebody sees the tab. */
export function showEnd(words: string): void {
  if (!document.hidden) return;
  end = words;
  document.addEventListener('visibilitychange', seen);
  drawTitle();
}

/** To be called when the tab has been shown or hidden. */
export function drawTitle(): void {
  if (ours && document.title === ours) document.title = theirs; // else it has been set anew meanwhile
  ours = '';
  const [share] = shares.values();
  const words = end || (share === undefined ? '' : percent(share));
  if (!document.hidden || !words) return;
  theirs = document.title;
  document.title = ours = `${words} · ${theirs}`;
}

export function percent(share: number): string {
  return `${Math.floor(100 * share)} %`; // not 100 before the end
}

function seen(): void {
  if (document.hidden) return;
  document.removeEventListener('visibilitychange', seen);
  end = '';
  drawTitle();
}
