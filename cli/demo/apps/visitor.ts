/**
 * Where the demo's own calls come from in the transparent mesh: in a network of its own, as every program there, it takes
 * connections and makes each again, by the name of a service. What is said on them is the demo's.
 */
import { connect, createServer } from "node:net";
import { join } from "../../run/published-ports.ts";
import { JOURNAL_PORT } from "./journal.ts";
import { APP_PORT } from "./peer.ts";

/** Services in the order of the ports, from the first on. */
export const VISITED: readonly { readonly service: string; readonly port: number }[] = [
  { service: "shop", port: APP_PORT },
  { service: "stock", port: APP_PORT },
  { service: "prices", port: APP_PORT },
  { service: "journal", port: JOURNAL_PORT },
];

export function visitor(first: number): void {
  for (const [index, { service, port }] of VISITED.entries()) {
    createServer({ allowHalfOpen: true, noDelay: true }, (caller) => {
      const called = connect({ host: service, port, allowHalfOpen: true, noDelay: true });
      join(caller, called);
    }).listen(first + index, "127.0.0.1");
  }
}
