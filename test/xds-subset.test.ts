/**
 * The subset of Envoy's messages is what it says it is: every name, number, type, label and enum value is Envoy's. The
 * same comparison keeps `xds/unsupported-fields.ts`: `npm test -- --update test/xds-subset.test.ts` writes that file anew.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { DescEnum, DescField, DescMessage, DescMethod, FileRegistry } from "@bufbuild/protobuf";
import { HARMLESS_FIELDS } from "../xds/harmless.ts";
import { UNSUPPORTED_FIELDS } from "../xds/unsupported-fields.ts";
import { fullRegistry, subsetRegistry } from "./full-protos.ts";

/**
 * Newer than the full protos at hand; each was tried on Envoy 1.40, in binary form, and read back from its config dump,
 * or found with this number and type in the descriptors inside its program.
 */
const NEWER: ReadonlySet<string> = new Set([
  "envoy.config.accesslog.v3.ComparisonFilter.Op: 3 NE",
  "envoy.config.core.v3.HttpProtocolOptions: 7 message google.protobuf.UInt32Value max_response_headers_kb",
  "envoy.config.core.v3.Http2ProtocolOptions: 17 message google.protobuf.UInt64Value max_metadata_size",
  "envoy.config.core.v3.Http2ProtocolOptions: 18 message google.protobuf.BoolValue enable_huffman_encoding",
  "envoy.config.core.v3.Http2ProtocolOptions: 19 message google.protobuf.UInt32Value max_header_field_size_kb",
  "envoy.config.core.v3.Http2ProtocolOptions: 20 message google.protobuf.BoolValue disallow_obs_text",
  "envoy.config.core.v3.Http2ProtocolOptions: 21 message google.protobuf.UInt64Value stream_reset_burst",
  "envoy.config.core.v3.Http2ProtocolOptions: 22 message google.protobuf.UInt64Value stream_reset_rate",
  "envoy.config.core.v3.SocketAddress: 7 scalar 9 network_namespace_filepath",
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions: 3 scalar 8 flush_access_log_on_start",
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy: 18 message envoy.config.core.v3.BackoffStrategy backoff_options",
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy: 20 message envoy.type.v3.Percent max_downstream_connection_duration_jitter_percentage",
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy: 21 enum envoy.extensions.filters.network.tcp_proxy.v3.UpstreamConnectMode upstream_connect_mode",
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy: 22 message google.protobuf.UInt32Value max_early_data_bytes",
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy: 24 message google.protobuf.BoolValue check_drain_close",
  "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext: 6 scalar 8 auto_host_sni",
  "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext: 7 scalar 8 auto_sni_san_validation",
]);

/** Messages and enums that are newer as a whole, tried in the same way. */
const NEWER_TYPES: ReadonlySet<string> = new Set([
  "envoy.extensions.clusters.common.dns.v3.DnsLookupFamily",
  "envoy.extensions.clusters.dns.v3.DnsCluster",
  "envoy.extensions.clusters.dns.v3.DnsCluster.RefreshRate",
  "envoy.extensions.filters.network.tcp_proxy.v3.UpstreamConnectMode",
]);

const subset = subsetRegistry();
const full = fullRegistry();

test("every message and field of the subset is Envoy's", () => {
  const wrong: string[] = [];
  for (const message of messagesOf(subset)) {
    if (NEWER_TYPES.has(message.typeName)) continue;
    const original = full.getMessage(message.typeName);
    if (!original) {
      wrong.push(`no message ${message.typeName}`);
      continue;
    }
    const known = new Set(original.fields.map(describeField));
    for (const field of message.fields.map(describeField)) {
      if (!known.has(field) && !NEWER.has(`${message.typeName}: ${field}`)) wrong.push(`${message.typeName}: ${field}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("every enum value of the subset is Envoy's", () => {
  const wrong: string[] = [];
  for (const desc of enumsOf(subset)) {
    if (NEWER_TYPES.has(desc.typeName)) continue;
    const known = new Set(full.getEnum(desc.typeName)?.values.map((value) => `${value.number} ${value.name}`));
    for (const value of desc.values.map((item) => `${item.number} ${item.name}`)) {
      if (!known.has(value) && !NEWER.has(`${desc.typeName}: ${value}`)) wrong.push(`${desc.typeName}: ${value}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("every method of the subset is Envoy's", () => {
  const wrong: string[] = [];
  for (const service of subset) {
    if (service.kind !== "service" || isIstios(service.typeName)) continue;
    const known = new Set(full.getService(service.typeName)?.methods.map(describeMethod));
    for (const method of service.methods.map(describeMethod)) {
      if (!known.has(method)) wrong.push(`${service.typeName}: ${method}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("what is left out is known by name", () => {
  const left: Record<string, string> = {};
  for (const message of messagesOf(subset)) {
    const declared = new Set(message.fields.map((field) => field.number));
    const missing = (full.getMessage(message.typeName)?.fields ?? []).filter((field) => !declared.has(field.number));
    if (missing.length > 0) left[message.typeName] = missing.map((field) => `${field.number}:${field.name}`).join(" ");
  }
  const sorted = Object.fromEntries(Object.entries(left).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (process.env["UPDATE"] === "1") {
    writeUnsupported(sorted);
    return;
  }
  assert.deepEqual(UNSUPPORTED_FIELDS, sorted);
});

test("every harmless field is declared in the subset", () => {
  const wrong: string[] = [];
  for (const [name, fields] of Object.entries(HARMLESS_FIELDS)) {
    const declared = new Set(subset.getMessage(name)?.fields.map((field) => field.name));
    for (const field of Object.keys(fields)) if (!declared.has(field)) wrong.push(`${name}.${field}`);
  }
  assert.deepEqual(wrong, []);
});

/** As the formatter would have it. */
const LINE_WIDTH = 120;

function writeUnsupported(fields: Readonly<Record<string, string>>): void {
  const file = path.join(import.meta.dirname, "..", "xds", "unsupported-fields.ts");
  const head = readFileSync(file, "utf8").split("= {")[0] ?? "";
  const lines = Object.entries(fields).map(([name, list]) => {
    const line = `  ${JSON.stringify(name)}: ${JSON.stringify(list)},\n`;
    return line.length <= LINE_WIDTH + 1 ? line : line.replace('": "', '":\n    "');
  });
  writeFileSync(file, `${head}= {\n${lines.join("")}};\n`);
}

function isIstios(name: string): boolean {
  return name.startsWith("istio.");
}

function* messagesOf(registry: FileRegistry): Iterable<DescMessage> {
  for (const desc of registry) {
    if (desc.kind === "message" && !isIstios(desc.typeName) && !desc.typeName.startsWith("google.protobuf."))
      yield desc;
  }
}

function* enumsOf(registry: FileRegistry): Iterable<DescEnum> {
  for (const desc of registry) if (desc.kind === "enum" && !desc.typeName.startsWith("google.protobuf.")) yield desc;
}

/** `12 list message envoy.x.Y name oneof`: everything that decides about the wire and the JSON form. */
function describeField(field: DescField): string {
  const parts: (string | number | undefined)[] = [field.number, field.fieldKind];
  if (field.fieldKind === "list") parts.push(field.listKind);
  if (field.fieldKind === "map") parts.push(field.mapKey, field.mapKind);
  parts.push(field.message?.typeName ?? field.enum?.typeName ?? field.scalar, field.name, field.oneof?.name);
  return parts.filter((part) => part !== undefined).join(" ");
}

function describeMethod(method: DescMethod): string {
  return `${method.name} ${method.methodKind} ${method.input.typeName} ${method.output.typeName}`;
}
