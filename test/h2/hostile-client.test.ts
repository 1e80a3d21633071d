/**
 * Listeners against clients that flood, break off and dribble. What h2spec asks of a server's answers to single wrong
 * frames is not repeated here: this is about many frames, their timing, and what is left behind.
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import {
  Code,
  data,
  Flag,
  frame,
  goaway,
  headers,
  literal,
  literals,
  PREFACE,
  ping,
  priority,
  request,
  rstStream,
  Setting,
  settings,
  Type,
  windowUpdate,
} from "../support/http2-frames.ts";
import type { Http2Wire } from "../support/http2-wire.ts";
import type { ProxyConfig } from "../support/running-proxy.ts";
import { ASKING_ENVOY, type Subject, startSubject } from "../support/subject.ts";
import { ok, turns, Upstream, until } from "../support/wire.ts";

interface Setup {
  readonly subject: Subject;
  readonly upstream: Upstream;
}

/** An HTTP/1.1 upstream that answers at once, but never on `/silent`. */
async function start(t: TestContext, config: ProxyConfig = {}): Promise<Setup> {
  const upstream = await Upstream.serving(t, ({ start: line, body }) =>
    line.includes("/silent") ? null : ok(body === "" ? "fine" : body),
  );
  return { upstream, subject: await startSubject(t, { upstreams: [upstream.port], ...config }) };
}

async function servesOthers(t: TestContext, { subject }: Setup): Promise<void> {
  const wire = await subject.http2(t);
  wire.write(headers(1, request()));
  assert.equal((await wire.over(1)).body, "fine");
  wire.destroy();
}

/** Writes `part` again and again, so that it is read meanwhile, until the peer says GOAWAY. */
async function flood(wire: Http2Wire, part: (round: number) => Buffer, rounds = 400): Promise<void> {
  for (let round = 0; round < rounds && wire.goaway === null && !wire.gone; round++) {
    wire.write(part(round));
    await turns();
  }
}

const many = (count: number, bytes: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => bytes(index)));

const NOTHING = Buffer.alloc(0);

/** Envoy often ends a connection without the GOAWAY that says why, or with another code. */
function calmed(code: number | null, wire: Http2Wire): void {
  if (ASKING_ENVOY && code !== Code.noError) return;
  assert.equal(code, Code.enhanceYourCalm, wire.describe());
}

describe("a flood from a client ends its connection with ENHANCE_YOUR_CALM:", () => {
  const open = headers(1, request("/silent"), 0);
  const floods: Readonly<Record<string, (round: number) => Buffer>> = {
    "streams that are reset at once": (round) =>
      many(100, (index) => {
        const stream = round * 200 + index * 2 + 1;
        return Buffer.concat([headers(stream, request("/silent")), rstStream(stream, Code.cancel)]);
      }),
    PING: () => many(500, () => ping()),
    SETTINGS: () => many(500, () => settings([Setting.maxConcurrentStreams, 100])),
    "empty DATA": (round) => Buffer.concat([round === 0 ? open : NOTHING, many(100, () => data(1, ""))]),
    "CONTINUATION without END_HEADERS": (round) =>
      Buffer.concat([
        round === 0 ? frame(Type.headers, 0, 1, literals(request())) : NOTHING,
        many(200, () => frame(Type.continuation, 0, 1, literal(["x-a", "b"]))),
      ]),
    "empty CONTINUATION": (round) =>
      Buffer.concat([
        round === 0 ? frame(Type.headers, 0, 1, literals(request())) : NOTHING,
        many(200, () => frame(Type.continuation, 0, 1)),
      ]),
    PRIORITY: () => many(500, (index) => priority(index * 2 + 1, 0)),
    "WINDOW_UPDATE on a stream": (round) =>
      Buffer.concat([round === 0 ? open : NOTHING, many(500, () => windowUpdate(1, 1))]),
    "WINDOW_UPDATE on the connection": () => many(500, () => windowUpdate(0, 1)),
  };
  for (const [name, part] of Object.entries(floods)) {
    test(name, async (t) => {
      const setup = await start(t);
      const wire = await setup.subject.http2(t);
      // Envoy counts only those answers that it could not send yet.
      if (ASKING_ENVOY && (name === "PING" || name === "SETTINGS")) wire.socket.pause();
      await flood(wire, part);
      wire.socket.resume();
      calmed(await wire.ended(), wire);
      await servesOthers(t, setup);
      await setup.subject.settled();
    });
  }

  test("streams that the server has to reset, too", async (t) => {
    const setup = await start(t);
    const wire = await setup.subject.http2(t);
    // Each stream is wrong in itself (its window overflows), so that the server resets it.
    await flood(wire, (round) =>
      many(100, (index) => {
        const stream = round * 200 + index * 2 + 1;
        return Buffer.concat([headers(stream, request("/silent")), windowUpdate(stream, 2 ** 31 - 1)]);
      }),
    );
    const code = await wire.ended();
    if (!ASKING_ENVOY) assert.ok(code === Code.enhanceYourCalm || code === Code.flowControlError, wire.describe());
    await servesOthers(t, setup);
    await setup.subject.settled();
  });
});

