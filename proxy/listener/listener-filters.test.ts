import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Listener, PortPredicate } from "../../model/listener.ts";
import { Arrival } from "./arrival.ts";
import { runSteps } from "./intake.ts";
import { compileListenerFilters, includesPort, restoresDestination } from "./listener-filters.ts";
import { filterChain, listenerOf, PlayedSocket } from "./testing/inbound-subject.ts";

const ELSEWHERE = { of: () => ({ host: "192.0.2.7", port: 443 }) };
const OWN = { service: null, httpProxy: false, multiplex: false } as const;

/** What the filters of a listener make of a client that said this; null where they want more. */
function look(listener: Listener, said: string | Buffer): Arrival | null {
  const from = { host: "10.0.0.1", port: 1 };
  const arrival = new Arrival(new PlayedSocket(from, { host: "127.0.0.1", port: 15_001 }).asSocket);
  if (said.length > 0) arrival.take(Buffer.from(said as string));
  const steps = compileListenerFilters(listener, ELSEWHERE);
  return runSteps(steps, 0, arrival) === steps.length ? arrival : null;
}

describe("listener filters", () => {
  test("come by themselves where the rest of the configuration needs them", () => {
    assert.equal(look(listenerOf(), "")?.restored, false);
    const handing = listenerOf({ useOriginalDst: true });
    assert.equal(restoresDestination(handing), true);
    assert.equal(look(handing, "")?.destinationAddress, "192.0.2.7");
    const named = listenerOf({ filterChains: [filterChain("a", { serverNames: ["a.test"] })] });
    assert.equal(look(named, ""), null, "waits for a ClientHello");
    assert.equal(look(named, "\0")?.transportProtocol, "raw_buffer");
    assert.equal(restoresDestination(named), false);
  });

  test("judge plaintext by Envoy's ideas, or by those of Outrigger's own configuration", () => {
    const listenerFilters = [{ kind: "http_inspector" }] as const;
    assert.deepEqual(look(listenerOf({ listenerFilters }), "GET /key\r\n")?.applicationProtocols, ["http/1.0"]);
    assert.deepEqual(look(listenerOf({ listenerFilters, outrigger: OWN }), "GET /key\r\n")?.applicationProtocols, []);
    // An unfinished word that no method begins with.
    assert.equal(look(listenerOf({ listenerFilters }), "EHLO"), null);
    assert.deepEqual(look(listenerOf({ listenerFilters, outrigger: OWN }), "EHLO")?.applicationProtocols, []);
  });

  test("do not run for ports for which they are disabled; the port is the restored one", () => {
    const disabled: PortPredicate = { kind: "ports", start: 443, end: 444 };
    const skipped = listenerOf({ listenerFilters: [{ kind: "original_dst" }, { kind: "tls_inspector", disabled }] });
    assert.notEqual(look(skipped, ""), null);
    const before = listenerOf({ listenerFilters: [{ kind: "tls_inspector", disabled }, { kind: "original_dst" }] });
    assert.equal(look(before, ""), null);
  });
});

test("ports are told by ranges that end before their end, and by what is made of them", () => {
  const ports: PortPredicate = { kind: "ports", start: 80, end: 82 };
  const odd: PortPredicate = { kind: "ports", start: 81, end: 82 };
  const which = (predicate: PortPredicate): number[] =>
    [79, 80, 81, 82].filter((port) => includesPort(predicate, port));
  assert.deepEqual(which({ kind: "any" }), [79, 80, 81, 82]);
  assert.deepEqual(which(ports), [80, 81]);
  assert.deepEqual(which({ kind: "and", of: [ports, { kind: "not", of: odd }] }), [80]);
  assert.deepEqual(which({ kind: "or", of: [odd, { kind: "ports", start: 79, end: 80 }] }), [79, 81]);
});
