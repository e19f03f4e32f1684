// Text for the clipboard and the file for a download: both come from the kernel in pieces.
import type { Download as GetFile, FilePiece, GetText, TextPiece, TextTooBig } from './messages';
import { share } from './size';
import { type Send, newId } from './wire';

const PATIENCE_MS = 10_000;

/** What went wrong, in words for the user. */
export class Refused extends Error {}

/** One text that was asked for. */
export class TextPull {
  readonly text: Promise<string>;
  private readonly id = newId();
  private readonly parts: Uint8Array[] = [];
  private resolve!: (text: string) => void;
  private reject!: (reason: Refused) => void;
  private timer = 0;

  constructor(send: Send<GetText>, range: Omit<GetText, 'op' | 'id'>) {
    this.text = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.text.catch(() => {}); // said by the one who asked, who may be gone
    this.wait();
    send({ op: 'text', id: this.id, ...range });
  }

  take(message: TextPiece | TextTooBig, buffer: DataView | undefined): void {
    if (message.id !== this.id) return;
    clearTimeout(this.timer);
    if (message.op === 'too_big') {
      this.reject(new Refused('More than 1 MiB: download it instead'));
      return;
    }
    if (buffer) this.parts.push(bytesOf(buffer));
    if (message.more) this.wait();
    else void new Blob(this.parts as BlobPart[]).text().then(this.resolve);
  }

  private wait(): void {
    this.timer = setTimeout(() => this.reject(new Refused('The kernel does not answer')), PATIENCE_MS);
  }
}

/** Put a text that is still to come into the clipboard. */
export async function copy(text: Promise<string>): Promise<void> {
  try {
    // the promise is handed over, as a browser may forget the click before the text is here
    const blob = text.then((all) => new Blob([all], { type: 'text/plain' }));
    blob.catch(() => {});
    await navigator.clipboard.write([new ClipboardItem({ 'text/plain': blob })]);
  } catch {
    const all = await text;
    try {
      await navigator.clipboard.writeText(all);
    } catch {
      copyByHand(all); // a page without https has no clipboard
    }
  }
}

function copyByHand(text: string): void {
  const focused = document.activeElement;
  const area = document.createElement('textarea');
  area.value = text;
  area.style.cssText = 'position: fixed; opacity: 0';
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  if (!done) throw new Refused('The browser does not let us copy');
}

/** A file on its way; the next piece is asked for when one has come. */
export class Download {
  private readonly id = newId();
  private readonly parts: Blob[] = []; // the browser may keep them on its disk
  private got = 0;
  private timer = 0;

  constructor(
    private readonly send: Send<GetFile>,
    private readonly say: (words: string) => void,
    private readonly done: () => void,
  ) {
    say('Downloading');
    this.ask();
  }

  take(message: FilePiece, buffer: DataView | undefined): void {
    if (message.id !== this.id || message.at !== this.got || !buffer) return;
    this.parts.push(new Blob([bytesOf(buffer) as BlobPart]));
    this.got += buffer.byteLength;
    if (message.more) {
      this.say(`Downloading ${share(this.got, message.size)}`);
      this.ask();
    } else {
      this.cancel();
      save(new Blob(this.parts), message.name);
      this.done();
    }
  }

  cancel(): void {
    clearTimeout(this.timer);
  }

  private ask(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), PATIENCE_MS); // the question may have been lost
    this.send({ op: 'download', id: this.id, at: this.got });
  }
}

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it later
}

function bytesOf({ buffer, byteOffset, byteLength }: DataView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
