// The card of a process below the row that was clicked, and which rows were opened.
import { element, put } from './dom';
import type { CardModel } from './messages';
import type { CardView, Views } from './wire';

/** Where the card of one row is shown while the row is open. */
export class Place {
  readonly root = element('div', 'place');
  private readonly note = element('span', 'place-note');
  private card?: CardView;

  constructor() {
    this.root.append(this.note);
    this.root.hidden = true;
  }

  get isOpen(): boolean {
    return !this.root.hidden;
  }

  open(): void {
    put(this.note, 'Opening …');
    this.root.hidden = false;
  }

  /** The kernel has said which widget it is. */
  async show({ model }: CardModel, manager: unknown): Promise<void> {
    const views = manager as Views;
    const card = model ? await views.create_view(await views.get_model(model)) : undefined;
    if (!this.isOpen || this.card) return card?.remove();
    put(this.note, card ? '' : 'Its output is not kept any more.');
    this.card = card;
    if (card) this.root.append(card.el);
  }

  close(): void {
    this.card?.remove();
    this.card = undefined;
    this.root.hidden = true;
  }
}

/** The rows that were opened, by their ids: the browser remembers them when this tab is loaded anew. */
export class Opened {
  private readonly ids: Set<number>;

  /** `job`: of this widget alone: another one counts from 1 too */
  constructor(private readonly job: string) {
    let kept: unknown;
    try {
      kept = JSON.parse(sessionStorage.getItem(this.key) ?? '[]');
    } catch {} // there is no storage in a sandboxed frame
    this.ids = new Set(Array.isArray(kept) ? kept : []);
  }

  has(id: number): boolean {
    return this.ids.has(id);
  }

  keep(id: number, open: boolean): void {
    if (open) this.ids.add(id);
    else this.ids.delete(id);
    try {
      sessionStorage.setItem(this.key, JSON.stringify([...this.ids]));
    } catch {}
  }

  private get key(): string {
    return `ipyproc-opened-${this.job}`;
  }
}
