/**
 * The load of the cases that carry opaque bytes, as a process of its own. Prints what it did as JSON.
 * Usage: node tcp-client.ts upload|download PORT BYTES CONNECTIONS, or connect PORT SECONDS CALLERS
 */
import net from "node:net";
import { CHUNK, HEAD_BYTES, head } from "./tcp-protocol.ts";

const [, , mode = "", port = "", amount = "", count = ""] = process.argv;

/** One connection that sends or receives `bytes`; resolves when all have arrived. */
function transfer(up: boolean, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0;
    const expected = up ? 1 : bytes;
    const socket = net.connect({
      host: "127.0.0.1",
      port: Number(port),
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(1 << 16),
        callback(length) {
          received += length;
          if (received === expected) {
            socket.destroy();
            resolve();
          }
          return true;
        },
      },
    });
    socket.on("error", reject);
    socket.on("end", () => reject(new Error(`the connection ended after ${received} of ${expected} bytes`)));
    let left = up ? bytes : 0;
    const write = (): void => {
      while (left > 0) {
        const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
        left -= chunk.length;
        if (!socket.write(chunk)) return;
      }
    };
    socket.on("drain", write);
    socket.write(head(up ? "U" : "D", bytes));
    write();
  });
}

const PING = head("P", HEAD_BYTES);

/** Opens a connection, asks for a byte, gets it and closes; the time that took, ms, or null where it failed. */
function ping(): Promise<number | null> {
  const begin = performance.now();
  return new Promise((resolve) => {
    const socket = net.connect({ host: "127.0.0.1", port: Number(port), noDelay: true });
    socket.on("data", () => {
      socket.destroy();
      resolve(performance.now() - begin);
    });
    socket.on("error", () => resolve(null));
    socket.on("close", () => resolve(null));
    socket.write(PING);
  });
}

async function connect(seconds: number, callers: number): Promise<void> {
  const latencies: number[] = [];
  let errors = 0;
  const begin = performance.now();
  const end = begin + seconds * 1000;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      const ms = await ping();
      if (ms === null) errors++;
      else latencies.push(ms);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const took = performance.now() - begin;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0;
  const requests = latencies.length;
  console.log(JSON.stringify({ requests, rps: (requests * 1000) / took, p50Ms: at(0.5), p99Ms: at(0.99), errors }));
}

if (mode === "connect") await connect(Number(amount), Number(count));
else {
  const connections = Number(count);
  const each = Number(amount) / connections;
  await Promise.all(Array.from({ length: connections }, () => transfer(mode === "upload", each)));
  console.log(JSON.stringify({ bytes: each * connections }));
}
