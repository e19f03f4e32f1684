// Numbers of bytes for people, in the same words as the kernel's `status.size_words`.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** `783 B`, `9.4 kB`, `412 MB`, `2.1 GB` */
export function size(bytes: number): string {
  const unit = unitOf(bytes);
  const tenths = Math.round((10 * bytes) / 1000 ** unit);
  const figure = unit && tenths < 100 ? (tenths / 10).toFixed(1) : Math.round(bytes / 1000 ** unit);
  return `${figure} ${UNITS[unit]}`;
}

/** `12 of 100 MB` */
export function share(done: number, all: number): string {
  const unit = unitOf(all);
  const figure = (bytes: number) => Math.round(bytes / 1000 ** unit);
  return `${figure(done)} of ${figure(all)} ${UNITS[unit]}`;
}

/** The one in which there are fewer than 1000, rounded. */
function unitOf(bytes: number): number {
  const unit = UNITS.findIndex((_, n) => bytes < 999.5 * 1000 ** n);
  return unit < 0 ? UNITS.length - 1 : unit;
}
