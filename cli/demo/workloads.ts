/** The workloads of the demo: which programs run, as what, and with which command each is started. */
import { JOURNAL_PORT } from "./apps/journal.ts";
import { APP_PORT } from "./apps/peer.ts";
import type { DemoControlPlane } from "./control-plane.ts";
import { self } from "./self.ts";

/** Certificates live this long, and are renewed at half of it. */
export const CERT_LIFETIME_S = 8;

const NAMES = [
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
/** What only a mesh that carries any protocol can hold. */
const TCP_NAMES = ["journal-1", "journal-2"] as const;

export type HttpWorkloadName = (typeof NAMES)[number];
export type TcpWorkloadName = (typeof TCP_NAMES)[number];
export type WorkloadName = HttpWorkloadName | TcpWorkloadName;

export interface WorkloadPlan {
  readonly service: string;
  readonly labels: readonly string[];
  /** Arguments of `outrigger demo-app`, without the port; null: a sidecar alone, for the demo's own calls. */
  readonly program: readonly [name: string, instance: string] | null;
  /** How it takes its cue; null: it takes none. */
  readonly cue: "http" | "grpc" | null;
}

/** Where the visitor of the transparent mesh takes the demo's calls: the first of as many ports as it visits services. */
export const VISITOR_PORT = 9000;

function plan(service: string, instance: string, cue: WorkloadPlan["cue"] = "http", ...labels: string[]): WorkloadPlan {
  return { service, labels, program: [service, instance], cue };
}

export const PLANS: Readonly<Record<WorkloadName, WorkloadPlan>> = {
  visitor: { service: "visitor", labels: [], program: null, cue: null },
  shop: plan("shop", ""),
  "orders-v1": plan("orders", "v1", "http", "version=v1"),
  "orders-v2": plan("orders", "v2", "http", "version=v2"),
  "stock-1": plan("stock", "stock-1"),
  "stock-2": plan("stock", "stock-2"),
  "prices-1": plan("prices", "prices-1", "grpc"),
  "prices-2": plan("prices", "prices-2", "grpc"),
  "prices-3": plan("prices", "prices-3", "grpc"),
  "journal-1": plan("journal", "journal-1", null),
  "journal-2": plan("journal", "journal-2", null),
};

export function namesOf(transparent: boolean): readonly WorkloadName[] {
  return transparent ? [...NAMES, ...TCP_NAMES] : NAMES;
}

/** A sidecar on loopback addresses, whose program listens at `appPort` and finds others by its environment. */
export function sidecarCommand(name: WorkloadName, appPort: number, controlPlane: DemoControlPlane): readonly string[] {
  const { program } = PLANS[name];
  return [
    "sidecar",
    ...commonFlags(name, appPort, controlPlane),
    ...(program === null ? [] : ["--", ...self("demo-app", program[0], String(appPort), program[1])]),
  ];
}

/** A program in a network of its own, that calls others by name; `published` are ports of this machine that lead to it. */
export function runCommand(
  name: WorkloadName,
  published: readonly number[],
  controlPlane: DemoControlPlane,
): readonly string[] {
  const [program, instance] = PLANS[name].program ?? ["visitor", ""];
  const port = { visitor: VISITOR_PORT, journal: JOURNAL_PORT }[program] ?? APP_PORT;
  return [
    "run",
    ...commonFlags(name, port, controlPlane),
    ...published.flatMap((outer, index) => ["--publish", `${outer}:${port + index}`]),
    ...["--", ...self("demo-app", "--by-name", program, String(port), instance)],
  ];
}

function commonFlags(name: WorkloadName, port: number, controlPlane: DemoControlPlane): readonly string[] {
  const { service, labels } = PLANS[name];
  return [
    ...["--control-plane", controlPlane.address, "--state", controlPlane.stateDir],
    ...["--service", service, "--port", String(port), "--drain-time-s", "1"],
    ...["--cert-lifetime", String(CERT_LIFETIME_S)],
    ...[`demo=${name}`, ...labels].flatMap((label) => ["--label", label]),
  ];
}
