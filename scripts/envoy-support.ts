/**
 * `docs/envoy-support.md`, made from what decides at run time: the message subset, the list of harmless fields, the list
 * of fields that the subset leaves out, and the refusals in `xds/`. `test/envoy-support.test.ts` holds the page to it.
 */
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { BootstrapSchema } from "../generated/envoy/config/bootstrap/v3/bootstrap_pb.js";
import { HARMLESS_FIELDS, HARMLESS_TYPES } from "../xds/harmless.ts";
import { EXTENSION_TYPES } from "../xds/registry.ts";
import { UNSUPPORTED_FIELDS } from "../xds/unsupported-fields.ts";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** In the order in which the page has them; a message belongs to the first that its name begins with. */
const SECTIONS: readonly (readonly [title: string, ...prefixes: string[]])[] = [
  ["Bootstrap", "envoy.config.bootstrap."],
  ["Listeners", "envoy.config.listener.", "envoy.extensions.filters.listener."],
  ["HTTP connection manager", "envoy.extensions.filters.network.http_connection_manager."],
  ["Filters", "envoy.extensions.filters.", "envoy.config.rbac."],
  ["Routes", "envoy.config.route.", "envoy.extensions.retry."],
  ["Clusters", "envoy.config.cluster.", "envoy.extensions.clusters.", "envoy.extensions.load_balancing_policies."],
  ["Upstream HTTP", "envoy.extensions.upstreams."],
  ["Endpoints", "envoy.config.endpoint."],
  ["TLS", "envoy.extensions.transport_sockets."],
  ["Access logs", "envoy.config.accesslog.", "envoy.extensions.access_loggers."],
  ["Tracing", "envoy.config.trace.", "envoy.type.tracing."],
  ["Shared messages", "envoy.", "xds.", "udpa."],
];

/** Where people look for a feature first, and what would have to be in `typed_config` for it. */
const NOT_YET: readonly (readonly [feature: string, type: string])[] = [
  ["CORS", "envoy.extensions.filters.http.cors.v3.Cors"],
  ["JWT", "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"],
  ["external authorization", "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"],
  ["local rate limits", "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"],
  ["global rate limits", "envoy.extensions.filters.http.ratelimit.v3.RateLimit"],
  ["gRPC-Web", "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"],
  ["compression", "envoy.extensions.filters.http.compressor.v3.Compressor"],
  ["Lua", "envoy.extensions.filters.http.lua.v3.Lua"],
  ["Wasm", "envoy.extensions.filters.http.wasm.v3.Wasm"],
  ["OpenTelemetry access logs", "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig"],
];

/** A refusal of something that the subset declares: the field as the code names it, and the sentence. */
interface Refusal {
  readonly field: string;
  readonly sentence: string;
}

/** The whole page. */
export function envoySupport(): string {
  const messages = reachable();
  const refusals = refusalsByMessage(messages);
  const parts = [INTRODUCTION, extensions()];
  for (const [title, ...prefixes] of SECTIONS) {
    const own = messages.filter(({ typeName }) => sectionOf(typeName) === title && prefixes.length > 0);
    if (own.length === 0) continue;
    parts.push(`## ${title}`, ...own.map((message) => describe(message, refusals.get(message.typeName) ?? [])));
  }
  return `${parts.join("\n\n")}\n`;
}

const INTRODUCTION = `# Envoy's configuration: what is supported

*Generated from the code by \`npm test -- --update test/envoy-support.test.ts\`; the same test fails where page and code differ.*

Whatever this page does not list is refused, in a bootstrap file as in a NACK to a control plane, with the name of the resource, the path of the field and, in files, line and column. Nothing is skipped silently. What is *accepted and ignored* is noted to whoever sent it (\`--mode validate\` prints the notes), and changes nothing that a caller, an application or an operator could rely on. Behaviour that differs although the field is supported is in [differences-from-envoy.md](differences-from-envoy.md).`;

function extensions(): string {
  const understood = EXTENSION_TYPES.map(({ typeName }) => `- \`${typeName}\``).sort();
  const ignored = Object.entries(HARMLESS_TYPES).map(([name, reason]) => `| \`${name}\` | ${reason} |`);
  const known = new Set<string>([...EXTENSION_TYPES.map(({ typeName }) => typeName), ...Object.keys(HARMLESS_TYPES)]);
  const missing = NOT_YET.filter(([, type]) => !known.has(type)).map(
    ([feature, type]) => `| ${feature} | \`${type}\` |`,
  );
  return [
    "## Types in `typed_config`",
    "Understood, each where Envoy allows it, by type URL and not by name:",
    understood.join("\n"),
    "Accepted and ignored wherever a list of extensions stands:",
    ["| type | reason |", "| --- | --- |", ...ignored].join("\n"),
    "HTTP/1 and HTTP/2 are spoken on both sides; HTTP/3 is refused. How the limits of HTTP/2 are understood is in [http2.md](http2.md#limits-and-floods).",
    "Refused, like every other type. Those that people look for first:",
    ["| feature | type |", "| --- | --- |", ...missing].join("\n"),
  ].join("\n\n");
}

