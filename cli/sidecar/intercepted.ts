/** A sidecar to which rules of the kernel lead the connections of its machine, pod or network namespace. */
import net from "node:net";
import { networkInterfaces } from "node:os";
import { sleep, stayAlive, systemClock } from "../../core/clock.ts";
import { codeOf, messageOf, UserError } from "../../core/errors.ts";
import { parseIp } from "../../core/ip.ts";
import { logger } from "../../core/log.ts";
import { formatAddress } from "../../model/address.ts";
import { INBOUND_PORT, OUTBOUND_PORT } from "../../model/interception.ts";
import { loadSocketOptions } from "../../proxy/listener/socket-options.ts";
import type { AdminAddresses } from "../admin/start-admin.ts";
import { machine, missingRights } from "../init/system.ts";
import type { SidecarFlags } from "../sidecar-command.ts";
import { appHealth } from "./app-health.ts";
import type { ProgramUser } from "./program-user.ts";
import { type Surroundings, startHere } from "./surroundings.ts";

const log = logger("main");

/** The ports that mesh users know; the admin interface is for this machine only. */
const ADMIN_PORT = 15_000;
const METRICS_PORT = 15_020;
const HEALTH_PORT = 15_021;

/** A connection that stays on this machine needs no longer, unless something swallows it. */
const PROBE_MS = 1000;
/** Between the rules for IPv4 and those for IPv6, while they are made. */
const RULES_MS = 1000;

export interface InterceptedFlags extends SidecarFlags {
  readonly interception: "redirect" | "tproxy";
}

/** Rejects with a UserError where interception can't be had; where only the rules are missing, it says so in the log. */
export async function interceptedSurroundings(
  flags: InterceptedFlags,
  user: ProgramUser | null,
  withProgram: boolean,
  platform: string = process.platform,
): Promise<Surroundings> {
  await mustBePossible(flags.interception, platform);
  const [address, ...addresses] = await addressesForPeers(flags);
  if (withProgram && user === null) {
    log.warn(
      {},
      "the program runs as the sidecar's own user: what it calls is taken for the sidecar's calls and not intercepted " +
        "(--user NAME runs it as another)",
    );
  }
  return {
    address,
    addresses,
    inboundPort: INBOUND_PORT,
    outboundPort: OUTBOUND_PORT,
    loopback: null,
    interception: { inbound: flags.interception, networkNamespace: "", ipv6: isOwn("::1", networkInterfaces()) },
    servers: podServers(flags, address),
    httpProxy: null,
    start: (program, args, env) => startHere(program, args, env, user),
    follow: () => undefined,
    close: () => Promise.resolve(),
  };
}

/** Metrics and health for whoever asks, admin for this machine; `address` is the program's. */
export function podServers({ appHealth: checks }: Pick<SidecarFlags, "appHealth">, address: string): AdminAddresses {
  // Of both families where there are both.
  const host = machine.read("/proc/net/if_inet6") === null ? "0.0.0.0" : "::";
  return {
    admin: { kind: "tcp", host: "127.0.0.1", port: ADMIN_PORT },
    allowRemote: false,
    metrics: { kind: "tcp", host, port: METRICS_PORT },
    health: { kind: "tcp", host, port: HEALTH_PORT },
    appHealth: appHealth(checks, address),
  };
}

async function mustBePossible(mode: "redirect" | "tproxy", platform: string): Promise<void> {
  if (platform !== "linux") throw new UserError(`--interception is for Linux: this is ${platform}`);
  if ((await loadSocketOptions()) === null) {
    throw new UserError(
      "--interception needs the package koffi, by which the kernel is asked where connections were going: it is not installed",
    );
  }
  // Either of them will do.
  if (mode === "tproxy" && missingRights(machine).length === 2) {
    throw new UserError(
      "--interception tproxy needs the capability NET_ADMIN or NET_RAW: sockets that take connections to any address",
    );
  }
}

/**
 * What peers are told to call, the best first. Where an address of this machine has no rules that lead connections to the
 * sidecar, the log says so; it is told all the same, but for one that nobody named while the first has its rules.
 */
