// The body of the card: the log, what finds, copies and downloads it, and the buttons for that.
import { element, hide, iconButton, put, rename } from './dom';
import { Find } from './find';
import { ROW } from './geometry';
import { Log } from './log';
import type { CardMessage } from './messages';
import { Moments } from './moments';
import { Rows } from './rows';
import { plain } from './sgr';
import { type Place, Selection } from './selection';
import { Download, Refused, TextPull, copy } from './transfer';
import { type Send, newId, unpack } from './wire';

const SAID_MS = 3000;
const TOLD_MS = 10_000;
const OURS = 'acfvxz'; // with Ctrl or Cmd: what JupyterLab would take for the cell
const DOWNLOAD = 'Download the output';
const STREAMS = ['all', 'stdout', 'stderr'];

export class Output {
  readonly body = element('div', 'body');
  readonly tools = element('span', 'tools', { role: 'group', 'aria-label': 'Output' });
  private readonly filter = element('select', 'filter', { 'aria-label': 'Lines to show', title: 'Lines to show' });
  readonly said = element('span', 'said', { 'aria-live': 'polite' });
  private readonly rows: Rows;
  private readonly log: Log;
  private readonly selection: Selection;
  private readonly find: Find;
  private readonly moments: Moments;
  private readonly newLines = element('button', 'new-lines', { type: 'button' });
  private readonly followButton = iconButton('follow', 'Follow new lines', () => this.follow(!this.log.following));
  private readonly findButton = iconButton('find', 'Find (Ctrl+F)', () => this.toggleFind());
  private readonly wrapButton = iconButton('wrap', 'Wrap long lines', () => (this.log.wrap = !this.log.wrap));
  private readonly copyButton = iconButton('copy', 'Copy the selection, or all', () => this.copy());
  private readonly downloadButton = iconButton('download', DOWNLOAD, () => this.download());
  private text?: TextPull;
  private file?: Download;
  private silence = 0;
  private seen = true; // until it is known
  private readonly view = newId();

  constructor(private readonly send: Send) {
    this.rows = new Rows(send, () => this.log.redraw());
    this.log = new Log(this.rows, (changed) => this.drawn(changed));
    this.selection = new Selection(this.log, this.rows);
    this.find = new Find(this.log, this.rows, send, () => this.drawn(true));
    this.moments = new Moments(this.log, this.rows, send, (words) => this.say(words, TOLD_MS));
    this.newLines.addEventListener('click', () => this.follow(true));
    this.filter.hidden = true; // until both streams have some output
    this.filter.append(...STREAMS.map((name, stream) => new Option(name, String(stream))));
    this.filter.addEventListener('change', () => this.limit(Number(this.filter.value)));
    const view = element('div', 'view');
    view.append(this.log.root, this.newLines, this.moments.tip);
    this.body.append(view, this.find.bar);
    this.tools.append(this.filter, this.followButton, this.findButton, this.wrapButton, this.copyButton, this.downloadButton);
    for (const button of [this.newLines, this.tools]) // a press keeps the selection and the focus where they are
      button.addEventListener('mousedown', (event) => event.target !== this.filter && event.preventDefault());
    this.log.root.addEventListener('copy', (event) => this.copied(event));
    this.drawn(false);
  }

  get isEmpty(): boolean {
    return !this.rows.total && !this.rows.stream;
  }

  /** The text of the last row. */
  get last(): string {
    return plain(this.rows.get(this.rows.total - 1)?.slice(1) ?? '');
  }

  get isHidden(): boolean {
    return this.body.hidden === true; // it may be "until-found", too
  }

  set hidden(hidden: boolean) {
    for (const part of [this.body, this.tools]) hide(part, hidden);
    this.log.inSight = this.seen && !hidden;
  }

  redraw(): void {
    this.log.redraw();
  }

  /** What nobody sees is drawn when somebody does. */
  see(seen: boolean): void {
    this.seen = seen;
    this.log.inSight = seen && !this.isHidden;
    if (seen && this.rows.stream) this.sayFilter();
  }

  /** Whether anything may come yet. */
  set live(live: boolean) {
    hide(this.followButton, !live);
  }

  /** The program has ended badly. */
  set failed(failed: boolean) {
    if (failed !== this.log.failed) this.log.redraw();
    this.log.failed = failed;
  }

  set lost(lost: boolean) {
    this.rows.lost = lost;
  }

  take(message: CardMessage, buffer: DataView | undefined): void {
    if (message.op === 'tail') hide(this.filter, !message.both);
    if ('stream' in message && message.stream !== this.rows.stream) return; // another view has asked for it
    if (message.op === 'tail') this.rows.setTail(message.total, message.first, message.settled, unpack(buffer));
    else if (message.op === 'rows') this.rows.add(message.first, unpack(buffer));
    else if (message.op === 'found') this.find.found(message, buffer);
    else if (message.op === 'time') this.moments.take(message);
    else if (message.op === 'text' || message.op === 'too_big') this.text?.take(message, buffer);
    else if (message.op === 'piece') this.file?.take(message, buffer);
  }

  /** Go to the line that came so many seconds after the start. */
  goTo(seconds: number): void {
    if (!this.isLost()) this.moments.goTo(seconds);
  }

