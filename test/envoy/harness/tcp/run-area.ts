/** Runs one area's cases about opaque bytes through one proxy and gives what was observed, case by case. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import tls from "node:tls";
import { connect } from "../connect.ts";
import { reservePorts } from "../ports.ts";
import { type Side, startProxy, untilListening } from "../proxy.ts";
import { namePorts } from "../render.ts";
import { describeTls, serverOptions } from "../upstream.ts";
import type { TcpArea, TcpCase, TcpServer } from "./case.ts";
import { idOf, inNetworks, type TcpPlaces, tcpBootstrap } from "./config.ts";
import { INSIDE, intercept, networksOf, PROXY_GROUP, runInside } from "./interception.ts";
import { TcpPeer } from "./peer.ts";

const DEFAULT_CONCURRENCY = 8;
/** How long a connection is watched after its script. */
const OUTCOME_MS = 500;
/** How long a server's connection is watched: callers end theirs before. */
const SERVER_LIMIT_MS = 4000;
/** For access logs to be written after the last connection. */
const SETTLE_MS = 250;

const ECHO: Readonly<Record<string, TcpServer>> = { up: { steps: [{ echo: true }] } };

/** Of intercepted cases, which share one namespace. */
const FIRST_OWN_PORT = 5000;

interface Target {
  readonly host: string;
  readonly port: number;
}

const ANYWHERE: Target = { host: "127.0.0.1", port: 0 };

interface RunningServer {
  readonly name: string;
  readonly port: number;
  /** What its connections have seen, as lines. */
  report(): readonly string[];
  /** Resolves once every connection so far is over, or was watched for long enough. */
  settled(): Promise<unknown>;
  close(): void;
}

async function startServer(name: string, server: TcpServer, at: Target): Promise<RunningServer> {
  const peers: { readonly peer: TcpPeer; readonly security: string }[] = [];
  const running: Promise<void>[] = [];
  const serve = (socket: net.Socket, raw: net.Socket, security: string): void => {
    const peer = new TcpPeer(socket, raw);
    const number = peers.push({ peer, security });
    const steps = typeof server.steps === "function" ? server.steps(number) : server.steps;
    running.push(peer.run(steps).then(() => peer.finish(SERVER_LIMIT_MS)));
  };
  /** By the caller's port: below each socket of TLS there is one that can be reset. */
  const raws = new Map<number, net.Socket>();
  const listening =
    server.tls === undefined
      ? net.createServer({ allowHalfOpen: true }, (socket) => serve(socket, socket, ""))
      : tls.createServer({ ...serverOptions(server.tls), allowHalfOpen: true }, (socket) =>
          serve(socket, raws.get(socket.remotePort ?? 0) ?? socket, describeTls(socket)),
        );
  listening.on("connection", (socket: net.Socket) => raws.set(socket.remotePort ?? 0, socket));
  listening.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => listening.listen(at.port, at.host, resolve));
  return {
    name,
    port: (listening.address() as net.AddressInfo).port,
    report: () =>
      peers.flatMap(({ peer, security }, i) =>
        [...(security === "" ? [] : [`tls: ${security}`]), ...peer.report()].map((line) => `${name} ${i + 1}> ${line}`),
      ),
    settled: () => Promise.all(running),
    close() {
      listening.close();
      for (const socket of raws.values()) socket.destroy();
    },
  };
}

interface Planned {
  readonly id: string;
  readonly case: TcpCase;
  readonly servers: readonly RunningServer[];
  readonly places: TcpPlaces;
}

