// The line below the head: how far the program has come, as the kernel reads it from the output; and while the tab is
// hidden the same in its title.
import { element } from './dom';

const shares = new Map<Progress, number>(); // of all cards of the page, the oldest first
let ours = ''; // the title as we have set it
let theirs = '';

function drawTitle(): void {
  if (ours && document.title === ours) document.title = theirs; // else it has been set anew meanwhile
  ours = '';
  const [share] = shares.values();
  if (!document.hidden || share === undefined) return;
  theirs = document.title;
  document.title = ours = `${percent(share)} · ${theirs}`;
}

function percent(share: number): string {
  return `${Math.floor(100 * share)} %`; // not 100 before the end
}

export class Progress {
  readonly bar = element('div', 'bar');
  private readonly done = element('div', 'done');
  private readonly onVisible = () => drawTitle();

  constructor() {
    this.bar.append(this.done);
    document.addEventListener('visibilitychange', this.onVisible);
  }

  /** `live`: it goes on; `share`: of 1, nothing when that is not known. */
  show(live: boolean, share: number | null | undefined): void {
    const known = live && typeof share === 'number';
    const now = known ? String(Math.floor(100 * share)) : null; // none: it is not known how far
    const described = { role: 'progressbar', 'aria-label': 'Progress', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': now };
    for (const [name, value] of Object.entries(described)) {
      if (live && value !== null) this.bar.setAttribute(name, value);
      else this.bar.removeAttribute(name);
    }
    this.bar.dataset.known = String(known);
    this.bar.title = known ? percent(share) : '';
    this.done.style.width = known ? `${100 * share}%` : '';
    if (known) shares.set(this, share);
    else shares.delete(this);
    drawTitle();
  }

  close(): void {
    document.removeEventListener('visibilitychange', this.onVisible);
    this.show(false, null);
  }
}
