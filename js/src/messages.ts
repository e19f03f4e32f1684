// Made by `python js/messages.py` from ipyproc/_jupyter/page/messages.py: change that one.

export const VERSION = 7;

export const MOST_NUMBER = 9007199254740991;

export const MOST_ROWS = 200;

export const LAST_ROWS = 5;

export const MOST_FIND = 4000;

export const MOST_STDIN = 65536;

/** Part of every message of a page: the `job` of the widget, the id of the page's load, and a number that grows there. */
export interface Stamp {
  job: string;
  page: string;
  n: number;
  version: number;
  /** No buffers reach this page (Colab was said to lose some): the kernel sends them in `base64`, a further field of a message. */
  as_text: boolean;
}

/** The page has the widget and its code (here); a view was made (ready), was drawn (shown), missed something (ping), is gone (bye). */
export interface Presence {
  op: 'here' | 'ready' | 'shown' | 'ping' | 'bye';
}

/** The page does not have the code yet; the answer is `Code`. */
export interface GetCode {
  op: 'code';
}

/** This view is in sight (said again every 10 s), or no longer is. */
export interface Watch {
  op: 'watch';
  view: string;
  on: boolean;
}

/** This view shows these rows from now on (said again every 10 s while it is in sight); the answer is a `Tail` of them. */
export interface Filter {
  op: 'filter';
  view: string;
  stream: number;
}

/** A button that stops: the program of a card, or all commands of a batch. */
export interface Stop {
  op: 'stop' | 'kill';
}

/** A button of a card. */
export interface Pause {
  op: 'pause' | 'resume';
}

/** Text for the standard input of the program. */
export interface TypeLine {
  op: 'stdin';
  text: string;
}

/** End the standard input of the program. */
export interface EndInput {
  op: 'eof';
}

/** Ask for `count` rows from `first` on; the answer is `SomeRows`. */
export interface GetRows {
  op: 'rows';
  stream: number;
  first: number;
  count: number;
}

/** Ask which rows contain this text; the answer is `Found`. */
export interface Find {
  op: 'find';
  stream: number;
  id: string;
  text: string;
  case: boolean;
}

/** Ask for the text of rows `first` to `last`, to copy it; the answer is one or more `TextPiece`, or `TextTooBig`. */
export interface GetText {
  op: 'text';
  stream: number;
  id: string;
  first: number;
  last: number;
  first_column: number;
  /** -1: to the end. */
  last_column: number;
}

/** Ask for the bytes of the log from `at` on; the answer is one `FilePiece`. */
export interface Download {
  op: 'download';
  id: string;
  at: number;
}

/** Ask when this row came; the answer is `RowTime`. */
export interface GetTime {
  op: 'time';
  stream: number;
  id: string;
  row: number;
}

