// How card and table live in the page, from the moment when they are shown to their end.
import type { AnyModel } from '@anywidget/types';
import { keepKeys } from './keys';
import { drawAll } from './together';
import { buffersOf } from './wire';

export interface View<Message> {
  readonly root: HTMLElement;
  /** The kernel has sent something. */
  take(message: Message, buffer: DataView | undefined): void;
  /** The kernel has set its state anew. */
  change(): void;
  /** The connection to the kernel has gone or come. */
  reconnect(): void;
  /** A key was pressed in it; true when JupyterLab must not have it. */
  key(event: KeyboardEvent): boolean;
  /** The view is in sight, which is said again and again, or has gone out of sight. */
  see(seen: boolean): void;
  /** What changes with time alone; once a second while it is seen. */
  tick(): void;
  close(): void;
}

const TICK_MS = 1000;
const TICKS_OF_BEAT = 10; // seconds; the kernel forgets a view that is silent for 30 s, because a closed page says nothing

/** What the clock needs of a view. */
type Seen = Pick<View<never>, 'tick' | 'see'>;

const seen = new Set<Seen>();
let clock = 0;
let ticks = 0;

function tick(): void {
  ticks++;
  for (const view of seen) {
    view.tick();
    if (ticks % TICKS_OF_BEAT === 0) view.see(true);
  }
  drawAll();
}

/** One clock for all views: what they change at the same time is one frame of the page. */
function tickWhileSeen(view: Seen, isSeen: boolean): void {
  if (isSeen) seen.add(view);
  else seen.delete(view);
  if (isSeen) clock ||= setInterval(tick, TICK_MS);
  else if (!seen.size) {
    clearInterval(clock);
    clock = 0;
  }
}

/** Show it; called by loader.ts, which tells the kernel. Gives what ends it. */
export function show<Message>(view: View<Message>, model: AnyModel, el: HTMLElement): () => void {
  let inSight = false;
  const look = () => {
    const isSeen = inSight && !document.hidden;
    if (isSeen === seen.has(view)) return;
    tickWhileSeen(view, isSeen);
    view.see(isSeen);
  };
  const observer = new IntersectionObserver((entries) => {
    inSight = entries.at(-1)!.isIntersecting;
    look();
  });
  const onMessage = (message: (Message & { base64?: string[] }) | null, buffers: DataView[]) => {
    if (message) view.take(message, buffersOf(message, buffers)[0]);
  };
  const onChange = () => view.change();
  const onLive = () => view.reconnect();
  // ipywidgets says when the connection to the kernel goes or comes; not one of anywidget's own events, hence the cast
  const live = model as unknown as { on(event: string, call: () => void): void; off(event: string, call: () => void): void };
  live.on('comm_live_update', onLive);
  live.on('change:shown', onChange);
  model.on('msg:custom', onMessage);
  const letKeys = keepKeys(view.root, (event) => view.key(event));
  document.addEventListener('visibilitychange', look);
  el.append(view.root);
  observer.observe(view.root);
  return () => {
    observer.disconnect();
    document.removeEventListener('visibilitychange', look);
    inSight = false;
    look();
    letKeys();
    live.off('comm_live_update', onLive);
    live.off('change:shown', onChange);
    model.off('msg:custom', onMessage);
    view.close();
  };
}
