// CPU and memory of the family, in the head. The kernel looks only while a view is in sight: the page says so.
import { drawing, element } from './dom';
import { size } from './size';
import { type Figures as Told, type Send, newId } from './wire';

const KEPT = 24; // points of the line, a second each
const WIDTH = 48;
const HEIGHT = 16;

export class Figures {
  readonly root = element('span', 'figures');
  private readonly cpu = element('span', 'cpu');
  private readonly memory = element('span', 'memory');
  private readonly line = drawing('polyline', { class: 'ipyproc-line' });
  private readonly area = drawing('polygon', { class: 'ipyproc-area' });
  private readonly id = newId();
  private readonly observer: IntersectionObserver;
  private readonly onVisible = () => this.tell();
  private readonly told: number[] = [];
  private inSight = false;
  private watched = false;

  constructor(
    private readonly send: Send,
    card: HTMLElement,
  ) {
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: String(WIDTH), height: String(HEIGHT), 'aria-hidden': 'true' };
    const spark = drawing('svg', { class: 'ipyproc-spark', ...box });
    spark.append(this.area, this.line);
    this.root.append(spark, this.cpu, this.memory);
    this.root.hidden = true;
    this.observer = new IntersectionObserver((entries) => {
      this.inSight = entries.at(-1)!.isIntersecting;
      this.tell();
    });
    this.observer.observe(card);
    document.addEventListener('visibilitychange', this.onVisible);
  }

  take({ cpu, memory, count }: Told): void {
    const of = count === 1 ? '1 process' : `${count} processes`;
    this.root.hidden = false;
    this.cpu.textContent = cpu === null ? '' : `${cpu} %`;
    this.memory.textContent = size(memory);
    this.root.title = `CPU (100 % is one core) and resident memory of ${of}`;
    if (cpu !== null) this.told.push(cpu);
    if (this.told.length > KEPT) this.told.shift();
    const most = Math.max(100, ...this.told);
    const points = this.told.map((value, i) => {
      const x = WIDTH - (this.told.length - 1 - i) * (WIDTH / (KEPT - 1));
      return `${x.toFixed(1)},${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`;
    });
    const first = points[0]?.split(',')[0] ?? WIDTH;
    this.line.setAttribute('points', points.join(' '));
    this.area.setAttribute('points', `${first},${HEIGHT} ${points.join(' ')} ${WIDTH},${HEIGHT}`);
  }

  close(): void {
    this.observer.disconnect();
    document.removeEventListener('visibilitychange', this.onVisible);
    this.inSight = false;
    this.tell();
  }

  private tell(): void {
    const on = this.inSight && !document.hidden;
    if (on !== this.watched) this.send('watch', { id: this.id, on });
    this.watched = on;
  }
}
