/** What becomes of a connection that was accepted, in simulated time: filters, detection of both sides, refusals. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Listener } from "../model/listener.ts";
import { OwnConnections } from "./endpoint/own-connections.ts";
import { DetectionMemory } from "./listener/detection-memory.ts";
import { filterChain, InboundSubject, listenerOf, settle } from "./listener/testing/inbound-subject.ts";

const EXTENSION = { service: null, httpProxy: false, multiplex: false } as const;
const SILENCE_MS = 100;
const DEADLINE_MS = 5000;

/** As a service whose protocol nobody declared. */
function detecting(fields: Partial<Listener> = {}): Listener {
  return listenerOf({
    listenerFilters: [{ kind: "tls_inspector" }, { kind: "http_inspector" }],
    listenerFiltersTimeoutMs: DEADLINE_MS,
    continueOnListenerFiltersTimeout: true,
    filterChains: [
      filterChain("http", { applicationProtocols: ["http/1.0", "http/1.1", "h2c"] }),
      filterChain("tls", { transportProtocol: "tls" }),
      filterChain("opaque"),
    ],
    outrigger: { ...EXTENSION, detection: { serverFirstAfterMs: SILENCE_MS } },
    ...fields,
  });
}

const HTTP = { http: ["http"] };

describe("detection of both sides", () => {
  test("a client that speaks is served at once, and its server is not called before", async () => {
    for (const [line, chain, outcome] of [
      ["GET / HTTP/1.1\r\n", "http", "http1"],
      ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http", "http2"],
      ["\0\0\0\x08\x04\xd2\x16\x2f", "opaque", "opaque"],
      ["*1\r\n", "opaque", "opaque"],
    ] as const) {
      const subject = new InboundSubject(detecting(), HTTP);
      const client = subject.connect();
      client.say(line);
      await settle();
      assert.deepEqual([subject.services[0]?.chain, subject.services[0]?.bytes], [chain, line]);
      assert.deepEqual(subject.detected, [outcome]);
      subject.clock.advance(2 * DEADLINE_MS);
      assert.equal(subject.attempts.length, 0);
      assert.equal(subject.wheel.size, 0, "no timer is left");
    }
  });

  test("a first line in single bytes, whatever is slow, waits for no server", async () => {
    const subject = new InboundSubject(detecting(), HTTP);
    const client = subject.connect();
    const line = "GET /orders HTTP/1.1\r\n";
    for (const byte of line.slice(0, -1)) {
      client.say(byte);
      await settle();
      assert.equal(subject.services.length, 0);
    }
    client.say("\n");
    await settle();
    assert.equal(subject.services[0]?.bytes, line);
  });

  test("a silent client's server is called; if it speaks, the connection is opaque", async () => {
    const subject = new InboundSubject(detecting(), HTTP);
    const client = subject.connect();
    await settle();
    subject.clock.advance(SILENCE_MS - 1);
    assert.equal(subject.attempts.length, 0);
    subject.clock.advance(20);
    assert.deepEqual(
      subject.attempts.map(({ chain, state }) => [chain, state]),
      [["opaque", "open"]],
    );
    subject.attempts[0]?.serverSpeaks();
    assert.deepEqual([subject.services[0]?.chain, subject.services[0]?.early], ["opaque", true]);
    client.say("hello");
    await settle();
    assert.equal(subject.services[0]?.bytes, "hello");
    assert.deepEqual(subject.detected, ["server_first"]);
  });

  test("a client that speaks after all is served as what it is, and the server's call is given up or used", async () => {
    for (const [line, chain, state] of [
      ["GET / HTTP/1.1\r\n", "http", "abandoned"],
      ["QUIT\r\n", "opaque", "committed"],
    ] as const) {
      const subject = new InboundSubject(detecting(), HTTP);
      const client = subject.connect();
      subject.clock.advance(SILENCE_MS + 20);
      client.say(line);
      await settle();
      assert.equal(subject.attempts[0]?.state, state);
      assert.deepEqual([subject.services[0]?.chain, subject.services[0]?.bytes], [chain, line]);
    }
  });

  test("what was learned of a destination is used for the next connection to it", async () => {
    const memory = new DetectionMemory();
    const subject = new InboundSubject(detecting(), { ...HTTP, memory });
    subject.connect();
    subject.clock.advance(SILENCE_MS + 20);
    subject.attempts[0]?.serverSpeaks();
    // The server speaks first: it is called at once.
    const second = subject.connect();
    await settle();
    assert.equal(subject.attempts.length, 2);
    // Not this time; from now on clients are waited for longer.
    second.say("GET / HTTP/1.1\r\n");
    await settle();
    assert.equal(subject.attempts[1]?.state, "abandoned");
    subject.connect();
    await settle();
    subject.clock.advance(5 * SILENCE_MS);
    assert.equal(subject.attempts.length, 2);
    subject.clock.advance(6 * SILENCE_MS);
    assert.equal(subject.attempts.length, 3);
    // Another port is another destination.
    subject.connect({ host: "10.0.0.1", port: 1 }, { host: "127.0.0.1", port: 9 });
    subject.clock.advance(SILENCE_MS + 20);
    assert.equal(subject.attempts.length, 4);
  });

  test("at the deadline a silent connection becomes opaque, with all that was said", async () => {
    for (const said of ["", "GE"]) {
      const subject = new InboundSubject(detecting(), HTTP);
      const client = subject.connect();
      if (said !== "") client.say(said);
      await settle();
      subject.clock.advance(DEADLINE_MS + 20);
      assert.deepEqual([subject.services[0]?.chain, subject.services[0]?.bytes], ["opaque", said]);
      assert.deepEqual(subject.detected, ["deadline"]);
      client.say("more");
      await settle();
      assert.equal(subject.services[0]?.bytes, `${said}more`);
    }
  });

  test("a client that ends before it was clear is passed on with its end", async () => {
    const subject = new InboundSubject(detecting(), HTTP);
    const client = subject.connect();
    client.say("GE");
    client.hangUp();
    await settle();
    assert.deepEqual(
      subject.services.map(({ chain, bytes, ended }) => [chain, bytes, ended]),
      [["opaque", "GE", true]],
    );
  });

  test("a client that goes takes its server's call with it", async () => {
    const subject = new InboundSubject(detecting(), HTTP);
    const client = subject.connect();
    subject.clock.advance(SILENCE_MS + 20);
    client.destroy();
    await settle();
    assert.equal(subject.attempts[0]?.state, "abandoned");
    assert.equal(subject.services.length, 0);
    assert.equal(subject.inbound.open, 0);
    assert.equal(subject.wheel.size, 0);
  });

  test("no server is called where rules refuse the connection, or where no chain takes opaque bytes", async () => {
    const denied = new InboundSubject(detecting(), { ...HTTP, denied: ["opaque"] });
    denied.connect();
    const strict = new InboundSubject(detecting({ filterChains: [filterChain("tls", { transportProtocol: "tls" })] }));
    strict.connect();
    await settle();
    for (const subject of [denied, strict]) {
      subject.clock.advance(SILENCE_MS + 20);
      assert.equal(subject.attempts.length, 0);
    }
    denied.clock.advance(DEADLINE_MS);
    assert.deepEqual(denied.refused, [{ reason: "denied", explanation: "not you" }]);
  });

  test("a listener that is closed leaves nothing behind", async () => {
    const subject = new InboundSubject(detecting(), HTTP);
    const client = subject.connect();
    subject.clock.advance(SILENCE_MS + 20);
    subject.inbound.close();
    await settle();
    assert.equal(client.destroyed, true);
    assert.equal(subject.attempts[0]?.state, "abandoned");
    assert.equal(subject.wheel.size, 0);
  });

  type Event =
    | { readonly kind: "say"; readonly bytes: string }
    | { readonly kind: "server" | "end" | "turn" }
    | { readonly kind: "wait"; readonly ms: number };

  const event: fc.Arbitrary<Event> = fc.oneof(
    fc.record({
      kind: fc.constant("say" as const),
      bytes: fc.oneof(
        fc.constantFrom("GET / ", "HTTP/1.1\r\n", "\x16\x03\x01", "PRI * ", "QUIT\r\n", "\0", "G"),
        fc.string({ minLength: 1, maxLength: 3 }).map((text) => Buffer.from(text).toString("latin1")),
      ),
    }),
    fc.record({ kind: fc.constantFrom("server" as const, "end" as const, "turn" as const) }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, 50, 110, 1100, 5100) }),
  );

  test("whoever speaks when, one chain serves the connection, with every byte and the end, and no attempt stays", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 12 }), async (events) => {
        const subject = new InboundSubject(detecting(), HTTP);
        const client = subject.connect();
        let said = "";
        let ended = false;
        for (const step of events) {
          if (step.kind === "say" && !ended) {
            said += step.bytes;
            client.say(step.bytes);
          } else if (step.kind === "end" && !ended) {
            ended = true;
            client.hangUp();
          } else if (step.kind === "server") {
            for (const { state, serverSpeaks } of subject.attempts) if (state !== "abandoned") serverSpeaks();
          } else if (step.kind === "wait") subject.clock.advance(step.ms);
          else await settle();
        }
        await settle();
        subject.clock.advance(2 * DEADLINE_MS);
        await settle();
        const [service, another] = subject.services;
        assert.ok(service !== undefined && another === undefined, "one service");
        assert.equal(service.bytes, said);
        assert.equal(service.ended, ended);
        assert.equal(subject.detected.length, 1);
        assert.ok(subject.attempts.length <= 1);
        for (const { state } of subject.attempts) assert.equal(state, service.early ? "committed" : "abandoned");
        assert.equal(subject.wheel.size, 0);
        assert.equal(subject.inbound.open, 1);
      }),
      { numRuns: 300 },
    );
  });
});

