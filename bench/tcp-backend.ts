/**
 * The backend of the cases that carry opaque bytes. A connection begins with 16 bytes: a letter and how many bytes are
 * meant. `U`: that many come, and one byte says that they did; `D`: that many are wanted; `P`: one byte for one.
 * Usage: node tcp-backend.ts PORT
 */
import net from "node:net";
import { CHUNK, HEAD_BYTES } from "./tcp-protocol.ts";

function download(socket: net.Socket, bytes: number): void {
  let left = bytes;
  const write = (): void => {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      left -= chunk.length;
      if (!socket.write(chunk)) return;
    }
    socket.removeListener("drain", write);
  };
  socket.on("drain", write);
  write();
}

net
  .createServer({ noDelay: true }, (socket) => {
    let head: Buffer | null = Buffer.alloc(0);
    let left = 0;
    socket.on("error", () => undefined);
    socket.on("data", (data: Buffer) => {
      if (head === null) left -= data.length;
      else {
        const begun: Buffer = Buffer.concat([head, data]);
        head = begun;
        if (begun.length < HEAD_BYTES) return;
        head = null;
        const bytes = Number(begun.latin1Slice(1, HEAD_BYTES));
        if (begun[0] === 0x44) {
          download(socket, bytes);
          return;
        }
        left = HEAD_BYTES + (begun[0] === 0x55 ? bytes : 0) - begun.length;
      }
      if (left === 0) socket.write(".");
    });
  })
  .listen(Number(process.argv[2]), "127.0.0.1", 4096);
