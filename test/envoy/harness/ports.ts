/** Free ports for the listeners of both proxies, from a range that the kernel does not hand out to connecting sockets. */
import net from "node:net";

const FIRST = 17_000;
const LAST = 32_000;

let next = FIRST + Math.floor(Math.random() * (LAST - FIRST));

export async function reservePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = next++;
    if (next > LAST) next = FIRST;
    // What was observed is compared with ports replaced by names: a timeout of 20000 ms must not become one.
    if (port % 5 !== 0 && (await isFree(port))) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
