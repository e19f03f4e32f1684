// The row to type in, for a program that reads its standard input: Enter sends the line, Ctrl+D ends the input.
import { element, hide } from './dom';
import { MOST_STDIN } from './messages';
import type { Send } from './wire';

const OURS = new Set(['a', 'c', 'v', 'x', 'z', 'enter']); // with Ctrl or Cmd: what JupyterLab would take for the cell
const MOST = MOST_STDIN / 4 - 1; // characters, of 4 bytes or fewer, and the end of the line

export class Stdin {
  readonly row = element('form', 'stdin', { autocomplete: 'off' });
  private readonly input = element('input', 'stdin-text', {
    'aria-label': 'A line for the program',
    placeholder: 'type a line for the program',
    autocomplete: 'off',
    spellcheck: 'false',
    maxlength: String(MOST),
  });

  constructor(private readonly send: Send) {
    const mark = element('span', 'stdin-mark', { 'aria-hidden': 'true' });
    const hint = element('span', 'stdin-hint');
    mark.textContent = '›';
    hint.textContent = 'Enter sends · Ctrl+D ends input';
    this.row.append(mark, this.input, hint);
    this.row.addEventListener('submit', (event) => {
      event.preventDefault();
      this.type(`${this.input.value}\n`);
    });
    this.hidden = true;
  }

  set hidden(hidden: boolean) {
    hide(this.row, hidden);
  }

  /** What is asked for is not to be seen. */
  set secret(secret: boolean) {
    const type = secret ? 'password' : 'text';
    if (this.input.type === type) return;
    this.input.type = type;
    this.input.autocomplete = secret ? 'one-time-code' : 'off'; // else the browser asks whether it shall keep it
  }

  /** A key that was pressed in the card; true when JupyterLab must not have it. */
  key(event: KeyboardEvent): boolean {
    if (event.target !== this.input) return false;
    const letter = event.key.toLowerCase();
    if (!event.ctrlKey || letter !== 'd') return (event.ctrlKey || event.metaKey) && OURS.has(letter);
    event.preventDefault();
    if (this.input.value) this.type(this.input.value);
    this.send({ op: 'eof' });
    return true;
  }

  private type(text: string): void {
    this.input.value = '';
    this.send({ op: 'stdin', text });
  }
}
