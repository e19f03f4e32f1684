// CPU and memory of the family, in the head: what they are, and a picture of the whole run, which leads to the line that was
// printed at a moment. The kernel measures, and sends what has changed while a view is in sight; all cards draw it at the
// same time. In between the picture grows by what was told last.
import { clamp, drawing, element, put } from './dom';
import type { History, Figures as Told } from './messages';
import { size } from './size';
import { duration } from './time';
import { type Send, newId } from './wire';

const KEPT = 120; // points; then two become one
const EARLY = 0.3; // seconds by which a point may come before its time
const WIDTH = 80; // px
const HEIGHT = 16;
const REST_MS = 150; // a key that is held down asks when it is let go

interface Point {
  elapsed: number;
  cpu: number;
  memory: number;
}

export class Figures {
  readonly root = element('span', 'figures');
  private readonly spark = element('span', 'spark', {
    role: 'slider',
    tabindex: '0',
    title: 'CPU (line) and memory (area). Click: go to what was printed then',
    'aria-label': 'CPU and memory over time: go to what was printed at a moment',
    'aria-valuemin': '0',
  });
  private readonly cpu = element('span', 'cpu');
  private readonly memory = element('span', 'memory');
  private readonly line = drawing('path', { class: 'ipyproc-line' });
  private readonly area = drawing('path', { class: 'ipyproc-area' });
  private readonly at = drawing('path', { class: 'ipyproc-at' });
  private readonly view = newId();
  private points: Point[] = [];
  private period = 1; // seconds between two points
  private span = 0; // seconds that the picture shows
  private moment = -1; // the one that was chosen: seconds after the start
  private rest = 0;
  private told?: Told;
  private watched = false;

  /** `go`: to the line that came so many seconds after the start. */
  constructor(
    private readonly send: Send,
    private readonly go: (seconds: number) => void,
  ) {
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: String(WIDTH), height: String(HEIGHT), 'aria-hidden': 'true' };
    const svg = drawing('svg', box);
    svg.append(this.area, this.line, this.at);
    this.spark.append(svg);
    this.root.append(this.spark, this.cpu, this.memory);
    this.root.hidden = this.spark.hidden = true;
    this.spark.addEventListener('click', ({ clientX }) => {
      const { left, width } = this.spark.getBoundingClientRect();
      this.choose((this.span * (clientX - left)) / width, 0);
    });
  }

  take(told: Told): void {
    const isFirst = !this.told;
    this.told = told;
    if (isFirst) this.draw();
  }

  takeHistory({ elapsed, cpu, memory }: History): void {
    this.points = elapsed.map((at, i) => ({ elapsed: at, cpu: cpu[i]!, memory: memory[i]! }));
    this.period = 2 ** Math.max(0, Math.ceil(Math.log2((elapsed.at(-1) ?? 0) / KEPT)));
    this.drawSpark(Math.max(this.span, elapsed.at(-1) ?? 0));
  }

  /** Time has passed: so much since the start. */
  tick(elapsed: number): void {
    if (!this.told) return;
    this.draw();
    if (this.told.cpu === null || elapsed - (this.points.at(-1)?.elapsed ?? 0) < this.period - EARLY) return;
    this.points.push({ elapsed, cpu: this.told.cpu, memory: this.told.memory });
    if (this.points.length > KEPT) {
      this.points = this.points.filter((_, i) => i % 2);
      this.period *= 2;
    }
    this.drawSpark(elapsed);
  }

  /** When it does not run any more, the picture of the whole run remains. */
  set live(on: boolean) {
    this.cpu.hidden = this.memory.hidden = !on;
    this.root.hidden = this.spark.hidden && !(on && this.told);
  }

  see(seen: boolean): void {
    if (seen || this.watched) this.send({ op: 'watch', view: this.view, on: seen });
    this.watched = seen;
  }

  /** A key that was pressed in the card; true if it was for the picture. */
  key({ key, target }: KeyboardEvent): boolean {
    const step = Math.max(1, this.span / WIDTH);
    const now = this.moment < 0 ? this.span : this.moment;
    const to = { ArrowLeft: now - step, ArrowDown: now - step, ArrowRight: now + step, ArrowUp: now + step, Home: 0, End: this.span }[key];
    if (target !== this.spark || to === undefined) return false;
    this.choose(to, REST_MS);
    return true;
  }

  close(): void {
    clearTimeout(this.rest);
  }

  private choose(moment: number, delay: number): void {
    this.moment = clamp(moment, 0, this.span);
    this.drawSpark(this.span);
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.go(this.moment), delay);
  }

  private draw(): void {
    const { cpu, memory, count } = this.told!;
    const of = count === 1 ? '1 process' : `${count} processes`;
    this.root.hidden = false;
    put(this.cpu, cpu === null ? '' : `${cpu} %`);
    put(this.memory, size(memory));
    this.cpu.title = this.memory.title = `CPU (100 % is one core) and resident memory of ${of}`;
  }

  private drawSpark(span: number): void {
    const { points } = this;
    this.span = span;
    this.spark.hidden = points.length < 2;
    if (this.spark.hidden) return;
    this.root.hidden = false;
    const path = (value: (point: Point) => number, least: number) => {
      const most = Math.max(least, ...points.map(value));
      const y = (point: Point) => (HEIGHT - 1 - (value(point) / most) * (HEIGHT - 2)).toFixed(1);
      return `0 ${y(points[0]!)}L${points.map((point) => `${this.x(point.elapsed)} ${y(point)}`).join(' ')}`;
    };
    const last = this.x(points.at(-1)!.elapsed);
    this.line.setAttribute('d', `M${path(({ cpu }) => cpu, 100)}`);
    this.area.setAttribute('d', `M0 ${HEIGHT}L${path(({ memory }) => memory, 1)}L${last} ${HEIGHT}z`);
    const chosen = this.moment < 0 ? span : this.moment;
    this.at.setAttribute('d', this.moment < 0 ? '' : `M${this.x(chosen)} 0V${HEIGHT}`);
    const { cpu, memory } = points.find(({ elapsed }) => elapsed >= chosen) ?? points.at(-1)!;
    this.spark.setAttribute('aria-valuemax', span.toFixed());
    this.spark.setAttribute('aria-valuenow', chosen.toFixed());
    this.spark.setAttribute('aria-valuetext', `${duration(chosen)}: ${cpu} %, ${size(memory)}`);
  }

  private x(elapsed: number): string {
    return ((WIDTH * elapsed) / (this.span || 1)).toFixed(1);
  }
}
