/**
 * Ports for the demo's programs and control plane: below those that systems take for outgoing connections, so that one
 * is still free when its process is killed and comes back, and a block by process id, so that two demos that start at
 * once do not choose the same.
 */
import net from "node:net";
import { UserError } from "../../core/errors.ts";

const FIRST = 4000;
const BLOCK = 24;
const BLOCKS = 249;

/** `count` (at most 24) ports that nobody listens on. Rejects with a UserError when there are none. */
export async function freePorts(count: number): Promise<readonly number[]> {
  for (let i = 0; i < BLOCKS; i++) {
    const first = FIRST + ((process.pid + i) % BLOCKS) * BLOCK;
    const ports = Array.from({ length: count }, (_, index) => first + index);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return ports;
  }
  throw new UserError(`no ${count} free ports in a row on 127.0.0.1 between ${FIRST} and ${FIRST + BLOCKS * BLOCK}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
