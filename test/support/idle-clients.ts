/**
 * A process of its own that opens many connections and keeps them: `node idle-clients.ts PORT COUNT`. Prints `open` once
 * all stand, then for each line on stdin asks once on some of them and prints how many answers were right and how many
 * connections were lost.
 */
import net from "node:net";

const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const ASKED_AT_ONCE = 100;
const sockets: net.Socket[] = [];
let lost = 0;
let next = 0;

function open(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", resolve);
    socket.once("error", reject);
    socket.on("error", () => undefined);
    socket.on("close", () => lost++);
    sockets.push(socket);
  });
}

function ask(socket: net.Socket): Promise<boolean> {
  return new Promise((resolve) => {
    let text = "";
    const onData = (bytes: Buffer): void => {
      text += bytes.toString("latin1");
      if (!text.endsWith("\r\n\r\nfine")) return;
      socket.off("data", onData);
      resolve(text.startsWith("HTTP/1.1 200"));
    };
    socket.on("data", onData);
    socket.once("close", () => resolve(false));
    socket.write("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n");
  });
}

for (let i = 0; i < count; i += 100) {
  await Promise.all(Array.from({ length: Math.min(100, count - i) }, open));
}
process.stdout.write("open\n");

process.stdin.on("data", async () => {
  const asked = Array.from({ length: ASKED_AT_ONCE }, () => {
    next = (next + 7919) % sockets.length;
    return ask(sockets[next] as net.Socket);
  });
  const right = (await Promise.all(asked)).filter(Boolean).length;
  process.stdout.write(`${right}/${ASKED_AT_ONCE} lost ${lost}\n`);
});
process.stdin.on("end", () => process.exit(0));
