// The line below the head: how far the program has come, as the kernel reads it from the output; and while the tab is
// hidden the same in its title.
import { element } from './dom';
import { drawTitle, percent, showShare } from './title';

export class Progress {
  readonly bar = element('div', 'bar');
  private readonly done = element('div', 'done');
  private shown = '';
  private readonly onVisible = () => drawTitle();

  constructor() {
    this.bar.append(this.done);
    document.addEventListener('visibilitychange', this.onVisible);
  }

  /** `live`: it goes on; `share`: of 1, nothing when that is not known. */
  show(live: boolean, share: number | null): void {
    const shown = `${live} ${share}`;
    if (shown === this.shown) return;
    this.shown = shown;
    const known = live && share !== null;
    const now = known ? String(Math.floor(100 * share)) : null; // none: it is not known how far
    const described = { role: 'progressbar', 'aria-label': 'Progress', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': now };
    for (const [name, value] of Object.entries(described)) {
      if (live && value !== null) this.bar.setAttribute(name, value);
      else this.bar.removeAttribute(name);
    }
    this.bar.dataset.known = String(known);
    this.bar.title = known ? percent(share) : '';
    this.done.style.width = known ? `${100 * share}%` : '';
    showShare(this, known ? share : undefined);
  }

  close(): void {
    document.removeEventListener('visibilitychange', this.onVisible);
    this.show(false, null);
  }
}
