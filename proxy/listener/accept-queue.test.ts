import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { emptyAcceptQueue } from "./accept-queue.ts";
import { loadSocketOptions, type SocketOptions } from "./socket-options.ts";

const CLIENTS = 20;

async function listening(t: TestContext): Promise<{ readonly server: net.Server; readonly port: number }> {
  const server = net.createServer((socket) => socket.on("error", () => undefined).end("welcome"));
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as net.AddressInfo).port };
}

/** What a client reads until the end, or the code of what went wrong. */
async function outcome(port: number): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString();
  });
  return new Promise((resolve) => {
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once("close", () => resolve(text));
  });
}

test("who waits to be accepted is served before the socket is closed, and who comes later is refused", async (t) => {
  const options = await loadSocketOptions();
  if (options === null) {
    t.skip("only on Linux, with koffi");
    return;
  }
  const { server, port } = await listening(t);
  const early = Array.from({ length: CLIENTS }, () => outcome(port));
  // They connect in the next tick, and on loopback the kernel does the handshake at once; nothing is accepted before the
  // event loop's next turn.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const closed = new Promise<void>((resolve) => {
    assert.equal(
      emptyAcceptQueue(server, options, () => {
        server.close();
        resolve();
      }),
      false,
      "they wait",
    );
  });
  const late = outcome(port);
  // While so many wait nobody else may.
  assert.deepEqual(new Set(await Promise.all(early)), new Set(["welcome"]));
  await closed;
  // Its first packet was dropped; the next one, a second later, finds nobody.
  assert.equal(await late, "ECONNREFUSED");
});

test("a socket at which nobody waits is closed at once", async (t) => {
  const { server } = await listening(t);
  let closed = 0;
  const close = (): void => void closed++;
  assert.equal(emptyAcceptQueue(server, await loadSocketOptions(), close), true);
  assert.equal(closed, 1);
});

test("where it can't be known who waits a socket is closed as any is", async (t) => {
  const { server } = await listening(t);
  const unable: SocketOptions = { get: () => false, setInt: () => false, listen: () => false };
  const blind: SocketOptions = { ...unable, listen: () => true };
  for (const options of [null, unable, blind]) {
    let closed = 0;
    assert.equal(
      emptyAcceptQueue(server, options, () => void closed++),
      true,
    );
    assert.equal(closed, 1);
  }
});
