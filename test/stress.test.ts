/**
 * Hundreds of connections at once, every one at another stage, cut at random on both sides. Exchanges, heads and
 * connections are reused throughout: an answer that reaches the wrong request, or a part of one, would show here.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { queryObjects } from "node:v8";
import { type Random, seededRandom } from "../core/random.ts";
import { Exchange } from "../proxy/http/exchange.ts";
import { CERTIFICATE, PRIVATE_KEY } from "../xds/testing/pem.ts";
import { CLIENT_TLS, type ProxyConfig, secured, startProxy } from "./support/running-proxy.ts";
import { field, type Message, readMessage, Upstream, type Wire } from "./support/wire.ts";

const REQUESTS_EACH = 12;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A text in which every piece of a body can be recognised. */
function bodyOf(id: string, length: number): string {
  return `${id};`.repeat(Math.ceil(length / (id.length + 1))).slice(0, length);
}

function chunked(text: string, random: Random): string {
  let out = "";
  for (let at = 0; at < text.length; ) {
    const size = 1 + Math.floor(random() * 400);
    const part = text.slice(at, at + size);
    out += `${part.length.toString(16)}${random() < 0.2 ? ";ext=1" : ""}\r\n${part}\r\n`;
    at += size;
  }
  return `${out}0\r\n\r\n`;
}

/** Writes in a few pieces with pauses between them; false if the connection ended meanwhile. */
async function dribble(wire: Wire, text: string, random: Random): Promise<boolean> {
  for (let at = 0; at < text.length; ) {
    if (wire.closed) return false;
    const size = random() < 0.5 ? text.length : 1 + Math.floor(random() * 300);
    wire.write(text.slice(at, at + size));
    at += size;
    if (at < text.length) await pause(random() * 3);
  }
  return true;
}

async function serve(wire: Wire, random: Random): Promise<void> {
  for (;;) {
    const next = readMessage(wire.received);
    if (next === null) return;
    wire.received = next.rest;
    const { message } = next;
    const id = field(message, "x-id") ?? "?";
    if (!wholeOf(message.body, id)) throw new Error(`the request ${id} came with another's body`);
    if (random() < 0.5) await pause(random() * 10);
    const chance = random();
    if (chance < 0.05) {
      wire.reset();
      return;
    }
    const status = chance < 0.15 ? "503 Unavailable" : "200 OK";
    const body = bodyOf(id, Math.floor(random() * random() * 20_000));
    const head = `HTTP/1.1 ${status}\r\nx-id: ${id}\r\nx-path: ${message.start.split(" ")[1]}\r\n`;
    let text = `${head}content-length: ${body.length}\r\n\r\n${body}`;
    const framing = random();
    if (framing < 0.3) text = `${head}transfer-encoding: chunked\r\n\r\n${chunked(body, random)}`;
    else if (framing < 0.35) text = `${head}\r\n${body}`;
    const cut = random() < 0.05 ? Math.floor(random() * text.length) : text.length;
    if (!(await dribble(wire, text.slice(0, cut), random))) return;
    if (cut < text.length) {
      wire.reset();
      return;
    }
    if (framing >= 0.3 && framing < 0.35) {
      wire.end();
      return;
    }
  }
}

function wholeOf(body: string, id: string): boolean {
  return body === bodyOf(id, body.length);
}

interface Tally {
  answered: number;
  cut: number;
  aborted: number;
}

function check(answer: Message, id: string): void {
  // The proxy's own answers (503, 504) have no id.
  const from = field(answer, "x-id");
  if (from === undefined) return;
  assert.equal(from, id);
  assert.equal(field(answer, "x-path"), `/${id}`);
  assert.ok(wholeOf(answer.body, id), `${id}: ${answer.body.slice(0, 100)}`);
}

async function caller(connect: () => Promise<Wire>, name: string, random: Random, tally: Tally): Promise<void> {
  let wire = await connect();
  for (let i = 0; i < REQUESTS_EACH; ) {
    const depth = random() < 0.3 ? 1 + Math.floor(random() * 4) : 1;
    const ids = Array.from({ length: depth }, () => `${name}-${i++}`);
    const texts = ids.map((id) => {
      const head = `POST /${id} HTTP/1.1\r\nhost: x.test\r\nx-id: ${id}\r\n`;
      const body = bodyOf(id, random() < 0.4 ? 0 : Math.floor(random() * 6000));
      if (random() < 0.3) return `${head}transfer-encoding: chunked\r\n\r\n${chunked(body, random)}`;
      return `${head}content-length: ${body.length}\r\n\r\n${body}`;
    });
    const text = texts.join("");
    const abortAt = random() < 0.1 ? Math.floor(random() * text.length) : -1;
    const written = dribble(wire, abortAt < 0 ? text : text.slice(0, abortAt), random);
    if (abortAt >= 0 || random() < 0.05) {
      tally.aborted++;
      await written;
      await pause(random() * 8);
      if (random() < 0.5) wire.reset();
      else wire.destroy();
      wire = await connect();
      continue;
    }
    for (const id of ids) {
      try {
        const answer = await wire.message({}, 10_000);
        check(answer, id);
        tally.answered++;
        if (field(answer, "connection") !== "close") continue;
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        // A cut answer: what came of it must still be this request's.
        const from = /x-id: (\S+)/.exec(wire.received)?.[1];
        assert.ok(from === undefined || from === id, `${id} got the beginning of ${from}`);
        tally.cut++;
      }
      wire.destroy();
      wire = await connect();
      break;
    }
    await written;
  }
  wire.destroy();
}

for (const [secure, connections] of [
  [false, 300],
  [true, 100],
] as const) {
  const how = secure ? "over TLS on both sides " : "";
  test(`${connections} connections ${how}with random cuts: every answer belongs to its request`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    const failures: unknown[] = [];
    const upstream = await Upstream.start(t, secure ? { cert: CERTIFICATE, key: PRIVATE_KEY } : null);
    upstream.onWire = (wire) => {
      let busy = false;
      wire.socket.on("data", () => {
        if (busy) return;
        busy = true;
        serve(wire, random).then(
          () => {
            busy = false;
          },
          (error) => failures.push(error),
        );
      });
      wire.socket.on("end", () => wire.end());
    };
    const config: ProxyConfig = {
      upstreams: [upstream.port],
      action: {
        timeout: "5s",
        retry_policy: { retry_on: "5xx,reset", num_retries: 2, retry_back_off: { base_interval: "0.005s" } },
      },
      cluster: {
        circuit_breakers: { thresholds: [{ max_connections: 100, max_pending_requests: 200, max_retries: 50 }] },
        ...(secure ? { transport_socket: CLIENT_TLS } : {}),
      },
    };
    const proxy = await startProxy(t, secure ? secured(config) : config);
    const tally = { answered: 0, cut: 0, aborted: 0 };
    const connect = (): Promise<Wire> => proxy.connect(secure ? {} : null);
    await Promise.all(
      Array.from({ length: connections }, async (_, index) => {
        await pause(random() * 300);
        await caller(connect, `c${index}`, seededRandom(seed + index + 1), tally);
      }),
    );
    assert.deepEqual(failures, []);
    t.diagnostic(JSON.stringify(tally));
    const { answered, aborted, cut } = tally;
    assert.ok(answered > connections * 5 && aborted > connections / 3 && cut > connections / 30, JSON.stringify(tally));
    await proxy.settled();
    // As many as were in use at once, not as there were requests.
    const exchanges = queryObjects(Exchange, { format: "count" }) as unknown as number;
    assert.ok(exchanges <= 600, `${exchanges} exchanges`);
  });
}