describe("listener filters alone, as in Envoy", () => {
  const inspecting = (fields: Partial<Listener> = {}): Listener => detecting({ outrigger: null, ...fields });

  test("only the client is waited for; then the connection goes on, or is cut", async () => {
    for (const goOn of [true, false]) {
      const subject = new InboundSubject(inspecting({ continueOnListenerFiltersTimeout: goOn }), HTTP);
      const client = subject.connect();
      client.say("GE");
      await settle();
      subject.clock.advance(DEADLINE_MS + 20);
      assert.equal(subject.attempts.length, 0);
      assert.equal(client.destroyed, !goOn);
      assert.equal(subject.services.length, goOn ? 1 : 0);
      assert.deepEqual(
        subject.refused.map(({ reason }) => reason),
        goOn ? [] : ["timeout"],
      );
    }
  });

  test("a client that ends before it was clear is cut", async () => {
    const subject = new InboundSubject(inspecting(), HTTP);
    const client = subject.connect();
    client.say("GE");
    client.hangUp();
    await settle();
    assert.deepEqual([client.destroyed, client.wasReset, subject.services.length], [true, true, 0]);
    assert.deepEqual(
      subject.logged.map(({ what }) => what),
      ["unserved"],
    );
  });

  test("a client on a pipe is closed, for there is nothing to reset", async () => {
    const subject = new InboundSubject(inspecting(), HTTP);
    const client = subject.connect({ host: "", port: 0 });
    client.say("GE");
    client.hangUp();
    await settle();
    assert.deepEqual([client.destroyed, client.wasReset], [true, false]);
  });

  test("a filter does not look at ports for which it is disabled, before or after a destination was restored", async () => {
    const filters: Listener["listenerFilters"] = [
      { kind: "original_dst" },
      { kind: "http_inspector", disabled: { kind: "ports", start: 3306, end: 3307 } },
    ];
    for (const [port, chain] of [
      [3306, "opaque"],
      [80, "http"],
    ] as const) {
      const subject = new InboundSubject(inspecting({ listenerFilters: filters }), {
        ...HTTP,
        original: () => ({ host: "192.0.2.7", port }),
      });
      subject.connect().say("GET / HTTP/1.1\r\n");
      await settle();
      const [service] = subject.services;
      assert.deepEqual(
        [service?.chain, service?.info.localAddress, service?.info.localPort, service?.info.restored],
        [chain, "192.0.2.7", port, true],
      );
    }
  });

  test("a connection that was handed over is not served here", async () => {
    const taken: string[] = [];
    const subject = new InboundSubject(listenerOf({ useOriginalDst: true }), {
      original: () => ({ host: "192.0.2.7", port: 80 }),
      handOver: ({ destinationAddress }) => taken.push(destinationAddress) > 0,
    });
    subject.connect();
    await settle();
    assert.deepEqual(taken, ["192.0.2.7"]);
    assert.equal(subject.services.length, 0);
    assert.equal(subject.inbound.open, 0);
  });

  test("a listener without filters serves at once, silent clients too", () => {
    const subject = new InboundSubject(listenerOf());
    subject.connect();
    assert.equal(subject.services[0]?.chain, "only");
    assert.equal(subject.services[0]?.info.restored, undefined);
  });
});

