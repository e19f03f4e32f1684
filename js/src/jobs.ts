// The live card of many commands. The wire is described in jobs_card.py; all text is put in by textContent.
import type { AnyModel, Render } from '@anywidget/types';
import { element } from './dom';
import { keepKeys } from './keys';
import { stamp } from './wire';

interface Traits {
  shown: { job?: string };
}
interface Row {
  state: 'failed' | 'running';
  mark: string;
  name: string;
  what: string;
  time: string;
}
interface Picture {
  op: 'picture';
  sentence: string;
  total: number;
  done: number;
  failed: number;
  rows: Row[];
  more: string;
  over: boolean;
  rung: number; // how far up the ladder a button has gone: -1 none, 1 terminate, 2 kill
}
type Message = Picture | { op: 'stopping'; rung: number };

const KILL = 2;
const STATUS_MS = 5000; // between two sentences for a screen reader

function put(into: HTMLElement, text: string): void {
  if (into.textContent !== text) into.textContent = text;
}

/** One line: a mark, the name of the command, what it wrote last or how it failed, since when it runs. */
class Line {
  readonly root = element('div', 'jobs-row', { role: 'listitem' });
  private readonly parts = {
    mark: element('span', 'jobs-mark', { 'aria-hidden': 'true' }),
    name: element('code', 'jobs-name'),
    what: element('code', 'jobs-what'),
    time: element('span', 'jobs-time'),
  };

  constructor() {
    this.root.append(...Object.values(this.parts));
  }

  take(row: Row): void {
    this.root.dataset.state = row.state;
    for (const part of ['mark', 'name', 'what', 'time'] as const) put(this.parts[part], row[part]);
    this.root.title = row.what ? `${row.name}: ${row.what}` : row.name;
  }
}

class Jobs {
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
  private lines: Line[] = [];
  private spoke = -Infinity;

  constructor(private readonly model: AnyModel<Traits>) {
    const head = element('div', 'jobs-top');
    head.append(this.sentence, this.status, this.stop, this.kill);
    this.bar.append(this.failed, this.done);
    this.root.append(head, this.bar, this.list, this.more);
  }

  send(op: string): void {
    try {
      this.model.send({ op, job: this.model.get('shown').job, ...stamp() });
    } catch {
      this.lose(); // there is no kernel any more that could hear it
    }
  }

  take(message: Message): void {
    this.root.removeAttribute('data-lost');
    if (message.op === 'picture') this.draw(message);
    this.root.toggleAttribute('data-stopping', message.rung >= 0);
    this.stop.disabled = message.rung >= 0;
    this.kill.disabled = message.rung >= KILL;
    put(this.stop, message.rung >= 0 ? 'Stopping…' : 'Stop all');
  }

  lose(): void {
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
    while (this.lines.length > told.rows.length) this.lines.pop()?.root.remove();
    for (const [number, row] of told.rows.entries()) {
      let line = this.lines[number];
      if (!line) {
        line = new Line();
        this.lines.push(line);
        this.list.append(line.root);
      }
      line.take(row);
    }
    this.list.hidden = !told.rows.length;
    put(this.more, told.more);
  }

  private button(op: string, text: string, title: string): HTMLButtonElement {
    const made = element('button', `jobs-act ipyproc-jobs-${op}`, { type: 'button', title: `${text}: ${title}` });
    made.textContent = text;
    made.addEventListener('click', () => this.send(op));
    return made;
  }
}

const render: Render<Traits> = ({ model, el }) => {
  if (!model.get('shown')?.job) return; // one that a page has forged: nothing to show
  const jobs = new Jobs(model);
  const onMessage = (message: Message | null) => {
    if (message) jobs.take(message);
  };
  // ipywidgets says when the connection to the kernel goes or comes; not one of anywidget's own events, hence the cast
  const live = model as unknown as { on(event: string, call: () => void): void; off(event: string, call: () => void): void };
  const onLive = () => {
    jobs.lose();
    jobs.send('ready');
  };
  live.on('comm_live_update', onLive);
  model.on('msg:custom', onMessage);
  const letKeys = keepKeys(jobs.root, () => false);
  el.append(jobs.root);
  jobs.send('ready');
  return () => {
    letKeys();
    live.off('comm_live_update', onLive);
    model.off('msg:custom', onMessage);
  };
};

export default { render };
