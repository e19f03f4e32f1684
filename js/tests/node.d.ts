// What the tests use of node. The package @types/node would bring its own setTimeout into the code of the page.
declare module 'node:test' {
  export function test(name: string, body: () => void | Promise<void>): void;
  export const mock: {
    timers: { enable(what: { apis: string[] }): void; tick(ms: number): void; reset(): void };
    method<T, K extends keyof T>(of: T, name: K, by: T[K]): void;
    restoreAll(): void;
  };
}
declare module 'node:assert/strict' {
  export function equal(is: unknown, ought: unknown, message?: string): void;
  export function deepEqual(is: unknown, ought: unknown, message?: string): void;
  export function ok(value: unknown, message?: string): void;
}
