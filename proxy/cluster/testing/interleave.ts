/** Lets another thread come in between, at every place where one reads or changes memory that it shares. */
import { mock } from "node:test";

/**
 * Until the returned function is called, `others` runs ahead of each atomic operation, except of those that it causes
 * itself.
 */
export function interleave(others: () => void): () => void {
  let inside = false;
  const spies = (["load", "store", "add", "sub", "compareExchange"] as const).map((name) => {
    const real = Atomics[name] as (...operands: unknown[]) => number;
    return mock.method(Atomics, name, ((...operands: unknown[]) => {
      if (!inside) {
        inside = true;
        others();
        inside = false;
      }
      return real(...operands);
    }) as never);
  });
  return () => {
    for (const spy of spies) spy.mock.restore();
  };
}
