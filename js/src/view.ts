// How card and table live in the page, from the moment when they are shown to their end.
import type { AnyModel } from '@anywidget/types';
import { keepKeys } from './keys';

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
  /** What changes with time alone. */
  tick(): void;
  close(): void;
}

/** Show it; called by loader.ts, which tells the kernel. Gives what ends it. */
export function show<Message>(view: View<Message>, model: AnyModel, el: HTMLElement, tickMs: number): () => void {
  const onMessage = (message: Message | null, buffers: DataView[]) => {
    if (message) view.take(message, buffers[0]);
  };
  const onChange = () => view.change();
  const onLive = () => view.reconnect();
  // ipywidgets says when the connection to the kernel goes or comes; not one of anywidget's own events, hence the cast
  const live = model as unknown as { on(event: string, call: () => void): void; off(event: string, call: () => void): void };
  live.on('comm_live_update', onLive);
  live.on('change:shown', onChange);
  model.on('msg:custom', onMessage);
  const letKeys = keepKeys(view.root, (event) => view.key(event));
  const timer = setInterval(() => view.tick(), tickMs);
  el.append(view.root);
  return () => {
    clearInterval(timer);
    letKeys();
    live.off('comm_live_update', onLive);
    live.off('change:shown', onChange);
    model.off('msg:custom', onMessage);
    view.close();
  };
}
