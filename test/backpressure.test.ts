/**
 * Bodies far larger than what the proxy may keep: a reader that stands still stops its sender, and nothing is lost once
 * it goes on. What the sender got rid of meanwhile is what kernel and proxy hold together.
 */
import assert from "node:assert/strict";
import net from "node:net";
import { describe, type TestContext, test } from "node:test";
import { CLIENT_TLS, startProxy } from "./support/running-proxy.ts";
import { until } from "./support/wire.ts";

const MB = 1_000_000;
const SIZE = 200 * MB;
/** Two loopback connections hold up to some 10 MB each in the kernel; the proxy must add little to that. */
const MOST_HELD = 40 * MB;

/** A pattern whose place in the body can be told from any of its bytes' neighbours. */
const PATTERN = Buffer.from(Array.from({ length: 251 * 256 }, (_, i) => i % 251));

/** Sends `total` bytes of a pattern as fast as the socket takes them. */
class Sender {
  taken = 0;
  readonly #socket: net.Socket;
  readonly #total: number;
  readonly #pattern: Buffer;
  #given = 0;

  constructor(socket: net.Socket, total: number, pattern = PATTERN) {
    this.#socket = socket;
    this.#total = total;
    this.#pattern = pattern;
    this.#send();
  }

  #send(): void {
    while (this.#given < this.#total && !this.#socket.destroyed) {
      const bytes = this.#pattern.subarray(0, Math.min(this.#pattern.length, this.#total - this.#given));
      this.#given += bytes.length;
      const more = this.#socket.write(bytes, (error) => {
        if (!error) this.taken += bytes.length;
      });
      if (more) continue;
      this.#socket.once("drain", () => this.#send());
      return;
    }
  }

  /** Resolves once the socket takes no more for a while. */
  async stalled(): Promise<void> {
    for (let before = -1; before !== this.taken; ) {
      before = this.taken;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  }
}

/** Counts the bytes after a head and compares them with the pattern. */
class Receiver {
  head = "";
  bytes = 0;
  sound = true;
  readonly socket: net.Socket;

  constructor(socket: net.Socket, onHead: (head: string) => void = () => undefined) {
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      let body = chunk;
      if (!this.head.includes("\r\n\r\n")) {
        const end = chunk.indexOf("\r\n\r\n");
        this.head += chunk.toString("latin1", 0, end < 0 ? chunk.length : end + 4);
        if (end < 0) return;
        body = chunk.subarray(end + 4);
        onHead(this.head);
      }
      for (let at = 0; at < body.length; ) {
        const from = this.bytes % PATTERN.length;
        const length = Math.min(PATTERN.length - from, body.length - at);
        if (body.compare(PATTERN, from, from + length, at, at + length) !== 0) this.sound = false;
        at += length;
        this.bytes += length;
      }
    });
  }
}

async function server(t: TestContext, onConnection: (socket: net.Socket) => void): Promise<number> {
  const sockets: net.Socket[] = [];
  const listening = net.createServer((socket) => {
    sockets.push(socket);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return (listening.address() as net.AddressInfo).port;
}

async function dial(t: TestContext, port: number): Promise<net.Socket> {
  const socket = net.connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

describe("a body of 200 MB", () => {
  test("in an answer that its caller does not read waits at the upstream", async (t) => {
    let sender: Sender | null = null;
    const port = await server(t, (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${SIZE}\r\n\r\n`);
        sender = new Sender(socket, SIZE);
      });
    });
    const proxy = await startProxy(t, { upstreams: [port] });
    const caller = new Receiver(await dial(t, proxy.port));
    caller.socket.write("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n");
    caller.socket.pause();
    await until(() => sender !== null);
    const sending = sender as unknown as Sender;
    await sending.stalled();
    assert.ok(sending.taken > 0 && sending.taken < MOST_HELD, `${sending.taken} bytes left the upstream`);
    caller.socket.resume();
    await until(() => caller.bytes === SIZE, 15_000);
    assert.ok(caller.sound);
    caller.socket.destroy();
    await proxy.settled();
  });

  test("in a request that its upstream does not read waits at the caller", async (t) => {
    let upstream: Receiver | null = null;
    const port = await server(t, (socket) => {
      upstream = new Receiver(socket, () => socket.pause());
    });
    const proxy = await startProxy(t, { upstreams: [port] });
    const caller = await dial(t, proxy.port);
    caller.write(`POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: ${SIZE}\r\n\r\n`);
    const sender = new Sender(caller, SIZE);
    await until(() => upstream !== null);
    const receiving = upstream as unknown as Receiver;
    await sender.stalled();
    assert.ok(sender.taken > 0 && sender.taken < MOST_HELD, `${sender.taken} bytes left the caller`);
    receiving.socket.resume();
    await until(() => receiving.bytes === SIZE, 15_000);
    assert.ok(receiving.sound);
    receiving.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    await new Promise((resolve) => caller.once("data", resolve));
    caller.destroy();
    await proxy.settled();
  });
});

describe("a stalled body", () => {
  test("of an answer is given up when its caller goes", async (t) => {
    let closed = false;
    const port = await server(t, (socket) => {
      socket.on("error", () => undefined);
      socket.on("close", () => {
        closed = true;
      });
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${SIZE}\r\n\r\n`);
        new Sender(socket, SIZE);
      });
    });
    const proxy = await startProxy(t, { upstreams: [port] });
    const caller = await dial(t, proxy.port);
    caller.write("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n");
    caller.pause();
    await new Promise((resolve) => setTimeout(resolve, 100));
    caller.destroy();
    await until(() => closed);
    await proxy.settled();
  });

  test("does not come about from informational responses without end", async (t) => {
    const early = Buffer.from(`HTTP/1.1 103 Early Hints\r\nlink: ${"x".repeat(2000)}\r\n\r\n`.repeat(30));
    let sender: Sender | null = null;
    const port = await server(t, (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        sender = new Sender(socket, SIZE, early);
      });
    });
    const proxy = await startProxy(t, { upstreams: [port] });
    const caller = await dial(t, proxy.port);
    caller.write("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n");
    caller.pause();
    await until(() => sender !== null);
    const sending = sender as unknown as Sender;
    await sending.stalled();
    assert.ok(sending.taken < MOST_HELD, `${sending.taken} bytes left the upstream`);
    caller.destroy();
    await proxy.settled();
  });

  test("of a request does not wait for a connection that cannot be had", async (t) => {
    // A silent peer: no TLS handshake comes about.
    const port = await server(t, (socket) => socket.on("error", () => undefined));
    const proxy = await startProxy(t, {
      upstreams: [port],
      cluster: {
        connect_timeout: "0.3s",
        transport_socket: CLIENT_TLS,
      },
      listener: { per_connection_buffer_limit_bytes: 100_000 },
    });
    const caller = await dial(t, proxy.port);
    const answer = new Receiver(caller);
    caller.write(`POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: ${SIZE}\r\n\r\n`);
    const sender = new Sender(caller, SIZE);
    await until(() => answer.head !== "");
    assert.match(answer.head, /^HTTP\/1.1 503/);
    assert.ok(sender.taken < MOST_HELD);
    caller.destroy();
    await proxy.settled();
  });
});
