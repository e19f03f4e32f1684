// The live table of the processes of a kernel. Its messages are in messages.ts; all text is put in by textContent.
import type { AnyModel, Render } from '@anywidget/types';
import { element, put, rename } from './dom';
import type { StateName, TableMessage, TableRequest, TableRow, TableShown } from './messages';
import { Opened, Place } from './opened';
import { duration, running } from './time';
import { type View, show } from './view';
import { type Send, newId, stamp } from './wire';

interface Traits {
  shown: TableShown;
}
const COLUMNS: [name: string, title: string][] = [
  ['state', 'State'],
  ['id', 'ID'],
  ['command', 'Command'],
  ['time', 'Time'],
  ['cpu', 'CPU'],
  ['memory', 'Memory'],
  ['lines', 'Lines'],
  ['buttons', ''],
];

/** Whether one in this state can be paused, or is. */
function pausable(state: StateName): boolean {
  return state !== 'stopping' && state !== 'left';
}

function button(op: string, text: string, press: () => void): HTMLButtonElement {
  const made = element('button', op, { type: 'button' });
  made.textContent = text;
  made.addEventListener('click', press);
  return made;
}

/** One process: its row and, when it was opened, a row below with its card and its log. */
class Row {
  readonly root = element('tr', 'table-row', { role: 'row' }); // as CSS may lay it out in another way, and roles get lost
  readonly more = element('tr', 'table-more', { role: 'row' });
  private readonly cells = new Map<string, HTMLTableCellElement>();
  private readonly mark = element('span', 'table-mark', { 'aria-hidden': 'true' });
  private readonly label = element('span', 'table-word');
  private readonly name = element('code', 'table-name');
  private readonly origin = element('div', 'table-origin');
  readonly place = new Place();
  private readonly stop = button('stop', 'Stop', () => this.send({ op: 'stop', id: this.id }));
  private readonly kill = button('kill', 'Kill', () => this.send({ op: 'kill', id: this.id }));
  private readonly pause = button('pause', 'Pause', () => this.send({ op: this.told?.state === 'paused' ? 'resume' : 'pause', id: this.id }));
  private readonly open = button('open', 'Output', () => this.toggle());
  private told?: TableRow;
  private heard = 0;

  constructor(
    private readonly id: number,
    private readonly pauses: boolean,
    private readonly view: string,
    private readonly send: Send<TableRequest>,
    private readonly toggled: (open: boolean) => void,
  ) {
    for (const [name] of COLUMNS) {
      const cell = element('td', `table-at-${name}`, { role: 'cell' });
      this.cells.set(name, cell);
      this.root.append(cell);
    }
    this.cells.get('state')?.append(this.mark, this.label);
    this.cells.get('command')?.append(this.name, this.origin);
    this.cells.get('buttons')?.append(this.pause, this.stop, this.kill, this.open);
    const cell = element('td', 'table-below', { role: 'cell', colspan: String(COLUMNS.length) });
    cell.append(this.place.root);
    this.more.append(cell);
    this.more.hidden = true;
  }

  take(told: TableRow): void {
    this.told = told;
    this.heard = performance.now();
    this.root.dataset.state = told.state;
    this.root.dataset.id = String(told.id);
    put(this.mark, told.mark);
    put(this.label, told.label);
    const figures = { id: `${told.id}`, cpu: told.cpu, memory: told.memory, lines: told.lines.toLocaleString('en') };
    for (const [name, text] of Object.entries(figures)) put(this.cells.get(name) as HTMLElement, text);
    put(this.name, told.name);
    put(this.origin, [`[${told.cell}]`, told.origin, told.since, `pid ${told.pid}`].filter(Boolean).join(' · '));
    this.name.title = told.name;
    this.label.title = told.label;
    this.stop.hidden = this.kill.hidden = this.pause.hidden = !told.runs;
    this.pause.hidden ||= !this.pauses || !pausable(told.state);
    this.stop.disabled = told.state === 'stopping';
    put(this.pause, told.state === 'paused' ? 'Resume' : 'Pause');
    this.open.hidden = !told.opens && !this.place.isOpen;
    this.open.setAttribute('aria-expanded', String(this.place.isOpen));
    for (const each of [this.stop, this.kill, this.pause, this.open]) each.setAttribute('aria-label', `${each.textContent} ${told.id}: ${told.name}`);
    this.tick();
  }

  tick(): void {
    if (!this.told) return;
    const { runs, elapsed } = this.told;
    const now = runs ? running(elapsed + (performance.now() - this.heard) / 1000) : duration(elapsed);
    put(this.cells.get('time') as HTMLElement, now);
  }

  close(): void {
    this.place.close();
    this.more.hidden = true;
  }

  remove(): void {
    this.close();
    this.root.remove();
    this.more.remove();
  }

  toggle(): void {
    if (this.place.isOpen) this.close();
    else {
      this.more.hidden = false;
      this.place.open();
      this.send({ op: 'card', id: this.id, view: this.view });
    }
    if (this.told) this.take(this.told);
    this.toggled(this.place.isOpen);
  }
}

