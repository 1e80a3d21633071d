/** Intercepted connections to what is not known, held by the virtual listener while the control plane is asked. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventClock } from "../core/clock.ts";
import { WatchCell } from "../core/watch.ts";
import type { Arrival } from "./listener/arrival.ts";
import { filterChain, InboundSubject, listenerOf, settle } from "./listener/testing/inbound-subject.ts";
import { OnDemand } from "./on-demand.ts";

function rig(registryOnly: boolean) {
  const asked: string[] = [];
  const absent = new WatchCell<ReadonlySet<string>>(new Set());
  const known = new Set<string>();
  const taken: Arrival[] = [];
  let onDemand: OnDemand | null = null;
  const listener = listenerOf({
    useOriginalDst: true,
    listenerFilters: [{ kind: "original_dst" }],
    filterChains: [],
    defaultFilterChain: filterChain("rest"),
    outrigger: {
      service: null,
      httpProxy: false,
      multiplex: false,
      virtual: { kind: "outbound", registryOnly },
      onDemand: { timeoutMs: 2000, virtualHost: "" },
    },
  });
  const subject = new InboundSubject(listener, {
    original: () => ({ host: "10.96.0.7", port: 80 }),
    handOver: (arrival) => {
      if (!known.has(arrival.destinationAddress)) return false;
      taken.push(arrival);
      return true;
    },
    onDemand: ({ clock, wheel }) => {
      const names = { ask: (name: string) => void asked.push(name), absent };
      onDemand = new OnDemand(names, new EventClock(clock), wheel, () => undefined);
      return onDemand;
    },
  });
  const look = (): void => onDemand?.look();
  return { subject, asked, absent, known, taken, look };
}

describe("a held connection", () => {
  test("is handed over when its listener is there, with all that its client has said meanwhile", async () => {
    const { subject, asked, known, taken, look } = rig(false);
    const client = subject.connect();
    assert.deepEqual(asked, ["on-demand|10.96.0.7:80"]);
    client.say("GET / HTTP/1.1\r\n");
    await settle();
    assert.deepEqual([subject.inbound.open, subject.services.length], [1, 0]);
    known.add("10.96.0.7");
    look();
    assert.equal(taken[0]?.destinationAddress, "10.96.0.7");
    assert.deepEqual([subject.inbound.open, subject.services.length], [0, 0]);
    const said: string[] = [];
    taken[0]?.socket.on("data", (bytes: Buffer) => said.push(bytes.toString("latin1")));
    await settle();
    assert.deepEqual(said, ["GET / HTTP/1.1\r\n"]);
    // What is known is not asked for.
    subject.connect();
    assert.deepEqual([taken.length, asked.length], [2, 1]);
  });

  test("goes where the egress policy says, once there is said to be nothing", () => {
    for (const registryOnly of [false, true]) {
      const { subject, absent } = rig(registryOnly);
      subject.connect();
      assert.equal(subject.services.length, 0);
      absent.set(new Set(["on-demand|10.96.0.7:80"]));
      assert.equal(subject.services[0]?.chain, "rest");
      subject.connect();
      assert.equal(subject.services.length, 2);
      const reasons = subject.refused.map(({ reason }) => reason);
      assert.deepEqual(reasons, registryOnly ? ["registry_only", "registry_only"] : []);
    }
  });

  test("goes there too when nobody has answered, and a refusal says so", () => {
    for (const registryOnly of [false, true]) {
      const { subject } = rig(registryOnly);
      subject.connect();
      subject.clock.advance(2100);
      assert.equal(subject.services[0]?.chain, "rest");
      subject.connect();
      assert.equal(subject.services.length, 2);
      const explanation =
        "the control plane has not said in time whether 10.96.0.7:80 is a service of the mesh, and the egress policy allows nothing else";
      const refusal = { reason: "unanswered", explanation };
      assert.deepEqual(subject.refused, registryOnly ? [refusal, refusal] : []);
    }
  });

  test("whose client leaves is forgotten, and so are all at the end", async () => {
    const { subject, look, known, taken } = rig(false);
    const client = subject.connect();
    client.destroy();
    await settle();
    assert.equal(subject.inbound.open, 0);
    assert.deepEqual(
      subject.logged.map(({ what }) => what),
      ["unserved"],
    );
    const other = subject.connect();
    subject.inbound.close();
    await settle();
    assert.deepEqual([other.destroyed, subject.inbound.open], [true, 0]);
    known.add("10.96.0.7");
    look();
    assert.deepEqual(taken, []);
  });
});
