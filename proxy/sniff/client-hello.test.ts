import assert from "node:assert/strict";
import net from "node:net";
import { before, describe, test } from "node:test";
import tls from "node:tls";
import fc from "fast-check";
import { type ClientHello, MORE, NOT_TLS, readClientHello } from "./client-hello.ts";

/** What Node's own TLS sends first. */
async function capture(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const client = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  client.on("error", () => undefined);
  const bytes = await new Promise<Buffer>((resolve) => {
    server.once("connection", (socket) => {
      let held = Buffer.alloc(0);
      socket.on("error", () => undefined);
      socket.on("data", (chunk: Buffer) => {
        held = Buffer.concat([held, chunk]);
        if (held.length >= 5 && held.length >= 5 + held.readUInt16BE(3)) resolve(held);
      });
    });
  });
  client.destroy();
  server.close();
  return bytes;
}

/** The same handshake message in records of other sizes. */
function inRecords(hello: Buffer, sizes: readonly number[]): Buffer {
  const message = hello.subarray(5);
  const parts: Buffer[] = [];
  for (let at = 0, i = 0; at < message.length; i++) {
    const part = message.subarray(at, at + (sizes[i] ?? message.length));
    parts.push(Buffer.from([0x16, 3, 1, part.length >> 8, part.length & 255]), part);
    at += part.length;
  }
  return Buffer.concat(parts);
}

const CASES: readonly { readonly options: tls.ConnectionOptions; readonly expected: ClientHello }[] = [
  { options: {}, expected: { serverName: "", alpn: [] } },
  { options: { servername: "Orders.Shop.test" }, expected: { serverName: "orders.shop.test", alpn: [] } },
  {
    options: { servername: "a.test", ALPNProtocols: ["h2", "http/1.1", "istio-peer-exchange"] },
    expected: { serverName: "a.test", alpn: ["h2", "http/1.1", "istio-peer-exchange"] },
  },
  {
    options: { servername: "b.test", maxVersion: "TLSv1.2", ALPNProtocols: ["istio"] },
    expected: { serverName: "b.test", alpn: ["istio"] },
  },
  {
    options: { servername: `${"x".repeat(60)}.test`, ALPNProtocols: Array.from({ length: 100 }, (_, i) => `p${i}`) },
    expected: { serverName: `${"x".repeat(60)}.test`, alpn: Array.from({ length: 100 }, (_, i) => `p${i}`) },
  },
];

describe("ClientHellos of Node's own TLS", () => {
  const hellos: Buffer[] = [];
  before(async () => {
    for (const { options } of CASES) hellos.push(await capture(options));
  });

  test("tell server name and protocols", () => {
    for (const [i, { expected }] of CASES.entries()) assert.deepEqual(readClientHello(hellos[i] as Buffer), expected);
  });

  test("tell them once the last byte is there, not before", () => {
    for (const [i, { expected }] of CASES.entries()) {
      const hello = hellos[i] as Buffer;
      for (let length = 0; length < hello.length; length++) {
        assert.equal(readClientHello(hello.subarray(0, length)), MORE, `${length} of ${hello.length} bytes`);
      }
      assert.deepEqual(readClientHello(Buffer.concat([hello, Buffer.from("more")])), expected);
    }
  });

  test("may come in several records, which may end anywhere", () => {
    fc.assert(
      fc.property(
        fc.nat(CASES.length - 1),
        fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 40 }),
        (i, sizes) => {
          const bytes = inRecords(hellos[i] as Buffer, sizes);
          assert.deepEqual(readClientHello(bytes), CASES[i]?.expected);
          for (let cut = 1; cut < 40; cut++) {
            assert.equal(readClientHello(bytes.subarray(0, Math.floor((bytes.length * cut) / 40))), MORE);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("in more records than anybody needs are no hellos", () => {
    const ones = new Array<number>(5000).fill(1);
    assert.equal(readClientHello(inRecords(hellos[0] as Buffer, ones)), NOT_TLS);
  });

  test("that are damaged are read without a throw, the same however they come", () => {
    const edit = fc.tuple(fc.nat(), fc.nat(255));
    fc.assert(
      fc.property(fc.nat(CASES.length - 1), fc.array(edit, { minLength: 1, maxLength: 6 }), (i, edits) => {
        const bytes = Buffer.from(hellos[i] as Buffer);
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        const whole = readClientHello(bytes);
        for (let length = 0; length < bytes.length; length += 7) {
          const part = readClientHello(bytes.subarray(0, length));
          if (part !== MORE) assert.deepEqual(part, whole);
        }
      }),
      { numRuns: 500 },
    );
  });
});

test("what is no TLS is told at its first byte", () => {
  for (const text of ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0", "\0", "\x15\x03\x01", "SSH-2.0-"]) {
    for (let length = 1; length <= text.length; length++) {
      assert.equal(readClientHello(Buffer.from(text.slice(0, length), "latin1")), NOT_TLS);
    }
  }
  assert.equal(readClientHello(Buffer.alloc(0)), MORE);
});

test("lengths that no hello has are refused at once", () => {
  for (const bytes of [
    [0x16, 3, 1, 0, 0],
    [0x16, 3, 1, 0xff, 0xff],
    [0x16, 2, 0],
    [0x16, 3, 1, 0, 5, 2],
    [0x16, 3, 1, 0, 5, 1, 1, 0, 0, 0],
  ]) {
    assert.equal(readClientHello(Buffer.from(bytes)), NOT_TLS);
  }
});

test("noise is read without a throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      readClientHello(Buffer.from(noise));
      readClientHello(Buffer.concat([Buffer.from([0x16, 3, 1, 1, 0, 1, 0, 0, 200]), noise]));
    }),
    { numRuns: 1000 },
  );
});