describe("virtual listeners", () => {
  const outbound = (registryOnly: boolean): Listener =>
    listenerOf({
      useOriginalDst: true,
      listenerFilters: [{ kind: "original_dst" }],
      filterChains: [],
      defaultFilterChain: filterChain("rest"),
      outrigger: { ...EXTENSION, virtual: { kind: "outbound", registryOnly } },
    });
  const intercepted = { original: () => ({ host: "192.0.2.7", port: 80 }) };

  test("what was not intercepted is refused", () => {
    const subject = new InboundSubject(outbound(false));
    const client = subject.connect();
    assert.equal(subject.refused[0]?.reason, "not_intercepted");
    assert.equal(client.destroyed, true);
    assert.deepEqual(
      subject.logged.map(({ what }) => what),
      ["no filter chain"],
    );
  });

  test("what the mesh does not know passes, or is said to be refused by the chain that ends it", () => {
    for (const registryOnly of [false, true]) {
      const subject = new InboundSubject(outbound(registryOnly), intercepted);
      subject.connect();
      assert.equal(subject.services[0]?.chain, "rest");
      assert.deepEqual(subject.refused, [
        ...(registryOnly
          ? [
              {
                reason: "registry_only",
                explanation: "192.0.2.7:80 is no service of the mesh, and the egress policy allows nothing else",
              },
            ]
          : []),
      ]);
    }
  });

  test("loops are cut: to the listener itself, and of the sidecar's own connections", () => {
    const own = new OwnConnections();
    const mine = (near: { port: number }): boolean => near.port === 50_000;
    Object.assign(own, { has: mine });
    const refusals = (destination: { host: string; port: number }, from: { host: string; port: number }): string[] => {
      const subject = new InboundSubject(outbound(false), { own, original: () => destination });
      subject.connect(from);
      return subject.refused.map(({ reason }) => reason);
    };
    const far = { host: "192.0.2.7", port: 80 };
    assert.deepEqual(refusals({ host: "127.0.0.1", port: 15_001 }, { host: "10.0.0.1", port: 1 }), ["loop"]);
    assert.deepEqual(refusals(far, { host: "10.0.0.1", port: 50_000 }), ["loop"]);
    assert.deepEqual(refusals(far, { host: "127.0.0.6", port: 1 }), ["loop"]);
    assert.deepEqual(refusals(far, { host: "::6", port: 1 }), ["loop"]);
    assert.deepEqual(refusals(far, { host: "10.0.0.1", port: 50_001 }), []);
    // Another machine has such a port, too.
    assert.deepEqual(refusals({ host: "192.0.2.7", port: 15_001 }, { host: "10.0.0.1", port: 1 }), []);
  });

  test("its own outbound call may come in again; what it hands on to the application must not", () => {
    const own = new OwnConnections();
    Object.assign(own, { has: () => true });
    const inbound = listenerOf({
      address: { kind: "tcp", host: "::", port: 15_006, ipv4Compat: true },
      listenerFilters: [{ kind: "original_dst" }],
      outrigger: { ...EXTENSION, virtual: { kind: "inbound" } },
    });
    for (const [host, reasons] of [
      ["10.0.0.1", []],
      ["127.0.0.6", ["loop"]],
    ] as const) {
      const subject = new InboundSubject(inbound, { own, original: () => ({ host: "10.0.0.1", port: 8080 }) });
      subject.connect({ host, port: 1 });
      assert.deepEqual(
        subject.refused.map(({ reason }) => reason),
        reasons,
      );
    }
  });

  test("plaintext to a port that serves mutual TLS only is refused as such", async () => {
    const chain = { ...filterChain("tls", { transportProtocol: "tls", destinationPort: 8080 }), tls: {} as never };
    const strict = listenerOf({
      listenerFilters: [{ kind: "original_dst" }, { kind: "tls_inspector" }],
      listenerFiltersTimeoutMs: DEADLINE_MS,
      continueOnListenerFiltersTimeout: true,
      filterChains: [chain],
      outrigger: { ...EXTENSION, virtual: { kind: "inbound" } },
    });
    for (const [port, said, reason, sentence] of [
      [
        8080,
        "GET / HTTP/1.1\r\n",
        "plaintext_refused",
        /the caller spoke plaintext to port 8080 with mutual TLS STRICT/,
      ],
      [8080, "", "plaintext_refused", /the caller said nothing to port 8080/],
      [9090, "GET / HTTP/1.1\r\n", "no_filter_chain", /no filter chain takes plaintext to 10.0.0.1:9090/],
    ] as const) {
      const subject = new InboundSubject(strict, { original: () => ({ host: "10.0.0.1", port }) });
      const client = subject.connect();
      if (said !== "") client.say(said);
      await settle();
      subject.clock.advance(DEADLINE_MS + 20);
      assert.equal(subject.refused[0]?.reason, reason);
      assert.match(subject.refused[0]?.explanation ?? "", sentence);
      assert.equal(client.destroyed, true);
      assert.deepEqual(
        subject.logged.map(({ what, info }) => [what, info.localPort]),
        [["no filter chain", port]],
      );
    }
  });
});

