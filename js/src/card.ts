// The process card: what one process looks like in a cell while it runs. Its messages are in messages.ts.
// The kernel owns state and text; all of it is put into the page by textContent, never as markup.
import type { AnyModel, Render } from '@anywidget/types';
import { element, hide, icon, put, rename } from './dom';
import { Figures } from './figures';
import type { CardMessage, CardShown, Tail, Times } from './messages';
import { askForNotifications, notify } from './notification';
import { Opened } from './opened';
import { Output } from './output';
import { Progress } from './progress';
import { Stdin } from './stdin';
import { duration, running, stopping } from './time';
import { leave, together } from './together';
import { type View, show } from './view';
import { type Send, stamp } from './wire';

interface Traits {
  shown: CardShown;
}

const LIVE = new Set(['running', 'closed', 'paused', 'stopping']);
const FRESH_MS = 60_000;
const STOPPABLE = new Set([...LIVE, 'left']);

class Card implements View<CardMessage> {
  readonly root = element('section', 'card', { role: 'group' });
  private readonly icon = element('span', 'icon');
  private readonly spinner = element('span', 'spinner', { 'aria-hidden': 'true' });
  private readonly label = element('span', 'label', { role: 'status' });
  private readonly title = element('code', 'title');
  private readonly last = element('code', 'last');
  private readonly note = element('span', 'note');
  private readonly time = element('time', 'time');
  private readonly stop = this.button('stop', 'Stop', 'Stop: send SIGTERM, and SIGKILL if it does not end');
  private readonly kill = this.button('kill', 'Kill', 'Kill: send SIGKILL');
  private readonly pause = this.button('pause', 'Pause', '', () => this.send({ op: this.shown.name === 'paused' ? 'resume' : 'pause' }));
  private readonly figures = new Figures((request) => this.send(request), (seconds) => this.goTo(seconds));
  private readonly progress = new Progress();
  private readonly output = new Output((request) => this.send(request));
  private readonly stdin = new Stdin((request) => this.send(request));
  private readonly counts = element('span', 'counts');
  private readonly fold = element('button', 'fold', { type: 'button' });
  private readonly unfold = element('button', 'unfold', { type: 'button' });
  private readonly opened: Opened;
  private isLine: boolean;
  private open: boolean;
  private counted = '';
  private seen = false;
  private lost = false;
  private lostAt = ''; // the time
  private refusal = ''; // why there will be no notification
  private told?: Tail; // the last one
  private ahead?: CardShown; // what a busy kernel has said of its state; the model gets it later
  private heard = performance.now(); // when the kernel last sent the times
  private times: Times;

  constructor(private readonly model: AnyModel<Traits>) {
    const { folded } = this.shown;
    this.open = !folded;
    this.times = this.shown;
    this.opened = new Opened(this.shown.job);
    this.isLine = this.shown.line && !this.opened.has(0);
    const head = element('div', 'head');
    const buttons = element('span', 'buttons', { role: 'toolbar', 'aria-label': 'Process' });
    const foot = element('div', 'foot');
    buttons.append(this.pause, this.stop, this.kill);
    head.append(this.unfold, this.icon, this.label, this.title, this.last, this.note, this.figures.root, this.time, buttons);
    foot.append(this.counts, this.output.said, this.output.tools, this.fold);
    this.root.append(head, this.progress.bar, this.output.body, this.stdin.row, foot);
    this.fold.hidden = !folded;
    this.unfold.hidden = !this.shown.line;
    head.addEventListener('click', ({ target }) => {
      const button = (target as Element).closest('button');
      if (button ? button !== this.unfold : !this.isLine) return;
      this.isLine = !this.isLine;
      this.opened.keep(0, !this.isLine);
      this.draw();
    });
    this.fold.addEventListener('click', () => {
      this.open = !this.open;
      this.draw();
    });
    this.draw();
    if (this.shown.notifies) void this.askForNotifications();
  }

  private get shown(): CardShown {
    const shown = this.ahead ?? this.model.get('shown');
    if (!this.lost || !STOPPABLE.has(shown.name)) return shown;
    return { ...shown, name: 'lost', label: `${shown.ends ? 'Ended with its kernel' : 'Its kernel is gone'}, ${this.lostAt}` };
  }

  send: Send = (request) => {
    try {
      this.model.send({ ...request, ...stamp(this.shown.job) });
    } catch {
      this.lose(); // there is no kernel any more that could hear it
    }
  };

  reconnect(): void {
    this.lose();
    this.send({ op: 'ping' });
  }

  /** The kernel was restarted or has died; if it is there after all, its next message shows that. */
  private lose(): void {
    this.drawTimes(); // the time stands still from here
    this.lost = true;
    this.lostAt = new Date().toTimeString().slice(0, 5);
    this.draw();
  }

  change(ahead?: CardShown): void {
    this.ahead = ahead;
    this.lost = false;
    this.hear(this.shown);
    this.draw();
  }

  take(message: CardMessage, buffer: DataView | undefined): void {
    this.output.take(message, buffer);
    if (message.op === 'tail') this.hearTail(message);
    else if (message.op === 'figures') this.figures.take(message);
    else if (message.op === 'history') this.figures.takeHistory(message);
    else if (message.op === 'state') this.change(message.shown);
    else if (message.op === 'notify') notify(`${message.label} · ${message.took}`, this.shown.title, this.shown.job);
  }

