/** Where a sidecar stands: by which addresses it is reached, how calls come to it, and how its program is started. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { UserError } from "../../core/errors.ts";
import type { Watch } from "../../core/watch.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import type { AdminAddresses } from "../admin/start-admin.ts";
import type { SidecarFlags } from "../sidecar-command.ts";
import { claimAddresses, type SidecarAddresses } from "./addresses.ts";
import { type ProgramUser, programUser } from "./program-user.ts";

/** What the control plane is told of the way in which connections come to the sidecar. */
export interface InterceptionMetadata {
  /** `none`: peers call the inbound listener by its own port. */
  readonly inbound: "redirect" | "tproxy" | "none";
  /** Where the program and the outbound listeners are: "" for the sidecar's own, else `/proc/PID/ns/net`. */
  readonly networkNamespace: string;
  /** Whether the loopback interface has ::1. */
  readonly ipv6: boolean;
}

export interface Surroundings {
  /** What peers are told. */
  readonly address: string;
  /** Further addresses of the same place. */
  readonly addresses: readonly string[];
  readonly inboundPort: number;
  readonly outboundPort: number;
  /** Where the listeners of services are bound; null with interception: they have the services' addresses. */
  readonly loopback: SidecarAddresses["loopback"] | null;
  /** null: the program is to call the sidecar's listeners. */
  readonly interception: InterceptionMetadata | null;
  readonly servers: AdminAddresses;
  /** What `http_proxy` is to say; null: nothing, the program's connections come by themselves. */
  readonly httpProxy: string | null;
  /** Starts the program. `env` has its whole environment. */
  start(program: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess;
  /** Follows the configuration from the beginning on. */
  follow(snapshots: Watch<Snapshot>): void;
  /** The program has ended, and the sidecar will. May be called again. */
  close(): Promise<void>;
}

/** `withProgram`: one will be started. Rejects with a UserError. */
export async function surroundingsOf(flags: SidecarFlags, withProgram: boolean): Promise<Surroundings> {
  const user = programUser(flags.user);
  if (flags.interception === "none") {
    const { podSurroundings } = await import("./pod.ts");
    return podSurroundings(flags, user);
  }
  if (flags.interception !== undefined) {
    const { interceptedSurroundings } = await import("./intercepted.ts");
    return interceptedSurroundings({ ...flags, interception: flags.interception }, user, withProgram);
  }
  if (flags.address.length > 0 || flags.probe.length > 0 || flags.appHealth.length > 0) {
    throw new UserError(
      "--address, --probe and --app-health go with --interception: without it the sidecar's address is its own",
      2,
    );
  }
  const addresses = await claimAddresses(`${flags.namespace}/${flags.service}/${flags.port}`);
  return loopbackSurroundings(addresses, user);
}

/** A sidecar on loopback addresses of its own, without interception. */
function loopbackSurroundings(addresses: SidecarAddresses, user: ProgramUser | null): Surroundings {
  const { address, inboundPort, outboundPort, loopback } = addresses;
  return {
    address,
    addresses: [],
    inboundPort,
    outboundPort,
    loopback,
    interception: null,
    servers: ownServers(addresses),
    httpProxy: `http://${address}:${outboundPort}`,
    start: (program, args, env) => startHere(program, args, env, user),
    follow: () => undefined,
    close: () => Promise.resolve(),
  };
}

/** Admin, metrics and health on the sidecar's own address. */
export function ownServers({ address, adminPort, metricsPort, healthPort }: SidecarAddresses): AdminAddresses {
  const at = (port: number) => ({ kind: "tcp", host: address, port }) as const;
  return { admin: at(adminPort), allowRemote: false, metrics: at(metricsPort), health: at(healthPort) };
}

/** Starts a program beside the sidecar, with its terminal. */
export function startHere(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  user: ProgramUser | null,
): ChildProcess {
  if (user === null) return spawn(program, args, { stdio: "inherit", env });
  const { uid, gid, env: own } = user;
  return spawn(program, args, { stdio: "inherit", env: { ...env, ...own }, uid, gid });
}
