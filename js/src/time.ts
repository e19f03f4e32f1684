// Spans of time for people.

/** Of what goes on: `12 s`, `3:02` */
export function running(seconds: number): string {
  return seconds < 60 ? `${Math.floor(seconds)} s` : duration(seconds);
}

/** `0.4 s`, `12.9 s`, `3:02`, `1:00:05` */
export function duration(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  seconds = Math.max(60, seconds);
  const part = (n: number) => String(Math.floor(n)).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  return hours
    ? `${hours}:${part((seconds / 60) % 60)}:${part(seconds % 60)}`
    : `${Math.floor(seconds / 60)}:${part(seconds % 60)}`;
}

const NEXT: Record<string, string> = { SIGINT: 'SIGTERM', SIGTERM: 'SIGKILL' };

/** How far stopping has come. A kernel that is busy tells of no end, so of the next signal no more is said than is known. */
export function stopping(sent: string, ago: number, nextIn: number | null): string {
  const when = nextIn !== null && nextIn > 0 ? `in ${Math.ceil(nextIn)} s` : 'due';
  const next = nextIn === null ? '' : `, else ${NEXT[sent]} ${when}`;
  return `Stopping (${sent} sent ${Math.floor(ago)} s ago${next})`;
}
