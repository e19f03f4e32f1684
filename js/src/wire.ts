// How messages are sent and read; what they are is in messages.ts.
import { type CardRequest, type Stamp, VERSION } from './messages';

/** Ask the kernel for something; the stamp comes with it. */
export type Send<Request = CardRequest> = (request: Request) => void;

/** Why this page cannot show a kernel's messages, if that has another version of them; empty if it can. */
export function mismatch(version: number | undefined): string {
  if (version === VERSION) return '';
  return (version ?? 0) > VERSION
    ? 'This page was loaded before ipyproc was updated: reload it.'
    : 'This kernel was started before ipyproc was updated: restart it.';
}

/** Part of every message: an id for each load of the page, and a number by which the kernel handles each message once. */
export function stamp(job: string): Stamp {
  const shared = globalThis as { __ipyproc_page__?: { id: string; n: number } }; // each card has loaded its loader anew
  const page = (shared.__ipyproc_page__ ??= { id: newId(), n: 0 });
  return { job, page: page.id, n: ++page.n, version: VERSION };
}

/** Rows as they travel: the digit of the stream, then the text. */
export function unpack(buffer: DataView | undefined): string[] {
  const text = buffer ? new TextDecoder().decode(buffer) : '';
  return text ? text.split('\n') : [];
}

/** An id for a question: by it a view tells its answers from those to other views, and to earlier questions. */
export function newId(): string {
  return Math.random().toString(36).slice(2);
}
