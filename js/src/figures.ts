// CPU and memory of the family, in the head. The kernel measures only while a page says that a view is in sight, and sends
// what has changed; all cards draw it at the same time.
import { drawing, element, hide, put } from './dom';
import type { Figures as Told } from './messages';
import { size } from './size';
import { type Send, newId } from './wire';

const KEPT = 24; // points of the line, a second each
const WIDTH = 48;
const HEIGHT = 16;

export class Figures {
  readonly root = element('span', 'figures');
  private readonly cpu = element('span', 'cpu');
  private readonly memory = element('span', 'memory');
  private readonly line = drawing('polyline', { class: 'ipyproc-line' });
  private readonly area = drawing('polygon', { class: 'ipyproc-area' });
  private readonly view = newId();
  private readonly points: number[] = []; // of CPU, one for each second
  private told?: Told;
  private isNew = false;
  private watched = false;

  constructor(private readonly send: Send) {
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: String(WIDTH), height: String(HEIGHT), 'aria-hidden': 'true' };
    const spark = drawing('svg', { class: 'ipyproc-spark', ...box });
    spark.append(this.area, this.line);
    this.root.append(spark, this.cpu, this.memory);
    this.root.hidden = true;
  }

  take(told: Told): void {
    const isFirst = !this.told;
    this.told = told;
    this.isNew = true;
    this.keep(told.cpu);
    if (isFirst) this.draw(told);
  }

  tick(): void {
    if (!this.told) return;
    if (!this.isNew) this.keep(this.told.cpu);
    this.isNew = false;
    this.draw(this.told);
  }

  private keep(cpu: number | null): void {
    if (cpu !== null) this.points.push(cpu);
    if (this.points.length > KEPT) this.points.shift();
  }

  private draw({ cpu, memory, count }: Told): void {
    const of = count === 1 ? '1 process' : `${count} processes`;
    hide(this.root, false);
    put(this.cpu, cpu === null ? '' : `${cpu} %`);
    put(this.memory, size(memory));
    this.root.title = `CPU (100 % is one core) and resident memory of ${of}`;
    const most = Math.max(100, ...this.points);
    const points = this.points.map((value, i) => {
      const x = WIDTH - (this.points.length - 1 - i) * (WIDTH / (KEPT - 1));
      return `${x.toFixed(1)},${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`;
    });
    const first = points[0]?.split(',')[0] ?? WIDTH;
    this.line.setAttribute('points', points.join(' '));
    this.area.setAttribute('points', `${first},${HEIGHT} ${points.join(' ')} ${WIDTH},${HEIGHT}`);
  }

  see(seen: boolean): void {
    if (seen || this.watched) this.send({ op: 'watch', view: this.view, on: seen });
    this.watched = seen;
  }
}
