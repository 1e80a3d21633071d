import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { test } from "node:test";
import { h2Backend } from "./h2-backend.ts";

interface Answer {
  readonly status: unknown;
  readonly type: unknown;
  readonly body: Buffer;
  readonly trailers: unknown;
}

async function call(session: http2.ClientHttp2Session, body: Buffer): Promise<Answer> {
  const stream = session.request({
    ":method": "POST",
    ":path": "/",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end(body);
  const head = once(stream, "response");
  const trailers = once(stream, "trailers");
  const chunks: Buffer[] = await stream.toArray();
  const [headers] = await head;
  return {
    status: headers[":status"],
    type: headers["content-type"],
    body: Buffer.concat(chunks),
    trailers: (await trailers)[0]["grpc-status"],
  };
}

async function withSession<T>(
  bytes: number,
  settings: http2.Settings,
  use: (session: http2.ClientHttp2Session, port: number) => Promise<T>,
): Promise<T> {
  const server = h2Backend(bytes).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const session = http2.connect(`http://127.0.0.1:${port}`, { settings });
  try {
    return await use(session, port);
  } finally {
    session.destroy();
    server.close();
  }
}

test("every call is answered with a message and a status, from the first, which fills the header table, on", async () => {
  await withSession(250, {}, async (session) => {
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(Array.from({ length: 100 }, () => call(session, Buffer.alloc(50))));
      for (const { status, type, body, trailers } of answers) {
        assert.deepEqual([status, type, body.length, trailers], [200, "application/grpc", 250, "0"]);
        assert.equal(body.readUInt32BE(1), 245);
      }
    }
  });
});

test("windows that are smaller than an answer are kept", async () => {
  await withSession(250, { initialWindowSize: 100 }, async (session) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(session, Buffer.alloc(50))));
    assert.ok(answers.every(({ body, trailers }) => body.length === 250 && trailers === "0"));
  });
});

test("a peer without a header table gets answers that need none", async () => {
  await withSession(250, { headerTableSize: 0 }, async (session) => {
    for (let i = 0; i < 3; i++) {
      const { status, type, trailers } = await call(session, Buffer.alloc(50));
      assert.deepEqual([status, type, trailers], [200, "application/grpc", "0"]);
    }
  });
});

test("an answer longer than any window arrives whole, and so does a request", { timeout: 10_000 }, async () => {
  const bytes = 40 << 20;
  await withSession(bytes, {}, async (session) => {
    const { body, trailers } = await call(session, Buffer.alloc(bytes));
    assert.equal(trailers, "0");
    assert.equal(body.length, bytes);
    assert.equal(body.readUInt32BE(16_384 + 1), 16_384 - 5);
  });
});

test("bytes may come one by one", async () => {
  const settings = "000000040000000000";
  const headers = "000001010400000001" + "82";
  const data = "000003000100000001" + "616263";
  const bytes = Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Buffer.from(settings + headers + data, "hex"),
  ]);
  const answers = await Promise.all(
    [1, 7, bytes.length].map((size) =>
      withSession(250, {}, async (_session, port) => {
        const socket = net.connect(port, "127.0.0.1");
        socket.setNoDelay(true);
        for (let at = 0; at < bytes.length; at += size) {
          socket.write(bytes.subarray(at, at + size));
          await new Promise(setImmediate);
        }
        let answer = Buffer.alloc(0);
        for await (const chunk of socket) {
          answer = Buffer.concat([answer, chunk]);
          if (answer.includes("grpc-status")) break;
        }
        return answer.toString("hex");
      }),
    ),
  );
  assert.equal(answers[1], answers[0]);
  assert.equal(answers[2], answers[0]);
});
