// Each widget says that this page has it and runs its code.
import type { AnyModel } from '@anywidget/types';
import type { Presence, Shown } from './messages';
import { mismatch, stamp } from './wire';

export interface Traits {
  shown: Shown;
}

/** The kernel shows cards in a page that says so; without a word it writes text. */
export function greet(model: AnyModel<Traits>): void {
  const say = () => {
    const shown = model.get('shown');
    if (!shown?.job) return; // it comes right behind the model
    model.off('change:shown', say);
    if (mismatch(shown.version)) return;
    try {
      model.send({ op: 'here', ...stamp(shown.job) } satisfies Presence);
    } catch {} // there is no kernel any more that could hear it
  };
  model.on('change:shown', say);
  say();
}