describe("connections of a configuration that changes", () => {
  test("only those of chains that are not in force any more leave, and are cut when their time is up", () => {
    const subject = new InboundSubject(
      listenerOf({
        filterChains: [filterChain("a", { destinationPort: 1 }), filterChain("b", { destinationPort: 2 })],
      }),
    );
    const from = { host: "10.0.0.1", port: 40_000 };
    const [a, b] = [1, 2].map((port) => subject.connect(from, { host: "127.0.0.1", port }));
    subject.inForce.set("a", false);
    subject.inbound.drainLeaving(100, 1000);
    assert.deepEqual(
      subject.services.map(({ drained }) => drained),
      [true, false],
    );
    assert.equal(subject.inbound.leaving, 1);
    subject.inbound.sweep(999);
    assert.deepEqual([a?.destroyed, b?.destroyed], [false, false]);
    subject.inbound.sweep(1000);
    assert.deepEqual([a?.destroyed, b?.destroyed], [true, false]);
    subject.services[0]?.close();
    assert.equal(subject.inbound.leaving, 0);
    assert.equal(subject.inbound.open, 1);
  });

  test("so do those that are served by such a chain only then, for nobody knew what they speak", async () => {
    const subject = new InboundSubject(detecting(), HTTP);
    const client = subject.connect();
    subject.inForce.set("http", false);
    subject.inbound.drainLeaving(100, 1000);
    assert.equal(subject.inbound.leaving, 1);
    client.say("GET / HTTP/1.1\r\n");
    await settle();
    assert.deepEqual([subject.services[0]?.drained, subject.inbound.leaving], [true, 1]);
    subject.inbound.sweep(1000);
    assert.equal(client.destroyed, true);
  });
});