/** Like `runArea`, for areas about opaque bytes. */
export async function runTcpArea(
  area: TcpArea,
  side: Side,
  envoy: string,
  selected: (testCase: TcpCase) => boolean,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const chosen = area.cases.filter(selected);
  if (area.intercepted && process.env[INSIDE] === undefined) return runInside(area, side, envoy, chosen);
  const dir = mkdtempSync(path.join(tmpdir(), `outrigger-${side}-`));
  const [closed = 0, ...ports] = await reservePorts(chosen.length + 1);
  const planned = await Promise.all(
    chosen.map(async (testCase, i): Promise<Planned> => {
      const id = idOf(area, testCase);
      const networks = networksOf(i);
      const listener = ports[i] ?? 0;
      if (area.intercepted) intercept({ listener, ...networks });
      const entries = Object.entries(testCase.servers ?? ECHO);
      const servers = await Promise.all(
        entries.map(([name, server]) => {
          const { at } = server;
          const own = at === undefined ? ANYWHERE : { host: inNetworks(at, networks), port: FIRST_OWN_PORT + i };
          return startServer(name, server, own);
        }),
      );
      const known: Record<string, number> = { closed };
      if (area.intercepted) Object.assign(known, { own: FIRST_OWN_PORT + i, after: FIRST_OWN_PORT + i + 1 });
      for (const { name, port } of servers) known[name] = port;
      const places = { listener, servers: known, logFile: path.join(dir, `${id}.log`), ...networks };
      return { id, case: testCase, servers, places };
    }),
  );
  const bootstrap = path.join(dir, "bootstrap.json");
  writeFileSync(bootstrap, tcpBootstrap(planned));
  const proxy = startProxy(side, envoy, bootstrap, [], {
    ...(area.intercepted ? { group: PROXY_GROUP } : {}),
    network: area.apart ?? false,
  });
  try {
    await untilListening(side, proxy, ports);
    const clients = new Map<string, readonly string[]>();
    const waiting = [...planned];
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        clients.set(next.id, await runClients(next));
      }
    };
    await Promise.all(Array.from({ length: area.concurrency ?? DEFAULT_CONCURRENCY }, worker));
    await wait(SETTLE_MS);
    if (proxy.exited()) throw new Error(`${side} ended while it was tested:\n${proxy.output()}`);
    await proxy.stop();
    return new Map(planned.map((one) => [one.id, observe(one, clients.get(one.id) ?? [])]));
  } catch (error) {
    await proxy.stop();
    throw new Error(`area ${area.name}: ${side}: ${error instanceof Error ? error.message : error}\n${proxy.output()}`);
  } finally {
    for (const { servers } of planned) for (const server of servers) server.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function runClients({ case: testCase, places, servers }: Planned): Promise<readonly string[]> {
  const { to } = testCase;
  const host = to === undefined ? "127.0.0.1" : inNetworks(to, places);
  const port = (to === undefined ? undefined : places.servers["own"]) ?? places.listener;
  const scripts = testCase.connections ?? [testCase.steps ?? []];
  const reports = await Promise.all(
    scripts.map(async (steps, i) => {
      await wait(i * (testCase.apartMs ?? 0));
      const { raw, socket, tls: security } = await connect(port, testCase.tls, host);
      const local = `client${scripts.length > 1 ? ` ${i + 1}` : ""}> `;
      const lines = security === "" ? [] : [`tls: ${security}`];
      if (socket === null) return lines.map((line) => local + line);
      const peer = new TcpPeer(socket, raw);
      await peer.run(steps);
      await peer.finish(OUTCOME_MS);
      const report = [...lines, ...peer.report()].map((line) => local + line);
      peer.destroy();
      return report;
    }),
  );
  await Promise.all(servers.map((server) => server.settled()));
  return reports.flat();
}

function observe({ servers, places }: Planned, clients: readonly string[]): readonly string[] {
  const names = new Map<string, string>(Object.entries(places.servers).map(([name, port]) => [String(port), name]));
  names.set(String(places.listener), "listener");
  const log = existsSync(places.logFile) ? readFileSync(places.logFile, "latin1").split("\n").filter(Boolean) : [];
  const seen = servers.toSorted((a, b) => a.name.localeCompare(b.name)).flatMap((server) => server.report());
  return [...clients, ...seen, ...log.map((line) => `log ${line}`)].map((line) =>
    namePorts(line, names).replaceAll(places.net, "{net}").replaceAll(places.net6, "{net6}"),
  );
}