describe("a client's header blocks", () => {
  test("that grow a thousandfold when they are read are refused", async (t) => {
    const setup = await start(t);
    const wire = await setup.subject.http2(t);
    const bomb = Buffer.concat([
      literals(request()),
      Buffer.of(0x40),
      literal(["x-bomb", "b".repeat(4000)]).subarray(1),
      Buffer.alloc(12_000, 0xbe),
    ]);
    wire.write(frame(Type.headers, Flag.endStream | Flag.endHeaders, 1, bomb));
    const log = await wire.over(1);
    assert.ok(wire.gone || log.reset !== null || log.status === 431, wire.describe());
    assert.equal(setup.upstream.requests.length, 0);
    await servesOthers(t, setup);
    await setup.subject.settled();
  });

  test("of more fields than the limit are refused, and the connection's table stays right", async (t) => {
    const setup = await start(t);
    const wire = await setup.subject.http2(t);
    const fields = Array.from({ length: 150 }, (_, index) => [`x-${index}`, "1"] as const);
    wire.write(headers(1, request("/", fields)));
    const log = await wire.over(1);
    assert.ok(wire.gone || log.reset !== null || log.status === 431, wire.describe());
    if (!wire.gone) {
      wire.write(headers(3, request()));
      assert.equal((await wire.over(3)).body, "fine");
    }
    await servesOthers(t, setup);
    await setup.subject.settled();
  });
});

/** Nothing is written but what the test writes: an answer of its own would fall within a frame. */
const BY_HAND = { begin: [], answers: false, widens: false };

describe("a client that dribbles", () => {
  test("is understood when its bytes come one by one", async (t) => {
    const { subject } = await start(t);
    const wire = await subject.http2(t, BY_HAND);
    const bytes = Buffer.concat([
      PREFACE,
      settings([Setting.headerTableSize, 0]),
      frame(Type.headers, 0, 1, literals(request("/", [], "POST"))),
      frame(Type.continuation, Flag.endHeaders, 1, literals([["x-a", "b"]])),
      ping(),
      frame(Type.data, Flag.padded, 1, Buffer.concat([Buffer.of(2), Buffer.from("hel\0\0")])),
      data(1, "lo", Flag.endStream),
    ]);
    for (const byte of bytes) {
      wire.write(Buffer.of(byte));
      await turns(1);
    }
    assert.equal((await wire.over(1)).body, "hello");
    await subject.settled();
  });

  test("is understood however its bytes are cut in two", async (t) => {
    const { subject } = await start(t);
    const bytes = Buffer.concat([
      PREFACE,
      settings([Setting.headerTableSize, 0]),
      headers(1, request("/", [], "POST"), 0),
      data(1, "hello", Flag.endStream),
    ]);
    for (let at = 1; at < bytes.length; at += ASKING_ENVOY ? 20 : 1) {
      const wire = await subject.http2(t, BY_HAND);
      wire.write(bytes.subarray(0, at));
      await turns(2);
      wire.write(bytes.subarray(at));
      assert.equal((await wire.over(1)).body, "hello", `cut at ${at}`);
      wire.destroy();
    }
    await subject.settled();
  });

  test("leaves nothing behind wherever it breaks off", async (t) => {
    const { subject } = await start(t);
    const bytes = Buffer.concat([
      PREFACE,
      settings(),
      headers(1, request("/silent", [["content-length", "9"]], "POST"), 0),
      data(1, "hello"),
      frame(Type.headers, 0, 3, literals(request())),
    ]);
    for (let at = 0; at < bytes.length; at += 3) {
      const wire = await subject.http2(t, BY_HAND);
      wire.write(bytes.subarray(0, at));
      await turns(2);
      if (at % 2 === 0) wire.socket.resetAndDestroy();
      else wire.socket.end();
      await turns(1);
      wire.destroy();
    }
    await subject.settled();
  });
});

