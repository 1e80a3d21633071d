/**
 * A client and a server of ours on one wire that is cut anywhere, with random bodies, windows, pauses and resets: nothing is
 * lost, doubled or left behind. What either side does with a peer that breaks the rules is in `hostile.test.ts`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Random, seededRandom } from "../../../core/random.ts";
import { data, Flag, settings as settingsFrame } from "../../../test/support/http2-frames.ts";
import { ResponseHead } from "../../http/message.ts";
import { Body } from "../stream.ts";
import { Setting } from "./protocol.ts";
import { type ClientCall, Pair, type PairOptions, type ServerCall, trailersOf } from "./testing/pair.ts";

/** One direction of a call: what is to be sent, and how far that is. */
interface Script {
  readonly pieces: readonly Buffer[];
  readonly trailers: boolean;
  sent: number;
  ended: boolean;
}

interface Planned {
  readonly request: Script;
  readonly response: Script;
  client: ClientCall | null;
  server: ServerCall | null;
  answered: boolean;
  /** Given up by one of its ends. */
  cut: boolean;
}

interface Plan {
  readonly seed: number;
  readonly calls: number;
  /** What the sides grant each other. */
  readonly windows: readonly [client: number, server: number];
  readonly connectionWindow: number;
  readonly shrinks: boolean;
  readonly resets: boolean;
  readonly text: boolean;
  readonly ends: "no" | "drain" | "retire" | "cut";
}

