/** A message as lines of text. What no two runs share (dates, ids) is reduced to its presence. */
import type { HttpText } from "./http-text.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const DYNAMIC: Readonly<Record<string, (value: string) => string>> = {
  date: () => "(date)",
  "x-request-id": (value) => (UUID.test(value) ? "(uuid)" : value),
  "x-envoy-upstream-service-time": (value) => (/^\d+$/.test(value) ? "(ms)" : value),
};

/** Bodies longer than this are shown by their ends. */
const SHOWN = 400;

export function renderMessage(message: HttpText): string[] {
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