describe("a stream that its client resets", () => {
  /** What has happened on the stream before. */
  const states: Readonly<Record<string, (wire: Http2Wire, setup: Setup) => void | Promise<void>>> = {
    "right after its head": (wire) => wire.write(headers(1, request("/silent", [], "POST"), 0)),
    "after a whole request": (wire) => wire.write(headers(1, request("/silent"))),
    "within its body": (wire) => wire.write(headers(1, request("/silent", [], "POST"), 0), data(1, "half")),
    "once the upstream has it": async (wire, { upstream }) => {
      wire.write(headers(1, request("/silent")));
      await until(() => upstream.requests.length > 0);
    },
    "while its answer is on its way": async (wire, { upstream }) => {
      wire.write(headers(1, request("/silent")));
      await until(() => upstream.requests.length > 0);
      upstream.wires[0]?.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
      await until(() => wire.stream(1).body === "half");
    },
    "after its answer": async (wire) => {
      wire.write(headers(1, request()));
      await wire.over(1);
    },
  };
  for (const [name, before] of Object.entries(states)) {
    test(`${name} ends alone, and leaves nothing behind`, async (t) => {
      const setup = await start(t);
      const wire = await setup.subject.http2(t);
      await before(wire, setup);
      wire.write(rstStream(1, Code.cancel));
      wire.write(headers(3, request()));
      assert.equal((await wire.over(3)).body, "fine");
      assert.equal(wire.goaway, null, wire.describe());
      await setup.subject.settled();
    });
  }
});

describe("windows of a client", () => {
  test("of nothing hold an answer; those that grow let it go, byte by byte", async (t) => {
    const { subject } = await start(t);
    const begin = [PREFACE, settings([Setting.headerTableSize, 0], [Setting.initialWindowSize, 0])];
    const wire = await subject.http2(t, { begin, widens: false });
    wire.write(headers(1, request()));
    await until(() => wire.stream(1).heads.length > 0);
    await wire.settled();
    assert.equal(wire.stream(1).body, "");
    for (const part of ["f", "fi", "fin"]) {
      wire.write(windowUpdate(1, 1));
      await until(() => wire.stream(1).body === part);
    }
    wire.write(settings([Setting.initialWindowSize, 1]));
    assert.equal((await wire.over(1)).body, "fine");
    await subject.settled();
  });

  test("of a stream above 2^31 - 1 end it with FLOW_CONTROL_ERROR", async (t) => {
    const setup = await start(t);
    const wire = await setup.subject.http2(t);
    wire.write(headers(1, request("/silent")), windowUpdate(1, 2 ** 31 - 1));
    await until(() => wire.stream(1).reset !== null || wire.gone);
    if (!ASKING_ENVOY) assert.equal(wire.stream(1).reset, Code.flowControlError, wire.describe());
    await servesOthers(t, setup);
    await setup.subject.settled();
  });

  test("of the connection above 2^31 - 1 end it with FLOW_CONTROL_ERROR", async (t) => {
    const setup = await start(t);
    const wire = await setup.subject.http2(t);
    wire.write(windowUpdate(0, 2 ** 31 - 1));
    const code = await wire.ended();
    if (!ASKING_ENVOY) assert.equal(code, Code.flowControlError, wire.describe());
    await servesOthers(t, setup);
    await setup.subject.settled();
  });
});

describe("GOAWAY from a client", () => {
  test("lets what was asked be answered, and ends the connection then", async (t) => {
    const { subject, upstream } = await start(t);
    const wire = await subject.http2(t);
    wire.write(headers(1, request("/silent")), goaway(0, Code.noError));
    await until(() => upstream.requests.length > 0);
    upstream.wires[0]?.write(ok("late"));
    assert.equal((await wire.over(1)).body, "late");
    wire.socket.end();
    await wire.ended();
    await subject.settled();
  });
});