  /** A key that was pressed in the card; true when JupyterLab must not have it. */
  key(event: KeyboardEvent): boolean {
    const target = event.target as Node;
    const inFind = this.find.bar.contains(target);
    if (!inFind && !this.log.root.contains(target)) return false;
    const withControl = (event.ctrlKey || event.metaKey) && !event.altKey;
    const letter = event.key.toLowerCase();
    const mine = withControl ? this.control(letter, inFind) : inFind ? this.find.key(event) : this.move(event);
    if (mine) event.preventDefault();
    return mine || (withControl && OURS.includes(letter));
  }

  close(): void {
    this.rows.close();
    this.log.close();
    this.selection.close();
    this.find.end();
    this.moments.close();
    this.file?.cancel();
    clearTimeout(this.silence);
  }

  private control(letter: string, inFind: boolean): boolean {
    if (letter === 'f') this.openFind();
    else if (letter === 'a' && !inFind) this.selection.selectAll();
    else if (letter === 'c' && !inFind && this.selection.range && document.getSelection()?.isCollapsed) this.copy();
    else return false; // the browser's own; Ctrl+C comes back as the event `copy` if some of the selection is drawn
    return true;
  }

  private move(event: KeyboardEvent): boolean {
    const { log } = this;
    if (event.altKey || event.target !== log.root) return false;
    const moves: Record<string, () => void> = {
      ArrowUp: () => log.scrollBy(-ROW),
      ArrowDown: () => log.scrollBy(ROW),
      PageUp: () => log.scrollPage(-1),
      PageDown: () => log.scrollPage(1),
      ' ': () => log.scrollPage(event.shiftKey ? -1 : 1),
      Home: () => log.scrollToEnd(-1),
      End: () => log.scrollToEnd(1),
      t: () => this.isLost() || this.moments.sayRow(log.marked < 0 ? Math.floor(log.top) : log.marked),
    };
    if (this.find.isOpen) moves.Escape = () => this.find.close();
    moves[event.key]?.();
    return event.key in moves;
  }

  private limit(stream: number): void {
    if (this.isLost()) {
      this.filter.value = String(this.rows.stream);
      return;
    }
    this.find.forget();
    this.selection.clear();
    this.rows.filter(stream);
    this.follow(true);
    this.sayFilter();
  }

  private sayFilter(): void {
    this.send({ op: 'filter', view: this.view, stream: this.rows.stream });
  }

  private follow(on: boolean): void {
    this.log.following = on;
  }

  private toggleFind(): void {
    if (this.find.isOpen) this.find.close();
    else this.openFind();
  }

  /** What is selected in one row is what one wants to find. */
  private openFind(): void {
    const range = this.selection.range;
    const inOneRow = range && range[0].row === range[1].row;
    this.find.open(inOneRow ? this.selection.text(range) : '');
  }

  private drawn(changed: boolean): void {
    const { following, wrap, unseen } = this.log;
    this.selection.apply();
    if (changed) this.find.highlight();
    this.moments.drawn();
    this.followButton.setAttribute('aria-pressed', String(following));
    this.findButton.setAttribute('aria-pressed', String(this.find.isOpen));
    this.wrapButton.setAttribute('aria-pressed', String(wrap));
    hide(this.newLines, following || !unseen);
    put(this.newLines, unseen === 1 ? '1 new line' : `${unseen.toLocaleString('en')} new lines`);
  }

  /** Ctrl+C, or the menu of the browser. */
  private copied(event: ClipboardEvent): void {
    const range = this.selection.range;
    if (!range) return;
    event.preventDefault();
    const text = this.selection.text(range);
    if (text === undefined) this.copy();
    else event.clipboardData?.setData('text/plain', text);
  }

  private copy(): void {
    const all: [Place, Place] = [
      { row: 0, column: 0 },
      { row: this.rows.total - 1, column: Infinity },
    ];
    const range = this.selection.range ?? all;
    const here = this.selection.text(range);
    if (here === undefined && this.isLost()) return;
    const text = here === undefined ? this.pull(...range) : Promise.resolve(here);
    copy(text).then(
      () => this.say('Copied'),
      (reason: unknown) => this.say(reason instanceof Refused ? reason.message : 'Could not be copied'),
    );
  }

  private pull(start: Place, end: Place): Promise<string> {
    const last_column = end.column === Infinity ? -1 : end.column;
    const range = { stream: this.rows.stream, first: start.row, last: end.row, first_column: start.column, last_column };
    this.text = new TextPull(this.send, range);
    return this.text.text;
  }

  private download(): void {
    if (this.file) {
      this.file.cancel();
      this.downloaded('Download cancelled');
    } else if (!this.isLost()) {
      rename(this.downloadButton, 'Cancel the download');
      const say = (words: string) => this.say(words, Infinity);
      this.file = new Download(this.send, say, () => this.downloaded('Downloaded'));
    }
  }

  private downloaded(words: string): void {
    this.file = undefined;
    rename(this.downloadButton, DOWNLOAD);
    this.say(words);
  }

  private isLost(): boolean {
    if (this.rows.lost) this.say('The kernel that had the output is gone');
    return this.rows.lost;
  }

  private say(words: string, during = SAID_MS): void {
    clearTimeout(this.silence);
    this.said.textContent = words;
    if (during < Infinity) this.silence = setTimeout(() => this.say('', Infinity), during);
  }
}
