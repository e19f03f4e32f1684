// Made by `python js/messages.py` from ipyproc/_jupyter/page/messages.py: change that one.

export const VERSION = 2;

export const MOST_NUMBER = 9007199254740991;

export const MOST_ROWS = 200;

export const MOST_FIND = 4000;

export const MOST_STDIN = 65536;

/** What every message of a page has besides its own: the widget's `job`, the id of the page's load, and the next number there. */
export interface Stamp {
  job: string;
  page: string;
  n: number;
  version: number;
}

/** The page has the widget, and can run its code; a view was made; it was drawn; it may have missed something; it has gone. */
export interface Presence {
  op: 'here' | 'ready' | 'shown' | 'ping' | 'bye';
}

/** The page has no code of ours yet. */
export interface GetCode {
  op: 'code';
}

/** This view is in sight (again every 10 s), or is not any more. */
export interface Watch {
  op: 'watch';
  view: string;
  on: boolean;
}

/** A button that stops: the program of a card, or all commands of a batch. */
export interface Stop {
  op: 'stop' | 'kill';
}

/** A button of a card. */
export interface Pause {
  op: 'pause' | 'resume';
}

/** For the standard input of the program. */
export interface TypeLine {
  op: 'stdin';
  text: string;
}

/** The program is to read the end of its standard input. */
export interface EndInput {
  op: 'eof';
}

/** So many rows from `first` on; the answer is `SomeRows`. */
export interface GetRows {
  op: 'rows';
  first: number;
  count: number;
}

/** Where this text stands; the answer is `Found`. */
export interface Find {
  op: 'find';
  id: string;
  text: string;
  case: boolean;
}

/** Rows up to `last`, to copy them; the answer is some `TextPiece`, or `TextTooBig`. */
export interface GetText {
  op: 'text';
  id: string;
  first: number;
  last: number;
  first_column: number;
  /** -1: to the end. */
  last_column: number;
}

/** The bytes of the log from `at` on; the answer is one `FilePiece`. */
export interface Download {
  op: 'download';
  id: string;
  at: number;
}

/** A button of the table; id 0: all that runs. */
export interface StopProgram {
  op: 'stop' | 'kill';
  id: number;
}

/** A button of the table; id 0: all that runs. */
export interface PauseProgram {
  op: 'pause' | 'resume';
  id: number;
}

/** Show the card of this program in this view; the answer is `CardModel`. */
export interface OpenCard {
  op: 'card';
  id: number;
  view: string;
}

export type CardRequest = Presence | GetCode | Watch | Stop | Pause | TypeLine | EndInput | GetRows | Find | GetText | Download;

export type TableRequest = Presence | GetCode | Watch | StopProgram | PauseProgram | OpenCard;

export type JobsRequest = Presence | GetCode | Stop;

/** The page has the widget, and can run its code; a view was made; it was drawn; it may have missed something; it has gone. */
export interface Presence {
  op: 'here' | 'ready' | 'shown' | 'ping' | 'bye';
}

export type StateName = 'running' | 'closed' | 'paused' | 'stopping' | 'ok' | 'failed' | 'signaled' | 'timeout' | 'left' | 'lost';

/** The state of every widget: the job that each message of a page must name, and words to show before the code is there. */
export interface Shown {
  version: number;
  job: string;
  label: string;
  title: string;
}

/** Spans that count from the moment when the kernel said so, as the clocks of kernel and page need not agree. */
export interface Times {
  elapsed: number;
  /** Since the last signal. */
  sent_ago: number;
  /** Up to the next one. */
  next_in: number | null;
  /** When it has ended, by the kernel's clock, for people. */
  ended: string;
}

/** The state of a card. */
export interface CardShown extends Shown, Times {
  name: StateName;
  note: string;
  pid: number;
  folded: boolean;
  /** The signal that was sent last. */
  sent: string;
  /** Whether it can be paused here. */
  pauses: boolean;
  /** Whether one can type for it. */
  stdin: boolean;
  /** Whether the browser is to tell of the end. */
  notifies: boolean;
}