const CONTENT = Buffer.from(Array.from({ length: 1 << 16 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));

function script(random: Random): Script {
  const pieces: Buffer[] = [];
  const count = Math.floor(random() * 5);
  for (let i = 0; i < count; i++) {
    const start = Math.floor(random() * 1000);
    const size = Math.floor(random() ** 3 * 60_000);
    pieces.push(CONTENT.subarray(start, start + size));
  }
  return { pieces, trailers: random() < 0.3, sent: 0, ended: false };
}

const wanted = ({ pieces }: Script): Buffer => Buffer.concat(pieces);
const sentSoFar = ({ pieces, sent }: Script): Buffer => Buffer.concat(pieces.slice(0, sent));

class Scenario {
  readonly pair: Pair;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #calls: Planned[];
  readonly #paused = new Set<() => void>();
  #opened = 0;
  /** No more is asked of the connection. */
  #ended = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#random = seededRandom(plan.seed);
    const { windows, connectionWindow, text } = plan;
    const options: PairOptions = {
      client: { initialStreamWindowSize: windows[0], initialConnectionWindowSize: connectionWindow },
      server: { initialStreamWindowSize: windows[1], initialConnectionWindowSize: connectionWindow },
      text,
    };
    this.pair = new Pair(options);
    this.#calls = Array.from({ length: plan.calls }, () => ({
      request: script(this.#random),
      response: script(this.#random),
      client: null,
      server: null,
      answered: false,
      cut: false,
    }));
  }

  run(): void {
    for (let step = 0; step < 300; step++) this.#step();
    this.#finish();
    this.#check();
  }

  #pick<T>(among: readonly T[]): T | undefined {
    return among[Math.floor(this.#random() * among.length)];
  }

  #step(): void {
    const { pair } = this;
    const roll = this.#random();
    if (roll < 0.35) {
      pair.flush();
      const most = this.#random() < 0.3 ? 1 + Math.floor(this.#random() * 20) : Math.floor(this.#random() * 40_000) + 1;
      (this.#random() < 0.5 ? pair.clientSocket : pair.serverSocket).move(most);
    } else if (roll < 0.5) this.#open();
    else if (roll < 0.85) this.#send(this.#pick(this.#calls));
    else if (roll < 0.92) this.#pause(this.#pick(this.#calls));
    else if (roll < 0.95) {
      for (const resume of [...this.#paused]) resume();
    } else if (roll < 0.97) this.#shrink();
    else if (roll < 0.98) this.#reset(this.#pick(this.#calls));
    else if (roll < 0.985) this.#end();
    else pair.clock.advance(Math.floor(this.#random() * 30));
  }

  #open(): void {
    const call = this.#calls[this.#opened];
    if (call === undefined || this.pair.client.capacity <= 0) return;
    const id = this.#opened++;
    const { pieces, trailers } = call.request;
    const bodiless = pieces.length === 0 && !trailers;
    if (bodiless) call.request.ended = true;
    call.client = this.pair.call(`/${id}`, bodiless ? Body.none : Body.unbounded, {}, bodiless ? "GET" : "POST");
  }

  #find(): void {
    for (const served of this.pair.served) {
      const call = this.#calls[Number(served.head.path.slice(1))];
      if (call !== undefined && call.server === null) call.server = served;
    }
  }

  #send(call: Planned | undefined): void {
    if (call === undefined || call.client === null) return;
    this.#find();
    const { client, server } = call;
    if (this.#random() < 0.5) {
      if (client.over || call.cut) return;
      this.#advance(call.request, client.writable, {
        data: (bytes) => {
          client.writable = client.stream?.sendData(bytes) ?? true;
        },
        end: (trailers) => client.stream?.sendEnd(trailers),
      });
    } else if (server !== null && server.resets.length === 0 && !call.cut) {
      if (!call.answered) {
        call.answered = true;
        const head = new ResponseHead();
        head.status = 200;
        server.stream?.sendHead(head, Body.unbounded);
      }
      this.#advance(call.response, server.writable, {
        data: (bytes) => {
          server.writable = server.stream?.sendData(bytes) ?? true;
        },
        end: (trailers) => server.stream?.sendEnd(trailers),
      });
    }
  }

  #advance(
    script: Script,
    writable: boolean,
    to: { data(bytes: Buffer): void; end(trailers: ReturnType<typeof trailersOf> | null): void },
  ): void {
    if (script.ended) return;
    const piece = script.pieces[script.sent];
    if (piece !== undefined) {
      if (!writable) return;
      script.sent++;
      to.data(piece);
    } else {
      script.ended = true;
      to.end(script.trailers ? trailersOf({ "x-sum": String(wanted(script).length) }) : null);
    }
  }

  #pause(call: Planned | undefined): void {
    if (call === undefined || call.cut) return;
    const { client, server } = call;
    const stop = (reader: { paused: boolean }, pause: () => void, go: () => void): void => {
      pause();
      reader.paused = true;
      const resume = (): void => {
        this.#paused.delete(resume);
        reader.paused = false;
        go();
      };
      this.#paused.add(resume);
    };
    const down = server?.stream;
    const up = client?.stream;
    if (this.#random() < 0.5) {
      if (server !== null && down)
        stop(
          server,
          () => down.pauseRequest(),
          () => down.resumeRequest(),
        );
    } else if (client !== null && up)
      stop(
        client,
        () => up.pauseResponse(),
        () => up.resumeResponse(),
      );
  }

  /** Either side makes its windows smaller, to nothing at times, and takes it back later. */
  #shrink(): void {
    if (!this.#plan.shrinks) return;
    this.pair.flush();
    const [client, server] = this.#plan.windows;
    const size = (most: number): number => this.#pick([0, 1, 7, 1000, Math.floor(this.#random() * most)]) as number;
    if (this.#random() < 0.5) this.#tell("client", size(client));
    else this.#tell("server", size(server));
  }

  #tell(side: "client" | "server", window: number): void {
    const socket = side === "client" ? this.pair.clientSocket : this.pair.serverSocket;
    socket.inject(settingsFrame([Setting.initialWindowSize, window]));
  }

  #reset(call: Planned | undefined): void {
    if (!this.#plan.resets || call === undefined || call.client === null || call.cut) return;
    if (this.#random() < 0.5) {
      if (call.client.over) return;
      call.cut = true;
      call.client.stream?.cancel();
    } else if (call.server !== null && !call.server.resets.length && !call.response.ended) {
      call.cut = true;
      call.server.stream?.abort();
    }
  }

  #end(): void {
    if (this.#ended) return;
    const { ends } = this.#plan;
    this.#ended = ends !== "no";
    if (ends === "drain") this.pair.server.drain(100);
    else if (ends === "retire") this.pair.client.retire();
    else if (ends === "cut") this.pair.clientSocket.destroy();
  }

  /** Everybody does what is left of his part. */
  #finish(): void {
    const { pair } = this;
    if (this.#plan.shrinks) {
      pair.flush();
      this.#tell("client", this.#plan.windows[0]);
      this.#tell("server", this.#plan.windows[1]);
    }
    for (let round = 0; round < 3000; round++) {
      this.#open();
      for (const resume of [...this.#paused]) resume();
      for (const call of this.#calls) {
        this.#send(call);
        this.#send(call);
      }
      pair.settle(1 + Math.floor(this.#random() * 20_000));
      if (this.#quiet()) break;
    }
    pair.settle();
    if (this.#plan.ends === "drain") pair.clock.advance(150);
    pair.settle();
  }

  #quiet(): boolean {
    const { client, server } = this.pair;
    if (client.activeStreams + server.activeStreams > 0) return false;
    return this.#ended || this.#opened === this.#calls.length;
  }

  #check(): void {
    const { pair } = this;
    const { client, server } = pair;
    assert.deepEqual([client.activeStreams, server.activeStreams], [0, 0]);
    assert.deepEqual([pair.clientStats.streams_active, pair.serverStats.streams_active], [0, 0]);
    for (const call of this.#calls) if (call.client !== null) this.#checkCall(call, call.client);
    if (!this.#ended) {
      // Nobody has found fault with the other: no window was exceeded.
      assert.deepEqual([pair.clientStats.goaway_sent, pair.serverStats.goaway_sent], [0, 0]);
      pair.clientSocket.destroy();
    }
    pair.settle();
    pair.clock.advance(1000);
    pair.settle();
    assert.deepEqual([pair.clientClosed, pair.serverClosed], [1, 1]);
    assert.deepEqual([pair.clientStats.connections_active, pair.serverStats.connections_active], [0, 0]);
    assert.equal(pair.wheel.size, 0);
  }

  #checkCall(call: Planned, client: ClientCall): void {
    const { server } = call;
    const broken = call.cut || this.#plan.ends === "cut";
    assert.ok(client.ends + client.resets.length <= 1);
    assert.ok(server === null || server.endedLater <= 1);
    // Who refuses a request has not begun with it.
    if (client.failure === "refused_stream") assert.equal(server, null);
    if (server !== null) assert.ok(server.ends <= 1 && server.resets.length <= 1);
    if (broken || client.failure === "refused_stream") {
      // What came is the beginning of what was sent.
      if (server !== null) {
        assert.ok(sentSoFar(call.request).subarray(0, server.content.length).equals(server.content));
        assert.ok(sentSoFar(call.response).subarray(0, client.content.length).equals(client.content));
      }
      return;
    }
    assert.ok(server !== null);
    assert.deepEqual(client.resets, []);
    assert.equal(client.ends, 1);
    assert.ok(client.content.equals(wanted(call.response)));
    const sum = call.response.trailers ? String(wanted(call.response).length) : null;
    assert.equal(client.trailers?.get("x-sum") ?? null, sum);
    // The answer may have ended before the request: then the rest of it was not wanted.
    if (server.ends === 1) {
      assert.ok(server.content.equals(wanted(call.request)));
      if (call.request.trailers) assert.equal(server.trailers?.get("x-sum"), String(server.content.length));
    } else assert.ok(wanted(call.request).subarray(0, server.content.length).equals(server.content));
  }
}

/** Envoy takes no smaller ones: a peer may use 65,535 until it has heard of them. */
const window = fc.constantFrom(65_535, 70_001, 1 << 20);

const plan: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(),
  calls: fc.integer({ min: 1, max: 12 }),
  windows: fc.tuple(window, window),
  connectionWindow: fc.constantFrom(65_535, 100_000, 1 << 24),
  shrinks: fc.boolean(),
  resets: fc.boolean(),
  text: fc.boolean(),
  ends: fc.constantFrom("no", "drain", "retire", "cut"),
});

