/**
 * `node app.ts KIND:PORT…`: servers for which there is no small program to install. `smtp` greets first and takes mail,
 * `websocket` and `echo` send back what comes, `name` says its argument (`name:PORT:TEXT`), what was asked for and where the
 * caller was, over HTTP/1.1: at once, or `/wait/300` milliseconds later.
 */
import { createHash } from "node:crypto";
import http from "node:http";
import net from "node:net";

const KINDS: Readonly<Record<string, (text: string) => net.Server>> = {
  smtp: () => net.createServer(smtp),
  echo: () => net.createServer({ allowHalfOpen: true }, (socket) => void socket.on("error", ignore).pipe(socket)),
  name: named,
  websocket,
};

function smtp(socket: net.Socket): void {
  let data = false;
  let rest = "";
  socket.on("error", ignore);
  const say = (line: string): void => void socket.write(`${line}\r\n`);
  const obey = (line: string): void => {
    if (data && line !== ".") return;
    const verb = line.slice(0, 4).toUpperCase();
    say(data ? "250 taken" : verb === "DATA" ? "354 go on" : verb === "QUIT" ? "221 bye" : "250 yes");
    if (!data && verb === "QUIT") socket.end();
    data = !data && verb === "DATA";
  };
  socket.on("data", (bytes: Buffer) => {
    const lines = (rest + bytes.toString("latin1")).split("\r\n");
    rest = lines.pop() ?? "";
    lines.forEach(obey);
  });
  say("220 greeting-of-the-mail-server ESMTP");
}

function named(text: string): net.Server {
  return http.createServer((request, response) => {
    response.setHeader("x-from", request.socket.remoteAddress ?? "");
    request.resume();
    const wait = Number(/^\/wait\/(\d+)/.exec(request.url ?? "")?.[1] ?? 0);
    const answer = (): unknown => response.end(`${text} ${request.url} ${request.headers["x-marker"] ?? ""}\n`);
    request.on("end", () => (wait === 0 ? answer() : setTimeout(answer, wait)));
  });
}

/** RFC 6455 as far as an echo needs it: short text frames, one in a packet. */
function websocket(): net.Server {
  const server = http.createServer((_, response) => response.writeHead(426).end());
  server.on("upgrade", (request, socket) => {
    const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    const head = ["HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: Upgrade"];
    socket.write(`${[...head, `sec-websocket-accept: ${accept}`].join("\r\n")}\r\n\r\n`);
    socket.on("error", ignore);
    socket.on("data", (frame: Buffer) => {
      const length = (frame[1] ?? 0) & 0x7f;
      const mask = frame.subarray(2, 6);
      const payload = Buffer.from(frame.subarray(6, 6 + length).map((byte, i) => byte ^ (mask[i % 4] ?? 0)));
      socket.write(Buffer.concat([Buffer.of(frame[0] ?? 0, length), payload]));
      if (((frame[0] ?? 0) & 0xf) === 8) socket.end();
    });
  });
  return server;
}

function ignore(): void {}

const servers = process.argv.slice(2).map((argument) => {
  const [kind = "", port, text = ""] = argument.split(":");
  const make = KINDS[kind];
  if (make === undefined) throw new Error(`no such kind: ${kind}`);
  return new Promise((resolve) => make(text).listen(Number(port), "::", 4096, () => resolve(null)));
});
await Promise.all(servers);
console.log("serving");
