// All that each widget carries (`_esm`): it fetches the code of all views from the kernel, once for a page, and shows its own.
import type { AnyModel, Initialize, Render } from '@anywidget/types';
import type { Code, GetCode, Presence, Shown } from './messages';
import { mismatch, stamp } from './wire';

const PATIENCE_MS = 1000; // then the kernel is asked again, and after twice as long once more
const MOST_PATIENCE_MS = 30_000;

interface Traits {
  shown: Shown;
}
interface Shared {
  code?: { default: Record<string, { render(context: { model: AnyModel<Traits>; el: HTMLElement }): () => void }> };
  sheet?: CSSStyleSheet;
  askedAt: WeakMap<object, number>; // of each kernel
  waiting: Set<() => void>;
}

const unpack = (buffer: DataView) =>
  new Response(new Blob([buffer as BlobPart]).stream().pipeThrough(new DecompressionStream('gzip'))).text();

const view = 'VIEW'; // and CODE: see front_end.py

const render: Render<Traits> = ({ model, el }) => {
  const shown = model.get('shown');
  if (!shown?.job) return; // one that a page has forged: nothing to show
  const page = globalThis as unknown as Record<string, Shared>;
  const shared = (page.__ipyproc_CODE__ ??= { askedAt: new WeakMap(), waiting: new Set() });
  const line = document.createElement('div');
  let end: (() => void) | undefined;
  let timer = 0;
  let patience = PATIENCE_MS;
  const send = (op: (Presence | GetCode)['op']) => {
    try {
      model.send({ op, ...stamp(shown.job) } satisfies Presence | GetCode);
    } catch {} // there is no kernel any more that could hear it
  };
  const draw = () => {
    stopWaiting();
    const root = el.getRootNode();
    const { adoptedStyleSheets: sheets } = root instanceof ShadowRoot ? root : document;
    if (!sheets.includes(shared.sheet!)) sheets.push(shared.sheet!);
    end = shared.code!.default[view]!.render({ model, el });
    send('shown');
  };
  const drawLate = () => {
    draw();
    send('ping'); // the first rows came before there was a view for them
  };
  const ask = () => {
    const kernel = model.widget_manager ?? model;
    const now = performance.now();
    if (!(now - shared.askedAt.get(kernel)! < PATIENCE_MS)) {
      shared.askedAt.set(kernel, now);
      send('code');
    }
    timer = setTimeout(ask, patience);
    patience = Math.min(2 * patience, MOST_PATIENCE_MS);
  };
  const take = async (message: Code | null, buffers: DataView[]) => {
    if (message?.op !== 'code') return;
    try {
      const [script, style] = await Promise.all(buffers.map(unpack));
      const url = URL.createObjectURL(new Blob([script!], { type: 'text/javascript' }));
      const code = await import(url);
      URL.revokeObjectURL(url);
      (shared.sheet ??= new CSSStyleSheet()).replaceSync(style!);
      shared.code ??= code;
      for (const each of [...shared.waiting]) each();
    } catch (error) {
      line.textContent = `This browser cannot show ${shown.title}: ${error}`;
    }
  };
  const stopWaiting = () => {
    clearTimeout(timer);
    shared.waiting.delete(drawLate);
    model.off('msg:custom', take);
    line.remove();
  };
  line.style.cssText = 'padding: 8px; font: 13px/1.5 var(--jp-ui-font-family, sans-serif)';
  line.textContent = mismatch(shown.version);
  if (line.textContent) {
    el.append(line);
    return () => line.remove();
  }
  send('ready');
  if (shared.code) {
    draw();
  } else {
    line.textContent = `${shown.label}: ${shown.title} …`;
    el.append(line);
    shared.waiting.add(drawLate);
    model.on('msg:custom', take);
    ask();
  }
  return () => {
    stopWaiting();
    end?.();
    send('bye');
  };
};

// The kernel shows cards in a page that says so; without a word it writes text.
const initialize: Initialize<Traits> = ({ model }) => {
  const greet = () => {
    const shown = model.get('shown');
    if (!shown?.job) return; // it comes right behind the model
    model.off('change:shown', greet);
    if (mismatch(shown.version)) return;
    try {
      model.send({ op: 'here', ...stamp(shown.job) } satisfies Presence);
    } catch {} // there is no kernel any more that could hear it
  };
  model.on('change:shown', greet);
  greet();
};

export default { initialize, render };
