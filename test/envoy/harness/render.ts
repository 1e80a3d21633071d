/**
 * What happened in a case as lines of text, so that two proxies can be compared line by line: responses, connections,
 * what the upstream saw, access logs.
 */
import type { ConnectionReport } from "./client.ts";
import { renderStreams } from "./http2/render.ts";
import { renderMessage } from "./render-message.ts";
import type { UpstreamCall } from "./upstream.ts";

/** Numbers of ports to names. */
export type PortNames = ReadonlyMap<string, string>;

const TIME_LEFT = /^( {2}x-envoy-expected-rq-timeout-ms: )\d+$/;

export function renderConnection(report: ConnectionReport, label: string): string[] {
  const lines: string[] = [];
  if (report.tls !== "") lines.push(`${label}tls: ${report.tls}`);
  for (const response of report.responses) {
    if (response === "no answer") lines.push(`${label}no answer`);
    else lines.push(...renderMessage(response).map((line) => `${label}< ${line}`));
  }
  if (report.http2 !== undefined) lines.push(...renderStreams(report.http2));
  lines.push(`${label}connection: ${report.outcome}`);
  return lines;
}

export function renderCall(call: UpstreamCall, number: number): string[] {
  const label = `${call.upstream} ${number}> `;
  const request = renderMessage(call.request);
  // Later attempts have less time left; how much less is chance.
  const lines = request.map((line) => label + (number > 1 ? line.replace(TIME_LEFT, "$1(the rest)") : line));
  if (call.tls !== "") lines.push(`${label}tls: ${call.tls}`);
  lines.push(...call.notes.map((note) => `${label}${note}`));
  if (call.tunnel !== "") lines.push(`${label}tunnel: ${JSON.stringify(call.tunnel)}`);
  return lines;
}

/** Ports of this run, wherever they stand, become names. */
export function namePorts(line: string, names: PortNames): string {
  return line.replaceAll(/\b\d{4,5}\b/g, (number) => names.get(number) ?? number);
}