  key(event: KeyboardEvent): boolean {
    return this.stdin.key(event) || this.figures.key(event) || this.output.key(event);
  }

  see(seen: boolean): void {
    this.figures.see(seen);
    this.output.see(seen);
    this.seen = seen;
    if (seen) this.draw();
  }

  close(): void {
    leave(this);
    this.progress.close();
    this.figures.close();
    this.output.close();
  }

  tick(): void {
    if (this.shown.name === 'stopping') this.label.setAttribute('aria-live', 'off'); // nobody wants to hear it count
    this.drawTimes();
    if (this.told?.left) this.drawProgress();
    if (LIVE.has(this.shown.name)) this.figures.tick(this.times.elapsed + (performance.now() - this.heard) / 1000);
  }

  /** Go to the line that came so many seconds after the start. */
  private goTo(seconds: number): void {
    this.open = true;
    this.draw();
    this.output.goTo(seconds);
  }

  private drawTimes(): void {
    const { name, label, sent } = this.shown;
    const { elapsed, sent_ago, next_in, ended } = this.times;
    const since = LIVE.has(name) ? (performance.now() - this.heard) / 1000 : 0;
    // no CSS animation: it would have the browser look at the page sixty times a second, also between two steps
    this.spinner.style.rotate = `${45 * Math.floor(elapsed + since)}deg`;
    if (name !== 'lost') put(this.time, LIVE.has(name) ? running(elapsed + since) : duration(elapsed));
    this.time.title = ended;
    put(this.label, name === 'stopping' ? stopping(sent, sent_ago + since, next_in === null ? null : next_in - since) : label);
  }

  private hearTail(message: Tail): void {
    const mustDraw = this.seen || this.lost || (this.output.isHidden && this.open && !this.isLine);
    this.lost = false;
    this.told = message;
    this.counted = `${message.counts} · pid ${this.shown.pid}`;
    this.stdin.secret = message.secret;
    this.hear(message);
    if (mustDraw) return together(this, () => this.drawTail());
    this.drawProgress(); // the title of the tab tells of what nobody sees
    this.output.redraw(); // when somebody sees it
  }

  private drawTail(): void {
    this.draw();
    this.output.redraw();
  }

  private async askForNotifications(): Promise<void> {
    this.refusal = await askForNotifications();
    this.draw();
  }

  private hear(times: Times): void {
    this.times = times;
    this.heard = performance.now();
  }

  private draw(): void {
    const { name, title, sent } = this.shown;
    const live = LIVE.has(name);
    const paused = name === 'paused';
    if (this.root.dataset.state !== name) {
      this.root.dataset.state = name;
      this.label.setAttribute('aria-live', 'polite');
      this.icon.replaceChildren(name === 'running' ? this.spinner : icon(name));
    }
    this.root.setAttribute('aria-label', `Process ${title}`);
    put(this.title, (this.title.title = title));
    for (const button of [this.stop, this.kill]) hide(button, !STOPPABLE.has(name));
    this.stop.disabled = sent !== '';
    hide(this.pause, !this.shown.pauses || !live || sent !== '');
    if (this.pause.dataset.does !== name) {
      this.pause.dataset.does = name;
      this.pause.replaceChildren(icon(paused ? 'resume' : 'pause'));
      rename(this.pause, paused ? 'Resume: send SIGCONT' : 'Pause: send SIGSTOP');
    }
    this.figures.live = live;
    this.stdin.hidden = !live || !this.shown.stdin;
    put(this.counts, this.counted);
    this.drawProgress();
    this.root.toggleAttribute('data-line', this.isLine);
    this.unfold.setAttribute('aria-expanded', String(!this.isLine));
    rename(this.unfold, this.isLine ? 'Show the card' : 'Fold to one line');
    put(this.last, this.isLine ? this.output.last : '');
    this.output.hidden = !this.open || this.isLine || this.output.isEmpty;
    this.output.lost = this.lost;
    this.output.failed = name === 'failed';
    this.output.live = STOPPABLE.has(name);
    put(this.fold, this.open ? 'Hide output' : 'Show output');
    this.fold.setAttribute('aria-expanded', String(this.open));
    this.drawTimes();
  }

  private drawProgress(): void {
    const { name, note } = this.shown;
    const live = LIVE.has(name) && name !== 'paused';
    const { progress = null, inner = null, doing = '', left = '' } = this.told ?? {};
    this.progress.show(live, progress, inner, doing);
    const isFresh = live && performance.now() - this.heard < FRESH_MS; // else nobody knows how much time is left
    put(this.note, (this.note.title = [note, live && doing, isFresh && left, this.refusal].filter(Boolean).join(' · ')));
  }

  private button(op: 'stop' | 'kill' | 'pause', text: string, name: string, press = () => this.send({ op })): HTMLButtonElement {
    const made = element('button', op, { type: 'button', 'aria-label': name, title: name });
    made.append(icon(op), text);
    made.addEventListener('click', press);
    return made;
  }
}

export const render: Render<Traits> = ({ model, el }) => show(new Card(model), model as AnyModel, el);
