/** Runs one area's cases through one proxy and gives what was observed, case by case. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Area, Case } from "./case.ts";
import { type ConnectionReport, PROBE_PATH, runConnection } from "./client.ts";
import { type AssembledCase, assemble, fillCase } from "./config.ts";
import { runHttp2 } from "./http2/client.ts";
import { reservePorts } from "./ports.ts";
import { type Side, startProxy, untilReady } from "./proxy.ts";
import { namePorts, renderCall, renderConnection } from "./render.ts";
import { startUpstream, UpstreamLedger } from "./upstream.ts";

const DEFAULT_CONCURRENCY = 8;
/** For access logs to be written after the last response. */
const SETTLE_MS = 250;

/** Lines of what was observed, by case id. */
export type Observations = ReadonlyMap<string, readonly string[]>;

export async function runArea(
  area: Area,
  side: Side,
  envoy: string,
  selected: (testCase: Case) => boolean,
): Promise<Observations> {
  const plan = assemble(area);
  const dir = mkdtempSync(path.join(tmpdir(), `outrigger-${side}-`));
  const ledger = new UpstreamLedger(new Map(plan.cases.map(({ id, case: { answers } }) => [id, answers])));
  const upstreams = await Promise.all(
    Object.entries({ up: null, ...area.upstreams }).map(async ([name, security]) => ({
      name,
      server: await startUpstream(name, security, ledger),
    })),
  );
  const [closed = 0, ...ports] = await reservePorts(plan.listeners + 1);
  const upstreamPorts: Record<string, number> = { closed };
  for (const { name, server } of upstreams) upstreamPorts[name] = server.port;
  const logFile = path.join(dir, "access.log");
  const bootstrap = path.join(dir, "bootstrap.json");
  writeFileSync(bootstrap, plan.bootstrap({ ports, upstreams: upstreamPorts, logFile }));
  const proxy = startProxy(side, envoy, bootstrap);
  try {
    await untilReady(side, proxy, ports);
    const reports = new Map<string, readonly ConnectionReport[]>();
    const waiting = plan.cases.filter(({ case: testCase }) => selected(testCase));
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        reports.set(next.id, await runCase(next, ports));
      }
    };
    await Promise.all(Array.from({ length: area.concurrency ?? DEFAULT_CONCURRENCY }, worker));
    await wait(SETTLE_MS);
    if (proxy.exited()) throw new Error(`${side} ended while it was tested:\n${proxy.output()}`);
    await proxy.stop();
    const names = new Map<string, string>();
    for (const [name, port] of Object.entries(upstreamPorts)) names.set(String(port), name);
    for (const port of ports) names.set(String(port), "listener");
    const strays = ledger.strays();
    if (strays.length > 0) throw new Error(`${side}: calls that no case made: ${strays.join(", ")}`);
    const log = readLog(logFile);
    const byId = new Map(plan.cases.map((one) => [one.id, one.case]));
    return new Map(
      [...reports].map(([id, list]) => {
        const { showsConnections = false, showsSettings = false } = byId.get(id) ?? {};
        const lines = observe(id, list, ledger, log, names, showsConnections);
        return [id, showsSettings ? lines : lines.filter((line) => !/^(?:\S+ \d+> )?settings: /.test(line))];
      }),
    );
  } catch (error) {
    await proxy.stop();
    throw new Error(`area ${area.name}: ${side}: ${error instanceof Error ? error.message : error}\n${proxy.output()}`);
  } finally {
    for (const { server } of upstreams) server.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function runCase({ id, case: testCase, listener }: AssembledCase, ports: readonly number[]) {
  const connections = testCase.connections ?? [testCase.steps ?? []];
  const fill = (text: string): string => fillCase(text, id, testCase);
  const { http2, tls, settings } = testCase;
  if (http2 !== undefined) return Promise.all([runHttp2(ports[listener] ?? 0, { tls, settings, steps: http2, fill })]);
  return Promise.all(connections.map((steps) => runConnection(ports[listener] ?? 0, testCase.tls, steps, fill)));
}

/** Lines of the access log by the ports of both ends: the kernel gives a caller's port again for another listener. */
function readLog(file: string): Map<string, string[]> {
  const lines = new Map<string, string[]>();
  for (const line of readFileSync(file, "latin1").split("\n")) {
    const ports = /\d+>\d+/.exec(line)?.[0];
    if (ports === undefined || line.includes(PROBE_PATH)) continue;
    const list = lines.get(ports) ?? [];
    list.push(line.replace(/^\S+ /, ""));
    lines.set(ports, list);
  }
  return lines;
}

function observe(
  id: string,
  reports: readonly ConnectionReport[],
  ledger: UpstreamLedger,
  log: ReadonlyMap<string, readonly string[]>,
  ports: ReadonlyMap<string, string>,
  showsConnections: boolean,
): readonly string[] {
  const names = new Map(ports);
  const lines = reports.flatMap((report, index) => {
    names.set(String(report.localPort), "client");
    return renderConnection(report, reports.length > 1 ? `${index + 1}: ` : "");
  });
  const perUpstream = new Map<string, number>();
  const calls = ledger.callsOf(id).map((call) => {
    const number = (perUpstream.get(call.upstream) ?? 0) + 1;
    perUpstream.set(call.upstream, number);
    return { call, number };
  });
  calls.sort((a, b) => a.call.upstream.localeCompare(b.call.upstream) || a.number - b.number);
  const connections = [...new Set(calls.map(({ call }) => call.connection))];
  for (const { call, number } of calls) {
    lines.push(...renderCall(call, number));
    if (showsConnections) {
      lines.push(`${call.upstream} ${number}> on connection ${connections.indexOf(call.connection) + 1}`);
    }
  }
  reports.forEach((report, index) => {
    const label = reports.length > 1 ? `log ${index + 1}: ` : "log: ";
    lines.push(...(log.get(report.ports) ?? []).map((line) => label + line));
  });
  return lines.map((line) => namePorts(line, names));
}
