// What the kernel says about the output, and how the page asks. The whole wire is described in card.py.

export type Send = (op: string, more?: Record<string, string | number | boolean>) => void;

export interface Times {
  elapsed: number; // all are seconds, at the moment when the kernel said so
  sent_ago: number;
  next_in: number | null;
  ended: string; // when, by the kernel's clock
}
export interface Shown extends Times {
  job: string; // the id that every message of ours must carry
  name: 'running' | 'closed' | 'paused' | 'stopping' | 'ok' | 'failed' | 'signaled' | 'timeout' | 'left' | 'lost';
  label: string;
  title: string;
  note: string;
  pid: number;
  folded: boolean;
  sent: string; // the signal that was sent last
  pauses: boolean; // whether it can be paused here
  stdin: boolean; // whether one can type for it
  notifies: boolean; // whether the browser is to tell of the end
}
export interface State {
  op: 'state';
  shown: Shown;
}
export interface Tail extends Times {
  op: 'tail';
  total: number; // rows there are
  first: number; // number of the first row of this message
  settled: number; // rows below this one will not change any more
  counts: string;
  secret?: boolean; // a password is asked for
  progress?: number | null; // the share that is done, as the output tells it
}
export interface Notice {
  op: 'notify';
  label: string; // how it has ended
  took: string;
}
export interface Figures {
  op: 'figures';
  cpu: number | null; // of one core, in percent
  memory: number; // bytes
  count: number; // of processes
}
export interface SomeRows {
  op: 'rows';
  first: number;
}
export interface Found {
  op: 'found';
  id: string;
  total: number; // rows that were searched
  more: boolean;
}
export interface TextPiece {
  op: 'text';
  id: string;
  more?: boolean;
  too_big?: boolean;
}
export interface FilePiece {
  op: 'piece';
  id: string;
  at: number;
  size: number;
  name: string;
  more: boolean;
}
export type Message = State | Tail | Notice | Figures | SomeRows | Found | TextPiece | FilePiece;

/** What every message carries: an id for each load of the page, and a number by which the kernel handles it once only. */
export function stamp(): { page: string; n: number } {
  const shared = globalThis as { __ipyproc_page__?: { id: string; n: number } }; // each card has loaded its loader anew
  const page = (shared.__ipyproc_page__ ??= { id: newId(), n: 0 });
  return { page: page.id, n: ++page.n };
}

/** Rows as they travel: the digit of the stream, then the text. */
export function unpack(buffer: DataView | undefined): string[] {
  const text = buffer ? new TextDecoder().decode(buffer) : '';
  return text ? text.split('\n') : [];
}

/** By the id of its question a view knows its answers among those of other views and of earlier questions. */
export function newId(): string {
  return Math.random().toString(36).slice(2);
}
