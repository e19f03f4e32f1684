// All that the widget carries which nobody sees: the page says that it is there, and opens the runs of saved transcripts.
// Each kernel of the page has one. All of them hear a click, and only the kernel that has kept the run answers.
import type { Initialize } from '@anywidget/types';
import { type Traits, greet } from './greet';
import type { OpenAgain, OpenedAgain } from './messages';
import { type CardView, type Views, newId, stamp } from './wire';

const PATIENCE_MS = 2000;
const LINK = 'a[href^="#ipyproc-"]';
const STYLE = `${LINK},.ipyproc-close{display:block!important;margin-left:auto;padding:0;border:0;background:none;
font:12px/18px var(--jp-ui-font-family,system-ui);color:var(--jp-content-link-color,var(--vscode-textLink-foreground,#1976d2));cursor:pointer}
${LINK}::before{content:"Open the viewer"}${LINK}[data-silent]::before{content:"The kernel that ran this does not answer"}`;

const initialize: Initialize<Traits> = ({ model }) => {
  greet(model);
  const waiting = new Map<string, HTMLElement>(); // links, by the ids of their views
  const closers = new Map<HTMLElement, () => void>(); // by the transcripts in whose place a view is
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  document.adoptedStyleSheets.push(sheet);

  const click = (event: MouseEvent) => {
    const link = (event.composedPath()[0] as Element).closest?.<HTMLAnchorElement>(LINK);
    const { job } = model.get('shown') ?? {};
    if (!link || !job) return;
    event.preventDefault();
    const view = newId();
    waiting.set(view, link);
    delete link.dataset.silent;
    try {
      model.send({ op: 'open', id: link.hash.slice(9), view, ...stamp(job) } satisfies OpenAgain & object);
    } catch {} // there is no kernel any more that could hear it
    setTimeout(() => link.offsetParent && (link.dataset.silent = ''), PATIENCE_MS);
  };

  const take = async (message: OpenedAgain | null) => {
    const link = waiting.get(message?.view ?? '');
    const saved = link?.closest<HTMLElement>('.ipyproc-transcript,.ipyproc-progress');
    if (!message || !saved || closers.has(saved)) return;
    waiting.clear();
    for (const [each, close] of closers) if (!each.isConnected) close();
    const place = document.createElement('div');
    const closer = document.createElement('button');
    let card: CardView | undefined;
    closer.className = 'ipyproc-close';
    closer.textContent = 'Close the viewer';
    closer.onclick = () => {
      closers.delete(saved);
      card?.remove();
      place.remove();
      saved.hidden = false;
      link!.focus();
    };
    closers.set(saved, closer.onclick as () => void);
    const views = model.widget_manager as unknown as Views;
    card = await views.create_view(await views.get_model(message.model));
    delete link!.dataset.silent;
    place.append(card.el, closer);
    saved.before(place);
    saved.hidden = true;
    closer.focus();
  };

  document.addEventListener('click', click, true);
  model.on('msg:custom', take);
  return () => {
    document.removeEventListener('click', click, true);
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    for (const close of closers.values()) close();
  };
};

export default { initialize };
