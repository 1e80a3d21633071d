// The backend of the benchmark: answers that were written beforehand, so that it costs little beside the load.
// Usage: node backend.mjs PORT [HOST]
import net from "node:net";

const small = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 250\r\n\r\n${"a".repeat(250)}`;
const megabyte = Buffer.concat([
  Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${1 << 20}\r\n\r\n`),
  Buffer.alloc(1 << 20, "a"),
]);
const chunks = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n${`400\r\n${"a".repeat(1024)}\r\n`.repeat(64)}0\r\n\r\n`,
);

net
  .createServer({ noDelay: true }, (socket) => {
    let left = 0;
    let pending = "";
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      if (left > 0) {
        left -= data.length;
        if (left <= 0) socket.write(small, "latin1");
        return;
      }
      pending += data.toString("latin1");
      for (let end = pending.indexOf("\r\n\r\n"); end >= 0; end = pending.indexOf("\r\n\r\n")) {
        const head = pending.slice(0, end);
        pending = pending.slice(end + 4);
        const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
        if (length > 0) {
          left = length - pending.length;
          pending = "";
          if (left <= 0) socket.write(small, "latin1");
          return;
        }
        const path = head.slice(head.indexOf(" ") + 1, head.indexOf(" ", 5));
        if (path === "/1m") socket.write(megabyte);
        else if (path === "/chunked") socket.write(chunks);
        else socket.write(small, "latin1");
      }
    });
  })
  .listen(Number(process.argv[2]), process.argv[3] ?? "127.0.0.1");
