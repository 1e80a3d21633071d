import assert from "node:assert/strict";
import { test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { formatProblem } from "../core/errors.ts";
import { ListenerSchema } from "../generated/envoy/config/listener/v3/listener_pb.js";
import type { Listener } from "../model/listener.ts";
import { decodeBytes } from "./codec.ts";
import { decodeListener, encodeListener, listenerCodec } from "./listener.ts";
import { listener as arbitraryListener } from "./testing/arbitrary-listener.ts";
import { any, chain, hcm, type Json, listener, named } from "./testing/bootstrap-json.ts";
import { accepted, decodeJson } from "./testing/decode-json.ts";
import { assertRoundTrip, NO_WORLD } from "./testing/round-trip.ts";

const value = (fields: Json): Listener => accepted(decodeJson(ListenerSchema, listener(fields), decodeListener)).value;

test("a listener survives the way to bytes and back", () => {
  fc.assert(
    fc.property(arbitraryListener, (given) => assertRoundTrip(listenerCodec, given)),
    { numRuns: 60 },
  );
});

test("what is not given has Envoy's defaults", () => {
  const { filterChains, ...rest } = value({});
  assert.deepEqual(rest, {
    name: "l",
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    statPrefix: "",
    bindToPort: true,
    trafficDirection: "unspecified",
    listenerFilters: [],
    listenerFiltersTimeoutMs: 15_000,
    continueOnListenerFiltersTimeout: false,
    defaultFilterChain: null,
    perConnectionBufferLimitBytes: 1024 * 1024,
    accessLogs: [],
    tcpBacklogSize: 128,
    reusePort: true,
    outrigger: null,
  });
  assert.equal(filterChains.length, 1);
  const [{ filters, ...only } = { filters: [] }] = filterChains;
  assert.equal(filters.length, 1);
  assert.deepEqual(only, {
    name: "",
    match: {
      destinationPort: null,
      prefixRanges: [],
      serverNames: [],
      transportProtocol: "",
      applicationProtocols: [],
      sourceType: "any",
      sourcePrefixRanges: [],
      sourcePorts: [],
    },
    tls: null,
    transportSocketConnectTimeoutMs: 0,
  });
});

test("a listener without a name is known by its address", () => {
  assert.equal(value({ name: undefined }).name, "127.0.0.1:0");
});

test("a listener may be told not to bind in two ways", () => {
  assert.equal(value({ bind_to_port: false }).bindToPort, false);
  assert.equal(value({ deprecated_v1: { bind_to_port: false } }).bindToPort, false);
});

test("the control plane says which service a listener stands for", () => {
  const service = { name: "orders", namespace: "shop", port: 80, port_name: "http" };
  assert.deepEqual(
    value({ metadata: { filter_metadata: { outrigger: { service, http_proxy: true, multiplex: true } } } }).outrigger,
    {
      service: { name: "orders", namespace: "shop", port: 80, portName: "http" },
      httpProxy: true,
      multiplex: true,
    },
  );
});

test("the control plane says how a protocol is found, and which listeners intercepted connections come to", () => {
  const extension = (outrigger: Json): Listener["outrigger"] =>
    value({ metadata: { filter_metadata: { outrigger } } }).outrigger;
  assert.deepEqual(extension({ detection: { server_first_after_ms: 50 } })?.detection, { serverFirstAfterMs: 50 });
  assert.deepEqual(extension({ virtual: { kind: "outbound", registry_only: true } })?.virtual, {
    kind: "outbound",
    registryOnly: true,
  });
  assert.deepEqual(extension({ virtual: { kind: "inbound" } })?.virtual, { kind: "inbound" });
  assert.deepEqual(extension({ on_demand: { virtual_host: "unknown" } })?.onDemand, {
    timeoutMs: 2000,
    virtualHost: "unknown",
  });
  assert.deepEqual(extension({ on_demand: { timeout_ms: 500 } })?.onDemand, { timeoutMs: 500, virtualHost: "" });
});

test("Envoy's names of what interception needs", () => {
  const predicate = { or_match: { rules: [{ destination_port_range: { start: 80, end: 81 } }, { any_match: true }] } };
  const inspector = named("i", any("extensions.filters.listener.http_inspector.v3.HttpInspector"));
  const { useOriginalDst, transparent, listenerFilters, address } = value({
    address: { socket_address: { address: "::1", port_value: 15001, network_namespace_filepath: "/proc/7/ns/net" } },
    use_original_dst: true,
    transparent: true,
    listener_filters: [
      named("o", any("extensions.filters.listener.original_dst.v3.OriginalDst")),
      { ...inspector, filter_disabled: predicate },
    ],
  });
  assert.deepEqual(
    { useOriginalDst, transparent, address },
    {
      useOriginalDst: true,
      transparent: true,
      address: { kind: "tcp", host: "::1", port: 15001, networkNamespace: "/proc/7/ns/net" },
    },
  );
  assert.deepEqual(listenerFilters, [
    { kind: "original_dst" },
    { kind: "http_inspector", disabled: { kind: "or", of: [{ kind: "ports", start: 80, end: 81 }, { kind: "any" }] } },
  ]);
});

test("what only Envoy needs is ignored, with its reason", () => {
  const { notes } = accepted(
    decodeJson(
      ListenerSchema,
      listener({
        connection_balance_config: { exact_balance: {} },
        drain_type: "MODIFY_ONLY",
        max_connections_to_accept_per_socket_event: 1,
        filter_chains: [chain([named("h", hcm({ codec_type: "HTTP1" }))])],
      }),
      decodeListener,
    ),
  );
  assert.deepEqual(
    notes.map((note) => note.split(": ").slice(0, 2).join(": ")),
    [
      "connection_balance_config: ignored",
      "drain_type: ignored",
      "max_connections_to_accept_per_socket_event: ignored",
    ],
  );
});

test("a filter that may be left out is, and the rest stays in its place", () => {
  const exchange = named("x", { "@type": "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange" });
  const rbac = named("r", any("extensions.filters.network.rbac.v3.RBAC", { stat_prefix: "s" }));
  const { filterChains } = value({ filter_chains: [chain([exchange, rbac, named("h", hcm())])] });
  assert.deepEqual(
    filterChains[0]?.filters.map(({ kind }) => kind),
    ["rbac", "http_connection_manager"],
  );
});

test("a field that the subset does not have is named, with the listener and its path", () => {
  const plain = toBinary(ListenerSchema, encodeListener(value({})));
  // api_listener, which is Envoy's but not ours, and a number that nobody knows.
  const extra = new BinaryWriter()
    .raw(plain)
    .tag(19, WireType.LengthDelimited)
    .bytes(new Uint8Array())
    .tag(9999, WireType.Varint)
    .uint32(1)
    .finish();
  const decoded = decodeBytes(listenerCodec, extra, NO_WORLD);
  assert.ok(!decoded.ok);
  assert.deepEqual(decoded.problems.map(formatProblem).toSorted(), [
    'listener "l": api_listener is not supported',
    'listener "l": unknown field #9999 of envoy.config.listener.v3.Listener',
  ]);
});

test("whatever the bytes, decoding answers and does not throw", () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(arbitraryListener, flips, fc.nat(), (given, changes, cut) => {
      const bytes = toBinary(ListenerSchema, encodeListener(given));
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      const decoded = decodeBytes(listenerCodec, bytes.subarray(0, bytes.length - (cut % 3)), NO_WORLD);
      assert.ok(decoded.ok || decoded.problems.length > 0);
    }),
    { numRuns: 200 },
  );
});
