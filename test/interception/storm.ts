/** A storm of connections, each with one request, over which something happens. */
import assert from "node:assert/strict";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Host } from "./network.ts";
import type { StormReport } from "./storm-client.ts";

const CLIENT = path.join(import.meta.dirname, "storm-client.ts");
const CONNECTIONS = 1000;
/** In which they are opened. */
const OVER_MS = 4500;
/** When it happens. */
const EVENT_MS = 1000;
/** How long a request may take the server: as many are under way at any moment, and when it happens. */
const LONGEST_MS = 700;

/**
 * 1,000 connections within 4.5 s, and more where `event` takes longer, of which some 80 are open at any time. It happens
 * after one second, and when it resolves callers whose connection was refused try once more.
 */
export async function storm(from: Host, url: string, event: () => Promise<unknown>): Promise<StormReport> {
  const program = [process.execPath, CLIENT, url, `${CONNECTIONS}`, `${OVER_MS}`, `${LONGEST_MS}`];
  const client = from.serve("storm", ...program);
  await wait(EVENT_MS);
  await event();
  client.tell("again\n");
  await client.until(/^REPORT .*\n/m);
  const report = JSON.parse(/^REPORT (.*)$/m.exec(client.output)?.[1] ?? "null") as StormReport | null;
  assert.ok(report !== null, client.output);
  assert.ok(report.answered + report.answeredLater + report.lost.length >= CONNECTIONS);
  return report;
}

/** Each was answered, at the first attempt. */
export function assertAllAnswered(report: StormReport): void {
  assert.deepEqual(tally(report.lost), {});
  assert.equal(report.answeredLater, 0, "nothing was refused");
}

/** How often each thing happened. */
export function tally(lost: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const what of lost.map((each) => each.replace(/\r\ndate: [^\r]*/, ""))) counts[what] = (counts[what] ?? 0) + 1;
  return counts;
}