class Table implements View<TableMessage> {
  readonly root = element('section', 'table', { 'aria-label': 'Processes of this kernel' });
  private readonly count = element('span', 'table-running', { role: 'status' });
  private readonly pause = button('pause', 'Pause all', () => this.send({ op: this.allArePaused ? 'resume' : 'pause', id: 0 }));
  private readonly stop = button('stop', 'Stop all', () => this.send({ op: 'stop', id: 0 }));
  private readonly kill = button('kill', 'Kill all', () => this.send({ op: 'kill', id: 0 }));
  private readonly body = element('tbody', 'table-rows', { role: 'rowgroup' });
  private readonly rows = new Map<number, Row>();
  private readonly view = newId();
  private ids: number[] = [];
  private readonly running = new Map<number, StateName>(); // their states
  private watched = false;
  private lost = false;
  private readonly opened: Opened;

  constructor(private readonly model: AnyModel<Traits>) {
    const head = element('div', 'table-top');
    const title = element('b', 'table-heading');
    title.textContent = 'Processes';
    head.append(title, this.count, this.pause, this.stop, this.kill);
    const table = element('table', 'table-grid', { role: 'table' });
    const names = element('tr', 'table-names', { role: 'row' });
    for (const [name, text] of COLUMNS) {
      const cell = name === 'buttons' ? element('td', `table-at-${name}`, { role: 'cell' }) : element('th', `table-at-${name}`, { role: 'columnheader', scope: 'col' });
      cell.textContent = text;
      names.append(cell);
    }
    const header = element('thead', 'table-header', { role: 'rowgroup' });
    header.append(names);
    table.append(header, this.body);
    const scroller = element('div', 'table-scroller', { tabindex: '0', role: 'group', 'aria-label': 'Table of processes' });
    scroller.append(table);
    this.root.append(head, scroller);
    this.opened = new Opened(model.get('shown').job);
  }

  send: Send<TableRequest> = (request) => {
    try {
      this.model.send({ ...request, ...stamp(this.model.get('shown').job) });
    } catch {
      this.lose(); // there is no kernel any more that could hear it
    }
  };

  /** A view that nobody sees costs the kernel nothing. */
  see(seen: boolean): void {
    if (!seen && !this.watched) return;
    this.watched = seen;
    this.send({ op: 'watch', view: this.view, on: seen });
  }

  take(message: TableMessage): void {
    if (message.op === 'card') {
      if (message.view === this.view) void this.rows.get(message.id)?.place.show(message, this.model.widget_manager);
      return;
    }
    if (message.op !== 'rows') return;
    this.lost = false;
    for (const told of message.rows) {
      let row = this.rows.get(told.id);
      const isNew = !row;
      if (!row) this.rows.set(told.id, (row = new Row(told.id, this.model.get('shown').pauses, this.view, this.send, (open) => this.opened.keep(told.id, open))));
      row.take(told);
      if (isNew && this.opened.has(told.id)) row.toggle();
      if (told.runs) this.running.set(told.id, told.state);
      else this.running.delete(told.id);
    }
    if (message.ids) this.order(message.ids);
    this.draw();
  }

  change(): void {}

  reconnect(): void {
    const { watched } = this;
    this.lose();
    this.see(false);
    this.see(watched);
  }

  key(): boolean {
    return false;
  }

  tick(): void {
    if (!this.lost) for (const id of this.running.keys()) this.rows.get(id)?.tick();
  }

  close(): void {
    for (const row of this.rows.values()) row.close();
  }

  private get allArePaused(): boolean {
    return [...this.running.values()].filter(pausable).every((state) => state === 'paused');
  }

  private lose(): void {
    this.lost = true;
    this.draw();
  }

  /** Rows that are in their place stay there: the one that has the focus keeps it. */
  private order(ids: number[]): void {
    const known = new Set(ids);
    for (const [id, row] of this.rows) {
      if (known.has(id)) continue;
      row.remove();
      this.rows.delete(id);
      this.running.delete(id);
    }
    if (ids.join() === this.ids.join()) return;
    this.ids = ids;
    let next = this.body.firstElementChild;
    for (const id of ids) {
      const row = this.rows.get(id);
      if (!row) continue;
      if (next === row.root) next = row.more.nextElementSibling;
      else {
        this.body.insertBefore(row.root, next);
        this.body.insertBefore(row.more, next);
      }
    }
  }

  private draw(): void {
    const running = this.running.size;
    put(this.count, this.lost ? 'The kernel is gone' : this.rows.size ? `${running} running, ${this.rows.size - running} ended` : 'none was started yet');
    const { pauses } = this.model.get('shown');
    const words = { pause: this.allArePaused ? 'Resume all: send SIGCONT' : 'Pause all: send SIGSTOP', stop: 'Stop all: send SIGTERM', kill: 'Kill all: send SIGKILL' };
    for (const op of ['pause', 'stop', 'kill'] as const) {
      this[op].hidden = this.lost || running < 2 || (op === 'pause' && !(pauses && [...this.running.values()].some(pausable)));
      rename(this[op], `${words[op]} to all that runs`);
    }
    put(this.pause, this.allArePaused ? 'Resume all' : 'Pause all');
    this.root.toggleAttribute('data-lost', this.lost);
    this.root.toggleAttribute('data-idle', !running);
  }
}

export const render: Render<Traits> = ({ model, el }) => show(new Table(model), model as AnyModel, el);
