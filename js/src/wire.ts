// How messages are sent and read; what they are is in messages.ts.
import { type CardRequest, type Stamp, VERSION } from './messages';

/** Ask the kernel for something; the stamp comes with it. */
export type Send<Request = CardRequest> = (request: Request) => void;

/** What ipywidgets gives a view; not a part of anywidget's own types. */
export interface CardView {
  el: HTMLElement;
  remove(): void;
}
export interface Views {
  get_model(id: string): Promise<unknown>;
  create_view(model: unknown): Promise<CardView>;
}

/** Why this page cannot show a kernel's messages, if that has another version of them; empty if it can. */
export function mismatch(version: number | undefined): string {
  if (version === VERSION) return '';
  return (version ?? 0) > VERSION
    ? 'This page was loaded before ipyproc was updated: reload it.'
    : 'This kernel was started before ipyproc was updated: restart it.';
}

/** Part of every message: an id for each load of the page, and a number by which the kernel handles each message once. */
export function stamp(job: string): Stamp {
  const page = ofPage();
  return { job, page: page.id, n: ++page.n, version: VERSION, as_text: page.as_text };
}

/** Ask the kernels, with all that is sent from here on, for text in place of buffers; false: that was done already. */
export function askForText(): boolean {
  const page = ofPage();
  return !page.as_text && (page.as_text = true);
}

function ofPage(): { id: string; n: number; as_text: boolean } {
  const shared = globalThis as { __ipyproc_page__?: ReturnType<typeof ofPage> }; // each card has loaded its loader anew
  return (shared.__ipyproc_page__ ??= { id: newId(), n: 0, as_text: false });
}

/** The buffers of a message: JupyterLab has a DataView for each, Colab a Uint8Array; or they come as text. */
export function buffersOf(message: { base64?: string[] }, buffers: (DataView | Uint8Array)[] | undefined): DataView[] {
  const found = message.base64?.map((text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0))) ?? buffers ?? [];
  return found.map(({ buffer, byteOffset, byteLength }) => new DataView(buffer, byteOffset, byteLength));
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
