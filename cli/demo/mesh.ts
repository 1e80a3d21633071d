/** The demo's mesh: nine workloads, a sidecar beside each, and what the script needs to know of them. */
import { systemClock } from "../../core/clock.ts";
import { addressesOf, type SidecarAddresses } from "../sidecar/addresses.ts";
import { type Cue, WELL_BEHAVED } from "./apps/cue.ts";
import { DemoControlPlane, isUpToDate } from "./control-plane.ts";
import { cuePrices } from "./grpc-call.ts";
import { call } from "./http-get.ts";
import { ordersRoute, SERVICES, STOCK_POLICY } from "./manifests.ts";
import { freePorts } from "./ports.ts";
import type { DemoProcess, Processes } from "./processes.ts";
import { self } from "./self.ts";
import { until } from "./wait.ts";

/** Certificates live this long, and are renewed at half of it. */
export const CERT_LIFETIME_S = 8;

const START_MS = 25_000;

export const WORKLOAD_NAMES = [
  "visitor",
  "shop",
  "orders-v1",
  "orders-v2",
  "stock-1",
  "stock-2",
  "prices-1",
  "prices-2",
  "prices-3",
] as const;
export type WorkloadName = (typeof WORKLOAD_NAMES)[number];

interface WorkloadPlan {
  readonly service: string;
  readonly labels: readonly string[];
  /** Arguments of `outrigger demo-app`, without the port; null: a sidecar alone, for the demo's own calls. */
  readonly program: readonly [name: string, instance: string] | null;
  /** It speaks gRPC, and takes its cue that way. */
  readonly grpc?: true;
}

const PLANS: Readonly<Record<WorkloadName, WorkloadPlan>> = {
  visitor: { service: "visitor", labels: [], program: null },
  shop: { service: "shop", labels: [], program: ["shop", ""] },
  "orders-v1": { service: "orders", labels: ["version=v1"], program: ["orders", "v1"] },
  "orders-v2": { service: "orders", labels: ["version=v2"], program: ["orders", "v2"] },
  "stock-1": { service: "stock", labels: [], program: ["stock", "stock-1"] },
  "stock-2": { service: "stock", labels: [], program: ["stock", "stock-2"] },
  "prices-1": { service: "prices", labels: [], program: ["prices", "prices-1"], grpc: true },
  "prices-2": { service: "prices", labels: [], program: ["prices", "prices-2"], grpc: true },
  "prices-3": { service: "prices", labels: [], program: ["prices", "prices-3"], grpc: true },
};

export interface DemoWorkload {
  readonly name: WorkloadName;
  readonly service: string;
  readonly appPort: number;
  readonly process: DemoProcess;
  readonly sidecar: SidecarAddresses;
}

export interface DemoMesh {
  readonly directory: string;
  readonly controlPlane: DemoControlPlane;
  readonly workloads: Readonly<Record<WorkloadName, DemoWorkload>>;
  /** From the first process to a mesh that is ready, ms. */
  readonly startMs: number;
  /** Tells a program to misbehave, or (without a cue) to stop it. */
  cue(workload: WorkloadName, cue?: Partial<Cue>): Promise<void>;
}

/** Starts everything and resolves when every sidecar is in the mesh and every program listens. */
export async function startMesh(processes: Processes): Promise<DemoMesh> {
  const { directory } = processes;
  const begin = systemClock.now();
  const [xds = 0, xdsTls = 0, status = 0, ...appPorts] = await freePorts(3 + WORKLOAD_NAMES.length);
  const controlPlane = new DemoControlPlane(directory, { xds, xdsTls, status }, processes);
  controlPlane.write("services", SERVICES);
  controlPlane.write("orders-route", ordersRoute(90, 10));
  controlPlane.write("stock-policy", STOCK_POLICY);
  await controlPlane.start();

  const sidecars = new Map<WorkloadName, DemoProcess>();
  for (const [index, name] of WORKLOAD_NAMES.entries()) {
    sidecars.set(name, processes.start(name, sidecarArgs(name, appPorts[index] ?? 0, controlPlane)));
  }
  const addresses = await until("every sidecar to be in the mesh", START_MS, async () => {
    for (const process of sidecars.values()) {
      if (!process.alive()) throw new Error(`${process.name} ended: ${process.logTail()}`);
    }
    const { workloads } = await controlPlane.status();
    if (workloads.length < WORKLOAD_NAMES.length || !workloads.every(isUpToDate)) return undefined;
    return new Map(workloads.map(({ labels, address }) => [labels["demo"], address]));
  });
  const workloads = Object.fromEntries(
    WORKLOAD_NAMES.map((name, index): [WorkloadName, DemoWorkload] => {
      const process = sidecars.get(name);
      const [host = "", port = ""] = addresses.get(name)?.split(":") ?? [];
      if (!process || host === "") throw new Error(`${name} is not in the mesh`);
      const { service } = PLANS[name];
      return [
        name,
        { name, service, appPort: appPorts[index] ?? 0, process, sidecar: addressesOf(host, Number(port)) },
      ];
    }),
  ) as Record<WorkloadName, DemoWorkload>;
  const cue = async (name: WorkloadName, next: Partial<Cue> = WELL_BEHAVED): Promise<void> => {
    const port = workloads[name].appPort;
    if (PLANS[name].grpc) return cuePrices(port, next, 2000);
    const body = JSON.stringify(next);
    const answer = await call({ host: "127.0.0.1", port, path: "/cue", method: "POST", body, timeoutMs: 2000 });
    if (answer.status !== 200) throw new Error(`${name} did not take its cue: ${answer.error ?? answer.status}`);
  };
  for (const name of WORKLOAD_NAMES) {
    if (PLANS[name].program === null) continue;
    await until(`${name} to listen`, START_MS, async () => {
      await cue(name);
      return true;
    });
  }
  return { directory, controlPlane, workloads, startMs: systemClock.now() - begin, cue };
}

function sidecarArgs(name: WorkloadName, appPort: number, controlPlane: DemoControlPlane): readonly string[] {
  const { service, labels, program } = PLANS[name];
  return [
    ...["sidecar", "--control-plane", controlPlane.address, "--state", controlPlane.stateDir],
    ...["--service", service, "--port", String(appPort), "--drain-time-s", "1"],
    ...["--cert-lifetime", String(CERT_LIFETIME_S)],
    ...[`demo=${name}`, ...labels].flatMap((label) => ["--label", label]),
    ...(program === null ? [] : ["--", ...self("demo-app", program[0], String(appPort), program[1])]),
  ];
}