/** The state of the live table. */
export interface TableShown extends Shown {
  /** Whether a program can be paused there. */
  pauses: boolean;
}

/** With two buffers: script and style, both gzip. */
export interface Code {
  op: 'code';
}

/** The answer to a button: what `shown` will be, but at once. */
export interface State {
  op: 'state';
  shown: CardShown;
}

/** With a buffer: the rows from `first` on. Those below `settled` will not change any more. */
export interface Tail extends Times {
  op: 'tail';
  total: number;
  first: number;
  settled: number;
  /** How much there is, for people. */
  counts: string;
  /** The share that is done, 0 to 1, as the output tells it. */
  progress: number | null;
  /** Whether a password is asked for. */
  secret: boolean;
}

/** The program has ended, and somebody wants to be told how, and how long it took. */
export interface Notify {
  op: 'notify';
  label: string;
  took: string;
}

/** What has changed, once a second while a view is in sight: CPU in percent of one core, bytes of memory, processes. */
export interface Figures {
  op: 'figures';
  cpu: number | null;
  memory: number;
  count: number;
}

/** With a buffer: rows, fewer than were asked for if they are long. */
export interface SomeRows {
  op: 'rows';
  first: number;
}

/** With a buffer: numbers of rows, 4 bytes each, little end first; `total`: rows that were searched. */
export interface Found {
  op: 'found';
  id: string;
  total: number;
  more: boolean;
}

/** With a buffer: a piece of a text of so many bytes, UTF-8; `more`: others follow. */
export interface TextPiece {
  op: 'text';
  id: string;
  size: number;
  more: boolean;
}

/** It is more than may be copied. */
export interface TextTooBig {
  op: 'too_big';
  id: string;
}

/** With a buffer: bytes of the log from `at` on; `size`: of all of it. */
export interface FilePiece {
  op: 'piece';
  id: string;
  at: number;
  size: number;
  name: string;
  more: boolean;
}

/** One program. */
export interface TableRow {
  id: number;
  state: StateName;
  /** The state as a character. */
  mark: string;
  label: string;
  name: string;
  pid: number;
  launcher: string;
  /** The number of the cell that has started it. */
  cell: number;
  since: string;
  elapsed: number;
  runs: boolean;
  cpu: string;
  memory: string;
  lines: number;
  /** Its path; empty when it is gone. */
  log: string;
}

/** The rows that have changed; `ids`: all there are, in their order, or null where that is as it was. */
export interface TableRows {
  op: 'rows';
  rows: TableRow[];
  ids: number[] | null;
}

/** The id of the model of a program's card, for this view. */
export interface CardModel {
  op: 'card';
  id: number;
  view: string;
  model: string;
}

/** One command: its state, a mark for that, its name, how it ended or what it wrote last, since when it runs. */
export interface JobsRow {
  state: 'failed' | 'running';
  mark: string;
  name: string;
  what: string;
  time: string;
}

/** What there is to see of many commands: a sentence, a bar of `total`, some rows, and how many there are besides. */
export interface Picture {
  sentence: string;
  total: number;
  done: number;
  failed: number;
  rows: JobsRow[];
  more: string;
  over: boolean;
}

/** All that is to be seen; `rung`: see `Stopping`. */
export interface Draw {
  op: 'picture';
  picture: Picture;
  rung: number;
}

/** The answer to a button, at once: how far up the ladder it is; -1: nowhere. */
export interface Stopping {
  op: 'stopping';
  rung: number;
}

export type CardMessage = Code | State | Tail | Notify | Figures | SomeRows | Found | TextPiece | TextTooBig | FilePiece;

export type TableMessage = Code | TableRows | CardModel;

export type JobsMessage = Code | Draw | Stopping;

/** With two buffers: script and style, both gzip. */
export interface Code {
  op: 'code';
}
