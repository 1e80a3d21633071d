/**
 * What happened in a case as lines of text, so that two proxies can be compared line by line: responses, connections,
 * what the upstream saw, access logs. What no two runs share (dates, ids, ports) is reduced to its presence.
 */
import type { ConnectionReport } from "./client.ts";
import type { HttpText } from "./http-text.ts";
import type { UpstreamCall } from "./upstream.ts";

/** Numbers of ports to names. */
export type PortNames = ReadonlyMap<string, string>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const DYNAMIC: Readonly<Record<string, (value: string) => string>> = {
  date: () => "(date)",
  "x-request-id": (value) => (UUID.test(value) ? "(uuid)" : value),
  "x-envoy-upstream-service-time": (value) => (/^\d+$/.test(value) ? "(ms)" : value),
};

const TIME_LEFT = /^( {2}x-envoy-expected-rq-timeout-ms: )\d+$/;

/** Bodies longer than this are shown by their ends. */
const SHOWN = 400;

export function renderConnection(report: ConnectionReport, label: string): string[] {
  const lines: string[] = [];
  if (report.tls !== "") lines.push(`${label}tls: ${report.tls}`);
  for (const response of report.responses) {
    if (response === "no answer") lines.push(`${label}no answer`);
    else lines.push(...renderMessage(response).map((line) => `${label}< ${line}`));
  }
  lines.push(`${label}connection: ${report.outcome}`);
  return lines;
}

export function renderCall(call: UpstreamCall, number: number): string[] {
  const label = `${call.upstream} ${number}> `;
  const request = renderMessage(call.request);
  // Later attempts have less time left; how much less is chance.
  const lines = request.map((line) => label + (number > 1 ? line.replace(TIME_LEFT, "$1(the rest)") : line));
  if (call.tls !== "") lines.push(`${label}tls: ${call.tls}`);
  if (call.tunnel !== "") lines.push(`${label}tunnel: ${JSON.stringify(call.tunnel)}`);
  return lines;
}

function renderMessage(message: HttpText): string[] {
  const lines = [message.startLine];
  lines.push(...renderFields(message.headers));
  const { body } = message;
  if (body.length > 0 || !message.complete || message.framing === "close") {
    const text = body.toString("latin1");
    const shown = text.length > SHOWN ? `${text.slice(0, 40)}…${text.slice(-40)}` : text;
    lines.push(`  ${message.complete ? "" : "cut "}${message.framing} ${body.length}: ${JSON.stringify(shown)}`);
  }
  lines.push(...renderFields(message.trailers).map((line) => `  trailer${line}`));
  return lines;
}

/** Sorted by name in lower case; values of one name keep their order. */
function renderFields(headers: HttpText["headers"]): string[] {
  return headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `  ${name}: ${DYNAMIC[name]?.(value) ?? value}`);
}

/** Ports of this run, wherever they stand, become names. */
export function namePorts(line: string, names: PortNames): string {
  return line.replaceAll(/\b\d{4,5}\b/g, (number) => names.get(number) ?? number);
}