async function addressesForPeers(flags: InterceptedFlags): Promise<[string, ...string[]]> {
  const { address: given, port } = flags;
  const interfaces = networkInterfaces();
  const [first, ...others] = given.length > 0 ? given : firstAddresses(interfaces);
  if (first === undefined) {
    throw new UserError("this machine has no address but loopback ones: say with --address what peers are to call", 2);
  }
  // An address that others translate to this machine's says nothing about the rules here.
  const isLed = async (address: string): Promise<boolean> =>
    !isOwn(address, interfaces) || (await reachesInbound(address, port));
  const told: [string, ...string[]] = [first];
  const hasRules = await isLed(first);
  if (!hasRules) warnOfMissingRules(first, flags);
  for (const address of others) {
    let led = await isLed(address);
    if (!led && hasRules && given.length === 0) {
      // They may be just being made, those for IPv6 after those for IPv4.
      stayAlive();
      await sleep(systemClock, RULES_MS);
      led = await isLed(address);
    }
    if (led || !hasRules || given.length > 0) told.push(address);
    else log.info({ address }, "connections to this address don't come to the sidecar: peers are not told of it");
    if (!led && given.length > 0) warnOfMissingRules(address, flags);
  }
  return told;
}

function warnOfMissingRules(address: string, { interception, port }: InterceptedFlags): void {
  log.warn(
    {},
    `connections to ${formatAddress({ kind: "tcp", host: address, port })} don't come to the sidecar: were rules made here for its user? ` +
      `(as root: outrigger init --proxy-uid ${process.geteuid?.()}${interception === "tproxy" ? " --inbound-mode tproxy" : ""})`,
  );
}

/** The first address of each family that others can call, IPv4 before IPv6. */
export function firstAddresses(interfaces: ReturnType<typeof networkInterfaces>): readonly string[] {
  const all = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
  const usable = all.filter(({ internal, address }) => !internal && !isLinkLocal(address));
  return (["IPv4", "IPv6"] as const).flatMap((family) => {
    return usable.find((one) => one.family === family)?.address ?? [];
  });
}

function isOwn(address: string, interfaces: ReturnType<typeof networkInterfaces>): boolean {
  return Object.values(interfaces).some((addresses) => addresses?.some((own) => own.address === address));
}

function isLinkLocal(address: string): boolean {
  const ip = parseIp(address);
  return ip === null || (ip.length === 8 && ((ip[0] ?? 0) & 0xffc0) === 0xfe80);
}

/**
 * Whether connections to the workload's own address come to the inbound port, as the sidecar's own do where there are
 * rules for its user. Asked before the listeners are there. Rejects with a UserError where the port is taken.
 */
async function reachesInbound(address: string, port: number): Promise<boolean> {
  // Callers may be there already, and what the inbound port takes of theirs now is lost: it is opened only where a port
  // that nobody knows is not led away, so that either there are no rules or they are for few ports.
  const elsewhere = await probe({ host: address, port: 0 }, address, null);
  if (elsewhere === "unanswered") return true;
  if (elsewhere === "elsewhere") throw inboundTaken("it is in use: is another sidecar here?");
  return (await probe({ port: INBOUND_PORT }, address, port)) === "here";
}

/**
 * Listens at `at` and calls `address`, at `port` or (null) at the port that it listens at: whether that connection came
 * `here`, to somebody `elsewhere`, or was `unanswered`.
 */
async function probe(
  at: net.ListenOptions,
  address: string,
  port: number | null,
): Promise<"here" | "elsewhere" | "unanswered"> {
  const arrived = new Set<number | undefined>();
  const server = net.createServer((socket) => {
    arrived.add(socket.remotePort);
    socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const inUse = codeOf(error) === "EADDRINUSE";
      reject(inboundTaken(inUse ? "it is in use: is another sidecar here?" : messageOf(error)));
    });
    server.listen(at, resolve);
  });
  const bound = server.address();
  const own = await new Promise<number | undefined>((resolve) => {
    const target = port ?? (typeof bound === "object" && bound !== null ? bound.port : 0);
    const socket = net.connect({ host: address, port: target, timeout: PROBE_MS });
    let local: number | undefined;
    socket.once("connect", () => {
      local = socket.localPort;
    });
    // Where the rules lead here, this side ends it.
    socket.once("timeout", () => socket.destroy());
    socket.once("error", () => undefined);
    socket.once("close", () => resolve(local));
    socket.resume();
  });
  await new Promise((resolve) => server.close(resolve));
  if (own === undefined) return "unanswered";
  return arrived.has(own) ? "here" : "elsewhere";
}

function inboundTaken(why: string): UserError {
  return new UserError(`the port ${INBOUND_PORT}, to which rules lead, cannot be had: ${why}`);
}
