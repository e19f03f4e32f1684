// The live card of many commands. Its messages are in messages.ts; all text is put in by textContent.
import type { AnyModel, Render } from '@anywidget/types';
import { element, put } from './dom';
import type { JobsMessage, JobsRequest, JobsRow, Picture, Shown } from './messages';
import { Opened, Place } from './opened';
import { type View, show } from './view';
import { newId, stamp } from './wire';

interface Traits {
  shown: Shown;
}

const KILL = 2; // how far up the ladder a button has gone: -1 none, 1 terminate, 2 kill
const STATUS_MS = 5000; // between two sentences for a screen reader

/** One line: a mark, the name of the command, what it wrote last or how it failed, how long it has run; below it its card. */
class Line {
  readonly root = element('div', 'jobs-item', { role: 'listitem' });
  readonly place = new Place();
  private readonly row = element('button', 'jobs-row', { type: 'button' });
  private readonly parts = {
    mark: element('span', 'jobs-mark', { 'aria-hidden': 'true' }),
    name: element('code', 'jobs-name'),
    what: element('code', 'jobs-what'),
    time: element('span', 'jobs-time'),
  };

  constructor(toggle: () => void) {
    this.row.append(...Object.values(this.parts));
    this.row.addEventListener('click', toggle);
    this.root.append(this.row, this.place.root);
  }

  take(row: JobsRow): void {
    this.root.dataset.state = row.state;
    for (const part of ['mark', 'name', 'what', 'time'] as const) put(this.parts[part], row[part]);
    this.row.title = row.what ? `${row.name}: ${row.what}` : row.name;
    this.row.disabled = !row.opens;
    this.draw();
  }

  draw(): void {
    this.row.setAttribute('aria-expanded', String(this.place.isOpen));
  }
}

class Jobs implements View<JobsMessage> {
  readonly root = element('section', 'jobs', { role: 'group', 'aria-label': 'Commands' });
  private readonly sentence = element('span', 'jobs-sentence');
  private readonly status = element('span', 'jobs-status', { role: 'status' });
  private readonly stop = this.button('stop', 'Stop all', 'send SIGTERM to all that runs, and start no more');
  private readonly kill = this.button('kill', 'Kill all', 'send SIGKILL to all that runs, and start no more');
  private readonly bar = element('div', 'jobs-bar', { role: 'progressbar', 'aria-label': 'Commands that are done', 'aria-valuemin': '0' });
  private readonly failed = element('div', 'jobs-failed');
  private readonly done = element('div', 'jobs-done');
  private readonly list = element('div', 'jobs-rows', { role: 'list' });
  private readonly more = element('div', 'jobs-more');
  private readonly lines = new Map<number, Line>();
  private readonly opened: Opened;
  private readonly view = newId();
  private spoke = -Infinity;

  constructor(private readonly model: AnyModel<Traits>) {
    const head = element('div', 'jobs-top');
    head.append(this.sentence, this.status, this.stop, this.kill);
    this.bar.append(this.failed, this.done);
    this.root.append(head, this.bar, this.list, this.more);
    this.opened = new Opened(model.get('shown').job);
  }

  take(message: JobsMessage): void {
    if (message.op === 'card') {
      if (message.view === this.view) void this.lines.get(message.id)?.place.show(message, this.model.widget_manager);
      return;
    }
    if (message.op === 'picture') this.draw(message.picture);
    else if (message.op !== 'stopping') return;
    this.root.removeAttribute('data-lost');
    const stopping = message.rung >= 0;
    this.root.dataset.state = message.op === 'picture' && message.picture.over ? 'over' : stopping ? 'stopping' : 'running';
    this.stop.disabled = stopping;
    this.kill.disabled = message.rung >= KILL;
    put(this.stop, stopping ? 'Stopping…' : 'Stop all');
  }

  change(): void {}

  reconnect(): void {
    this.lose();
    this.send({ op: 'ping' });
  }

  key(): boolean {
    return false;
  }

  see(): void {}

  tick(): void {} // the kernel says how long it has been

  close(): void {
    for (const { place } of this.lines.values()) place.close();
  }

  private send(request: JobsRequest): void {
    try {
      this.model.send({ ...request, ...stamp(this.model.get('shown').job) });
    } catch {
      this.lose(); // there is no kernel any more that could hear it
    }
  }

  private lose(): void {
    this.root.setAttribute('data-lost', '');
    put(this.sentence, 'The kernel is gone');
  }

  private draw(told: Picture): void {
    put(this.sentence, told.sentence);
    if (performance.now() > this.spoke + STATUS_MS) {
      this.spoke = performance.now();
      put(this.status, told.sentence);
    }
    this.failed.style.width = `${(100 * told.failed) / Math.max(1, told.total)}%`;
    this.done.style.width = `${(100 * told.done) / Math.max(1, told.total)}%`;
    this.bar.setAttribute('aria-valuemax', String(told.total));
    this.bar.setAttribute('aria-valuenow', String(told.done));
    this.stop.hidden = this.kill.hidden = told.over;
    const ids = new Set(told.rows.map(({ id }) => id));
    for (const [id, { root, place }] of this.lines) {
      if (ids.has(id)) continue;
      place.close();
      root.remove();
      this.lines.delete(id);
    }
    let next = this.list.firstElementChild;
    for (const row of told.rows) {
      let line = this.lines.get(row.id);
      const isNew = !line;
      if (!line) this.lines.set(row.id, (line = new Line(() => this.toggle(row.id))));
      line.take(row);
      if (next === line.root) next = next.nextElementSibling;
      else if (isNew || !line.place.isOpen) this.list.insertBefore(line.root, next); // one that is read stays where it is
      if (isNew && this.opened.has(row.id)) this.toggle(row.id);
    }
    this.list.hidden = !told.rows.length;
    put(this.more, told.more);
  }

  private toggle(id: number): void {
    const line = this.lines.get(id)!;
    if (line.place.isOpen) line.place.close();
    else {
      line.place.open();
      this.send({ op: 'card', id, view: this.view });
    }
    line.draw();
    this.opened.keep(id, line.place.isOpen);
  }

  private button(op: 'stop' | 'kill', text: string, title: string): HTMLButtonElement {
    const made = element('button', op, { type: 'button', title: `${text}: ${title}` });
    made.textContent = text;
    made.addEventListener('click', () => this.send({ op }));
    return made;
  }
}

export const render: Render<Traits> = ({ model, el }) => show(new Jobs(model), model as AnyModel, el);
