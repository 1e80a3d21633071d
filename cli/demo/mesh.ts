/** The demo's mesh: its workloads, a sidecar beside each, and what the script needs to know of them. */
import { systemClock } from "../../core/clock.ts";
import { addressesOf, type SidecarAddresses } from "../sidecar/addresses.ts";
import { type Cue, WELL_BEHAVED } from "./apps/cue.ts";
import { VISITED } from "./apps/visitor.ts";
import { DemoControlPlane, isUpToDate } from "./control-plane.ts";
import { cuePrices } from "./grpc-call.ts";
import { call } from "./http-get.ts";
import { readGreeting } from "./journal-call.ts";
import { JOURNAL, ordersRoute, STOCK_POLICY, services } from "./manifests.ts";
import { freePorts } from "./ports.ts";
import type { DemoProcess, Processes } from "./processes.ts";
import { until } from "./wait.ts";
import {
  type HttpWorkloadName,
  namesOf,
  PLANS,
  runCommand,
  sidecarCommand,
  type TcpWorkloadName,
  type WorkloadName,
} from "./workloads.ts";

/** Namespaces, rules and twice as many processes take their time on a small machine. */
const START_MS = { plain: 25_000, transparent: 75_000 };

export interface DemoWorkload {
  readonly name: WorkloadName;
  readonly service: string;
  /** Of this machine, past the mesh. */
  readonly appPort: number;
  readonly process: DemoProcess;
  readonly sidecar: SidecarAddresses;
}

/** Where, and in which words, the demo's own calls ask the visitor's sidecar for a service. */
export interface Visit {
  readonly host: string;
  readonly port: number;
  /** What a request line begins its path with. */
  readonly prefix: string;
  readonly authority: string;
}

export interface DemoMesh {
  readonly directory: string;
  /** Programs have networks of their own and call services by name. */
  readonly transparent: boolean;
  readonly controlPlane: DemoControlPlane;
  readonly workloads: Readonly<Record<HttpWorkloadName, DemoWorkload> & Partial<Record<TcpWorkloadName, DemoWorkload>>>;
  /** In the order in which they are shown. */
  readonly names: readonly WorkloadName[];
  /** From the first process to a mesh that is ready, ms. */
  readonly startMs: number;
  visit(service: string): Visit;
  /** Tells a program to misbehave, or (without a cue) to stop it. */
  cue(workload: WorkloadName, cue?: Partial<Cue>): Promise<void>;
}

/** Starts everything and resolves when every sidecar is in the mesh and every program listens. */
export async function startMesh(processes: Processes, transparent: boolean): Promise<DemoMesh> {
  const { directory } = processes;
  const begin = systemClock.now();
  const names = namesOf(transparent);
  const startMs = transparent ? START_MS.transparent : START_MS.plain;
  const visited = transparent ? VISITED.length : 0;
  const [xds = 0, xdsTls = 0, status = 0, ...ports] = await freePorts(3 + visited + names.length);
  const [visits, appPorts] = [ports.slice(0, visited), ports.slice(visited)];
  const controlPlane = new DemoControlPlane(directory, { xds, xdsTls, status }, processes);
  controlPlane.write("services", services(transparent));
  if (transparent) controlPlane.write("journal", JOURNAL);
  controlPlane.write("orders-route", ordersRoute(90, 10, transparent));
  controlPlane.write("stock-policy", STOCK_POLICY);
  await controlPlane.start();

  const started = new Map<WorkloadName, DemoProcess>();
  for (const [index, name] of names.entries()) {
    const appPort = appPorts[index] ?? 0;
    const command = transparent
      ? runCommand(name, name === "visitor" ? visits : [appPort], controlPlane)
      : sidecarCommand(name, appPort, controlPlane);
    started.set(name, processes.start(name, command));
  }
  const addresses = await until("every sidecar to be in the mesh", startMs, async () => {
    for (const process of started.values()) {
      if (!process.alive()) throw new Error(`${process.name} ended: ${process.logTail()}`);
    }
    const { workloads } = await controlPlane.status();
    if (workloads.length < names.length || !workloads.every(isUpToDate)) return undefined;
    return new Map(workloads.map(({ labels, address }) => [labels["demo"], address]));
  });
  const workloads = Object.fromEntries(
    names.map((name, index): [WorkloadName, DemoWorkload] => {
      const process = started.get(name);
      const [host = "", port = ""] = addresses.get(name)?.split(":") ?? [];
      if (!process || host === "") throw new Error(`${name} is not in the mesh`);
      const { service } = PLANS[name];
      return [
        name,
        { name, service, appPort: appPorts[index] ?? 0, process, sidecar: addressesOf(host, Number(port)) },
      ];
    }),
  ) as DemoMesh["workloads"];

  const visit = (service: string): Visit => {
    const index = VISITED.findIndex((one) => one.service === service);
    const named = VISITED[index];
    if (transparent && named !== undefined) {
      return { host: "127.0.0.1", port: visits[index] ?? 0, prefix: "", authority: `${service}:${named.port}` };
    }
    const { address, outboundPort } = workloads.visitor.sidecar;
    return { host: address, port: outboundPort, prefix: `http://${service}`, authority: service };
  };
  const cue = async (name: WorkloadName, next: Partial<Cue> = WELL_BEHAVED): Promise<void> => {
    const port = workloads[name]?.appPort ?? 0;
    if (PLANS[name].cue === "grpc") return cuePrices(port, next, 2000);
    const body = JSON.stringify(next);
    const answer = await call({ host: "127.0.0.1", port, path: "/cue", method: "POST", body, timeoutMs: 2000 });
    if (answer.status !== 200) throw new Error(`${name} did not take its cue: ${answer.error ?? answer.status}`);
  };
  for (const name of names) {
    const { service, cue: kind } = PLANS[name];
    if (kind === null && !transparent) continue;
    await until(`${name} to listen`, startMs, async () => {
      if (kind !== null) await cue(name);
      // Who greets by way of the visitor is there, and so is the visitor.
      else if (service === "visitor") await readGreeting(visit("journal"));
      else await readGreeting({ host: "127.0.0.1", port: workloads[name]?.appPort ?? 0 });
      return true;
    });
  }
  return {
    directory,
    transparent,
    controlPlane,
    workloads,
    names,
    startMs: systemClock.now() - begin,
    visit,
    cue,
  };
}