test("bytes that come while others are handled are handled after them", () => {
  const pair = new Pair();
  const call = pair.call("/", Body.unbounded, {}, "POST");
  pair.settle();
  const server = pair.served[0] as ServerCall;
  const { onRequestData } = server;
  // A write to a TLS socket may bring more of what it has received at once.
  let nested = [data(1, "b"), data(1, "c", Flag.endStream)];
  server.onRequestData = (bytes: Buffer): void => {
    const [first, ...rest] = nested;
    nested = rest;
    if (first !== undefined) pair.serverSocket.emit("data", first);
    onRequestData.call(server, bytes);
  };
  pair.serverSocket.emit("data", Buffer.concat([data(1, "a"), data(1, "A")]));
  assert.deepEqual([server.content.toString(), server.ends, call.resets], ["aAbc", 1, []]);
});

test("a reader may stop and go on in the middle of what it is handed", () => {
  const pair = new Pair();
  pair.call("/", Body.unbounded, {}, "POST");
  pair.settle();
  const server = pair.served[0] as ServerCall;
  server.stream?.pauseRequest();
  pair.serverSocket.emit("data", Buffer.concat([data(1, "a".repeat(9000)), data(1, "b"), data(1, "", Flag.endStream)]));
  assert.equal(server.content.length, 0);
  const { onRequestData } = server;
  server.onRequestData = (bytes: Buffer): void => {
    server.stream?.pauseRequest();
    server.stream?.resumeRequest();
    onRequestData.call(server, bytes);
  };
  server.stream?.resumeRequest();
  assert.deepEqual([server.content.toString(), server.ends], [`${"a".repeat(9000)}b`, 1]);
});

test("whatever comes between two peers, each call ends once, and what it carried is what was sent", () => {
  fc.assert(
    fc.property(plan, (chosen) => new Scenario(chosen).run()),
    { numRuns: 300 },
  );
});
