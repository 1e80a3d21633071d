/** Through the proxy a connection is what it is without: bytes in any cuts, ends of either side, resets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { OPAQUE_ALPN, OPAQUE_STREAMS_ALPN } from "../../model/tls.ts";
import { startPair, until } from "../../test/support/stream-subjects.ts";
import { addressOf, startServer, startSubject } from "../../test/support/tcp-subject.ts";
import { FEW } from "../endpoint/stream-choice.ts";

type Side = "client" | "server";
type Step =
  | { readonly by: Side; readonly act: "send"; readonly sizes: readonly number[] }
  | { readonly by: Side; readonly act: "end" }
  | { readonly by: Side; readonly act: "reset" };

/** What one side has seen of the other. */
class Seen {
  readonly socket: net.Socket;
  bytes = 0;
  sum = 0;
  end: "open" | "ended" | "reset" = "open";
  #wake: () => void = () => undefined;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      for (const byte of chunk) this.sum = (this.sum * 31 + byte) % 1_000_003;
      this.bytes += chunk.length;
      this.#wake();
    });
    socket.on("end", () => {
      if (this.end === "open") this.end = "ended";
      this.#wake();
    });
    socket.on("error", () => {
      this.end = "reset";
      this.#wake();
    });
  }

  async until(reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

let byte = 0;

/** Plays the steps one after another, each once the other side has seen the one before; what both saw in the end. */
async function play(steps: readonly Step[], port: number, server: net.Server): Promise<unknown> {
  byte = 0;
  const accepted = once(server, "connection") as Promise<[net.Socket]>;
  const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [remote] = await accepted;
  const seen = { client: new Seen(client), server: new Seen(remote) };
  const sent = { client: 0, server: 0 };
  const ended = { client: false, server: false };
  // A server that resets before its end of the connection is known to stand is one that refuses.
  const hello: Step = { by: "server", act: "send", sizes: [1] };
  for (const step of [hello, ...steps]) {
    const mine = seen[step.by];
    const theirs = seen[step.by === "client" ? "server" : "client"];
    // A reset after its own end would not be noticed by a peer that has read that end and writes nothing.
    if (ended[step.by]) continue;
    if (step.act === "reset") {
      mine.socket.resetAndDestroy();
      await theirs.until(() => theirs.end === "reset");
      break;
    }
    if (step.act === "end") {
      ended[step.by] = true;
      mine.socket.end();
      await theirs.until(() => theirs.end !== "open");
      continue;
    }
    for (const size of step.sizes) {
      mine.socket.write(Buffer.alloc(size, byte++ % 251));
      sent[step.by] += size;
    }
    await theirs.until(() => theirs.bytes === sent[step.by]);
  }
  const result = [seen.client, seen.server].map(({ bytes, sum, end }) => ({ bytes, sum, end }));
  client.destroy();
  remote.destroy();
  return result;
}

const side = fc.constantFrom<Side>("client", "server");
const size = fc.oneof(
  fc.integer({ min: 1, max: 64 }),
  fc.constantFrom(16_383, 16_384, 16_385, 65_536, 98_304, 98_305, 131_072, 131_073, 400_000),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      by: side,
      act: fc.constant("send" as const),
      sizes: fc.array(size, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ by: side, act: fc.constantFrom("end" as const, "reset" as const) }) },
);

async function peers(t: TestContext) {
  const server = await startServer(() => undefined);
  t.after(() => server.close());
  const subject = await startSubject({ endpoints: [addressOf(server)] });
  t.after(() => subject.close());
  return { server, subject, direct: (server.address() as net.AddressInfo).port };
}

test("any exchange is seen alike through the proxy and without it", async (t) => {
  const { server, subject, direct } = await peers(t);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      assert.deepEqual(await play(steps, subject.port, server), await play(steps, direct, server));
    }),
    { numRuns: 60 },
  );
  while (subject.served.size > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(subject.orders.stats.upstream_cx_active, 0);
  assert.equal(subject.orders.limits.connections, 0);
  assert.ok(
    [...subject.orders.endpoints].every(
      ({ activeRequests, activeConnections }) => activeRequests + activeConnections === 0,
    ),
  );
});

test("any exchange is seen alike as a stream between two sidecars and without them", async (t) => {
  const server = await startServer(() => undefined);
  t.after(() => server.close());
  const pair = await startPair({ server });
  t.after(() => pair.close());
  const { port: direct } = server.address() as net.AddressInfo;
  const held = await pair.hold();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      assert.deepEqual(await play(steps, pair.first.port, server), await play(steps, direct, server));
    }),
    { numRuns: 60 },
  );
  assert.deepEqual([pair.open(OPAQUE_ALPN), pair.open(OPAQUE_STREAMS_ALPN)], [FEW, 1]);
  for (const socket of held) socket.resetAndDestroy();
  await until(() => pair.first.served.size === 0 && pair.second.ends.length === pair.first.ends.length);
  for (const { orders } of [pair.first, pair.second]) {
    assert.deepEqual([orders.stats.upstream_cx_active, orders.limits.connections], [0, 0]);
    assert.ok(
      [...orders.endpoints].every(({ activeRequests, activeConnections }) => activeRequests + activeConnections === 0),
    );
  }
});

test("a server's reset is told from its end in the log, a caller's is not the upstream's fault", async (t) => {
  const { server, subject } = await peers(t);
  const flagsOf = async (...steps: Step[]): Promise<string | undefined> => {
    const before = subject.ends.length;
    await play(steps, subject.port, server);
    while (subject.ends.length === before) await new Promise((resolve) => setImmediate(resolve));
    return subject.ends.at(-1)?.flags;
  };
  assert.equal(await flagsOf({ by: "server", act: "reset" }), "UR");
  assert.equal(await flagsOf({ by: "client", act: "reset" }), "-");
  assert.equal(await flagsOf({ by: "client", act: "end" }, { by: "server", act: "end" }), "-");
});

test("who does not read keeps the other side from sending, and nothing is lost when it reads on", async (t) => {
  const server = await startServer((socket) => socket.pause());
  t.after(() => server.close());
  const subject = await startSubject({ endpoints: [addressOf(server)] });
  t.after(() => subject.close());
  const accepted = once(server, "connection") as Promise<[net.Socket]>;
  const client = net.connect({ port: subject.port, host: "127.0.0.1" });
  const [remote] = await accepted;
  const chunk = Buffer.alloc(65_536, 1);
  let written = 0;
  // Until the kernel's buffers on the way are full, and stay so.
  for (let quiet = 0; quiet < 20; ) {
    if (client.writableLength === 0) {
      client.write(chunk);
      written += chunk.length;
      quiet = 0;
    } else quiet++;
    await new Promise((resolve) => subject.wheel.after(5, () => resolve(null)));
  }
  let read = 0;
  remote.on("data", (data: Buffer) => {
    read += data.length;
  });
  remote.resume();
  client.end();
  await once(remote, "end");
  assert.equal(read, written);
});