/** Every message whose content is looked at, from the bootstrap and the extension types down. */
function reachable(): DescMessage[] {
  const found = new Map<string, DescMessage>();
  const queue: DescMessage[] = [BootstrapSchema, ...EXTENSION_TYPES];
  for (let message = queue.pop(); message !== undefined; message = queue.pop()) {
    if (found.has(message.typeName) || message.typeName.startsWith("google.protobuf.")) continue;
    found.set(message.typeName, message);
    for (const field of message.fields) {
      if (field.message && !HARMLESS_FIELDS[message.typeName]?.[field.name]) queue.push(field.message);
    }
  }
  return [...found.values()].sort((a, b) => (a.typeName < b.typeName ? -1 : 1));
}

function sectionOf(typeName: string): string {
  for (const [title, ...prefixes] of SECTIONS) {
    if (prefixes.some((prefix) => typeName.startsWith(prefix))) return title;
  }
  throw new Error(`${typeName} belongs to no section`);
}

function describe(message: DescMessage, refusals: readonly Refusal[]): string {
  const harmless = HARMLESS_FIELDS[message.typeName] ?? {};
  const refusedByCode = new Set(refusals.map(({ field }) => field));
  const supported = message.fields
    .filter(({ name }) => harmless[name] === undefined && !refusedByCode.has(name))
    .map(({ name, enum: values }) => `\`${name}\`${values ? refusedValues(values) : ""}`);
  const left = (UNSUPPORTED_FIELDS[message.typeName] ?? "").split(" ").filter(Boolean);
  const lines = [
    supported.length > 0 ? `Supported: ${supported.join(", ")}` : "",
    ...refusals.map(({ field, sentence }) =>
      sentence.startsWith("is ")
        ? `- \`${field}\` ${sentence}; its default is accepted`
        : `- \`${field}\`: ${sentence}`,
    ),
    ...Object.entries(harmless).map(([field, reason]) => `- \`${field}\` is ignored: ${reason}`),
    left.length > 0 ? `- Refused: ${left.map((item) => `\`${item.slice(item.indexOf(":") + 1)}\``).join(", ")}` : "",
  ].filter(Boolean);
  const short = message.typeName.replace(/^envoy\./, "");
  if (lines.length === 0) lines.push("Has no fields.");
  const [first = "", ...rest] = lines;
  return `### ${short}\n\n${[first, ...(rest.length > 0 ? [rest.join("\n")] : [])].join("\n\n")}`;
}

/** The values that a decoder does not take: those that it never names. */
function refusedValues(values: DescEnum): string {
  const own = decoders().filter(({ text }) => text.includes(`wordOf(`) && imports(text, values, "Schema"));
  if (own.length === 0) return "";
  const refused = values.values.filter(
    ({ name, localName }) =>
      !/UNSPECIFIED|DEPRECATED/.test(name) && !own.some(({ text }) => text.includes(`.${localName}]`)),
  );
  return refused.length === 0 ? "" : ` (not ${refused.map(({ name }) => name).join(", ")})`;
}

/**
 * Finds `at.field("x").error("… not supported …")` in the decoders. A field of that name in a message that the decoder's
 * file imports is the one that is meant; `a.b` is the field `b` of the message in a field `a`.
 */
function refusalsByMessage(messages: readonly DescMessage[]): Map<string, Refusal[]> {
  const found = new Map<string, Refusal[]>();
  for (const { file, text } of decoders()) {
    const pattern = /\.field\("([\w.]+)"\)\s*\.error\(\s*"([^"]*not supported[^"]*|is only for clusters)"/g;
    for (const [, at = "", sentence = ""] of text.matchAll(pattern)) {
      const [first = "", ...rest] = at.split(".");
      let owners = messages.filter((message) => fieldOf(message, first) && imports(text, message));
      if (owners.length === 0)
        owners = messages.filter(
          ({ parent, fields }) => fields.some(({ name }) => name === first) && parent && imports(text, parent),
        );
      let field = first;
      for (const next of rest) {
        owners = owners.flatMap((message) => fieldOf(message, field)?.message ?? []);
        field = next;
      }
      if (owners.length === 0) throw new Error(`${file}: no message with a field "${at}" is imported there`);
      for (const typeName of new Set(owners.map((owner) => owner.typeName))) {
        const known = found.get(typeName) ?? [];
        if (!known.some((other) => other.field === field)) found.set(typeName, [...known, { field, sentence }]);
      }
    }
  }
  return found;
}

function fieldOf(message: DescMessage, name: string): DescField | undefined {
  return message.fields.find((field) => field.name === name);
}

/** The modules of `xds/` with their text, without their tests. */
function decoders(): readonly { readonly file: string; readonly text: string }[] {
  sources ??= globSync("xds/**/*.ts", { cwd: root, exclude: ["xds/testing/**", "xds/**/*.test.ts"] })
    .sort()
    .map((file) => ({ file, text: readFileSync(path.join(root, file), "utf8") }));
  return sources;
}

let sources: readonly { readonly file: string; readonly text: string }[] | null = null;

function imports(text: string, desc: DescMessage | DescEnum, suffix = "(?:Schema)?"): boolean {
  const nested = desc.typeName.slice(desc.file.proto.package.length + 1).replaceAll(".", "_");
  return new RegExp(`\\b${nested}${suffix}\\b`).test(text) && text.includes(`${desc.file.name}_pb.js`);
}
