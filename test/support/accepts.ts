/** Waiting for a server in another process to listen. */
import net from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/** Resolves once something accepts connections on the port of 127.0.0.1; rejects after `withinMs`. */
export async function untilAccepts(port: number, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await accepts(port))) {
    if (performance.now() > end) throw new Error(`nothing listens on port ${port}`);
    await wait(20);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