/** Ask which row came so many milliseconds after the start of the program; the answer is `RowTime`. */
export interface GetRowAt {
  op: 'row_at';
  stream: number;
  id: string;
  ms: number;
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

/** Show the card of this program, by the id of its row, in this view; the answer is `CardModel`. */
export interface OpenCard {
  op: 'card';
  id: number;
  view: string;
}

/** Show the run of a saved transcript, by the id in its link, in this view; the answer is `OpenedAgain`, if it is kept. */
export interface OpenAgain {
  op: 'open';
  id: string;
  view: string;
}

export type CardRequest = Presence | GetCode | Watch | Filter | Stop | Pause | TypeLine | EndInput | GetRows | Find | GetText | Download | GetTime | GetRowAt;

export type TableRequest = Presence | GetCode | Watch | StopProgram | PauseProgram | OpenCard;

export type JobsRequest = Presence | GetCode | Stop | OpenCard;

export type GreetingRequest = Presence | OpenAgain;

export type StateName = 'running' | 'closed' | 'paused' | 'stopping' | 'ok' | 'failed' | 'signaled' | 'timeout' | 'left' | 'lost';

/** The state of every widget: the `job` that each message to it must name, and words to show before the code has come. */
export interface Shown {
  version: number;
  job: string;
  label: string;
  title: string;
}

/** Times relative to the moment when the kernel sent them, because the clocks of kernel and page may differ. */
export interface Times {
  elapsed: number;
  /** Since the last signal was sent. */
  sent_ago: number;
  /** Until the next signal. */
  next_in: number | null;
  /** When the program ended, by the kernel's clock, as text to show. */
  ended: string;
}

/** The state of a card. */
export interface CardShown extends Shown, Times {
  name: StateName;
  note: string;
  pid: number;
  /** Whether it begins without the output. */
  folded: boolean;
  /** Whether it begins as one line. */
  line: boolean;
  /** Whether it ends with its kernel. */
  ends: boolean;
  /** The signal that was sent last. */
  sent: string;
  /** Whether the program can be paused on this platform. */
  pauses: boolean;
  /** Whether the user can type for it. */
  stdin: boolean;
  /** Whether the browser is to notify the user of the end. */
  notifies: boolean;
}

/** The state of the live table. */
export interface TableShown extends Shown {
  /** Whether programs can be paused on this platform. */
  pauses: boolean;
}

/** The code, in two buffers: script and style, both compressed by gzip. */
export interface Code {
  op: 'code';
}

/** The answer to a button: the new `shown`, ahead of the trait, which a busy kernel changes later. */
export interface State {
  op: 'state';
  shown: CardShown;
}

/** The last rows, from `first` on, in a buffer. Rows below `settled` will not change any more. */
export interface Tail extends Times {
  op: 'tail';
  stream: number;
  /** Whether both streams have some output. */
  both: boolean;
  total: number;
  first: number;
  settled: number;
  /** How much output there is, as text to show. */
  counts: string;
  /** The share of the whole that is done, 0 to 1, read from the output; null if unknown. */
  progress: number | null;
  /** The same of the round that it is in. */
  inner: number | null;
  /** The round, as text: `epoch 4/12`; empty if there are none. */
  doing: string;
  /** How much time is left, as text; empty if unknown. */
  left: string;
  /** Whether the program asks for a password or the like. */
  secret: boolean;
}

/** The program has ended, and the user asked to be notified: how, and how long it took. */
export interface Notify {
  op: 'notify';
  label: string;
  took: string;
}

/** Figures of the family, at most once a second for views in sight: CPU (percent of one core), bytes, processes. */
export interface Figures {
  op: 'figures';
  cpu: number | null;
  memory: number;
  count: number;
}

/** CPU and memory over the whole run so far, for a view that has come into sight: a few points, each with its `elapsed`. */
export interface History {
  op: 'history';
  elapsed: number[];
  cpu: number[];
  memory: number[];
}

/** Rows in a buffer, fewer than were asked for if they are long. */
export interface SomeRows {
  op: 'rows';
  stream: number;
  first: number;
}

/** The numbers of the rows found, in a buffer: 4 bytes each, little-endian. `total`: rows searched; `more`: not all told. */
export interface Found {
  op: 'found';
  id: string;
  total: number;
  more: boolean;
}

/** When a row came: its last character, as far as it is known. */
export interface RowTime {
  op: 'time';
  stream: number;
  id: string;
  /** None: it is not known which row was asked for. */
  row: number | null;
  /** Since the epoch; or less than `within` later. None: not known. */
  at: number | null;
  within: number;
  /** Since the row before it, or for the first one since the start; None: not known. */
  gap: number | null;
}

/** A piece of a text of `size` bytes, UTF-8, in a buffer; `more`: others follow. */
export interface TextPiece {
  op: 'text';
  id: string;
  size: number;
  more: boolean;
}

/** The text asked for is more than may be copied. */
export interface TextTooBig {
  op: 'too_big';
  id: string;
}

/** Bytes of the log from `at` on, in a buffer; `size`: bytes of the whole log; `more`: others follow. */
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
  /** The other machine that it runs on, or a launcher that promises less; mostly empty. */
  origin: string;
  /** The number of the cell that started it. */
  cell: number;
  since: string;
  elapsed: number;
  runs: boolean;
  cpu: string;
  memory: string;
  lines: number;
  /** Whether its output can be shown. */
  opens: boolean;
}

/** The rows that have changed; `ids`: the ids of all rows in their order, or null if that has not changed. */
export interface TableRows {
  op: 'rows';
  rows: TableRow[];
  ids: number[] | null;
}

/** The widget model of a program's card, for this view. */
export interface CardModel {
  op: 'card';
  id: number;
  view: string;
  /** Empty: its output is not kept any more. */
  model: string;
}

/** One command: its state and a mark for it, its name, how it ended or what it wrote last, how long it has run. */
export interface JobsRow {
  id: number;
  state: 'failed' | 'running' | 'done';
  mark: string;
  name: string;
  what: string;
  time: string;
  /** Whether its output can be shown. */
  opens: boolean;
}

/** The progress of many commands: a sentence, the numbers for a bar, some rows, and how many rows are left out. */
export interface Picture {
  sentence: string;
  total: number;
  done: number;
  failed: number;
  rows: JobsRow[];
  more: string;
  over: boolean;
}

/** The picture to show from now on; `rung`: see `Stopping`. */
export interface Draw {
  op: 'picture';
  picture: Picture;
  rung: number;
}

/** The answer to a button, at once: the rung that the stop ladder has reached; -1 if none. */
export interface Stopping {
  op: 'stopping';
  rung: number;
}

/** The widget model of a run whose transcript stands in the page, for this view. */
export interface OpenedAgain {
  op: 'opened';
  view: string;
  model: string;
}

export type CardMessage = Code | State | Tail | Notify | Figures | History | SomeRows | Found | RowTime | TextPiece | TextTooBig | FilePiece;

export type TableMessage = Code | TableRows | CardModel;

export type JobsMessage = Code | Draw | Stopping | CardModel;

export type GreetingMessage = Code | OpenedAgain;
