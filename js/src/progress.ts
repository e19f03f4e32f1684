// The line below the head: how far the program has come, as the kernel reads it from the output; and while the tab is
// hidden the same in its title.
import { element, hide } from './dom';
import { drawTitle, percent, showShare } from './title';

export class Progress {
  readonly bar = element('div', 'bar');
  private readonly done = element('div', 'done');
  private readonly inner = element('div', 'inner');
  private shown = '';
  private readonly onVisible = () => drawTitle();

  constructor() {
    this.bar.append(this.done, this.inner);
    document.addEventListener('visibilitychange', this.onVisible);
  }

  /** `live`: it goes on; `share`: of 1, nothing when that is not known; `inner`: of the round that `doing` names. */
  show(live: boolean, share: number | null, inner: number | null, doing: string): void {
    const shown = `${live} ${share} ${inner} ${doing}`;
    if (shown === this.shown) return;
    this.shown = shown;
    const known = live && share !== null;
    const now = known ? String(Math.floor(100 * share)) : null; // none: it is not known how far
    const described = { role: 'progressbar', 'aria-label': 'Progress', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': now, 'aria-valuetext': known ? [percent(share), doing].filter(Boolean).join(', ') : null };
    for (const [name, value] of Object.entries(described)) {
      if (live && value !== null) this.bar.setAttribute(name, value);
      else this.bar.removeAttribute(name);
    }
    this.bar.dataset.known = String(known);
    this.bar.title = described['aria-valuetext'] ?? '';
    hide(this.inner, !known || inner === null);
    this.inner.style.width = `${100 * (inner ?? 0)}%`;
    this.done.style.width = known ? `${100 * share}%` : '';
    showShare(this, known ? share : undefined);
  }

  close(): void {
    document.removeEventListener('visibilitychange', this.onVisible);
    this.show(false, null, null, '');
  }
}
