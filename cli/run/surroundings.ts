/**
 * The program is in a network namespace of its own, its sidecar outside with sockets inside: nothing of the machine's
 * network is changed, the mesh on its loopback addresses is reached as ever, and what is not the mesh's leaves by the
 * machine's own network.
 */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { systemClock } from "../../core/clock.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import { logger } from "../../core/log.ts";
import { OUTBOUND_PORT } from "../../model/interception.ts";
import { loadSystemSockets, type SystemSockets } from "../../proxy/listener/system-sockets.ts";
import { machine, missingRights, type System } from "../init/system.ts";
import type { RunFlags } from "../run-command.ts";
import { claimAddresses } from "../sidecar/addresses.ts";
import { programUser } from "../sidecar/program-user.ts";
import { ownServers, type Surroundings } from "../sidecar/surroundings.ts";
import { DnsRelay } from "./dns/relay.ts";
import { nameServers } from "./dns/resolv-conf.ts";
import { InsideSockets } from "./inside.ts";
import { NameFiles } from "./name-files.ts";
import { Namespace } from "./namespace.ts";
import { setUpNetwork } from "./network.ts";
import { publish } from "./published-ports.ts";
import { type ServiceNames, serviceNames } from "./service-names.ts";

const log = logger("main");

/** Where programs inside ask for names: the address that systems use for a relay like this one. */
const NAME_SERVER = "127.0.0.53";
const DNS_PORT = 53;
/** ::1 among the kernel's IPv6 addresses. */
const LOOPBACK6 = /^0{31}1 /m;

/** Rejects with a UserError that says what is missing; then nothing is left behind. */
export async function namespaceSurroundings(flags: RunFlags): Promise<Surroundings> {
  const sockets = await mustBePossible();
  const user = programUser(flags.user);
  const namespace = await Namespace.make();
  try {
    setUpNetwork(namespace.system, machine);
    const files = new NameFiles(namespace, NAME_SERVER);
    const inside = new InsideSockets(sockets, namespace.path);
    let names: ServiceNames = new Map();
    const relay = new DnsRelay({
      udp: await inside.datagrams(NAME_SERVER, DNS_PORT),
      tcp: await inside.server(NAME_SERVER, DNS_PORT),
      addresses: (name) => names.get(name),
      servers: machineNameServers,
      clock: systemClock,
    });
    const published = await Promise.all(flags.publish.map((port) => publish(port, inside)));
    const addresses = await claimAddresses(`${flags.namespace}/${flags.service}/${flags.port}`);
    let child: ChildProcess | null = null;
    let closed: Promise<void> | null = null;
    void namespace.lost.then(() => {
      log.error({}, "whoever held the program's network namespace was ended: the program is ended, too");
      if (child === null) process.exit(1);
      child.kill("SIGKILL");
    });
    return {
      address: addresses.address,
      addresses: [],
      inboundPort: addresses.inboundPort,
      outboundPort: OUTBOUND_PORT,
      loopback: null,
      interception: {
        inbound: "none",
        networkNamespace: namespace.path,
        ipv6: LOOPBACK6.test(namespace.system.read("/proc/net/if_inet6") ?? ""),
      },
      servers: ownServers(addresses),
      httpProxy: null,
      start(program, args, env) {
        child = namespace.start(program, args, env, user);
        return child;
      },
      follow: (snapshots) =>
        void snapshots.subscribe(({ listeners }) => {
          names = serviceNames(listeners.values(), flags.namespace);
          files.setNames(names);
        }),
      close() {
        closed ??= (async () => {
          for (const server of published) server.close();
          relay.close();
          await namespace.close();
        })();
        return closed;
      },
    };
  } catch (error) {
    await namespace.close();
    throw error instanceof UserError
      ? error
      : new UserError(`the program's network can't be made: ${messageOf(error)}`);
  }
}

/** Throws a UserError where the machine, its rights or a package don't allow it. */
export async function mustBePossible(
  system: System = machine,
  platform: string = process.platform,
  load: () => Promise<SystemSockets | null> = loadSystemSockets,
): Promise<SystemSockets> {
  if (platform !== "linux") throw new UserError(`outrigger run needs Linux's network namespaces: this is ${platform}`);
  const missing = missingRights(system, ["SYS_ADMIN", "NET_ADMIN", "NET_RAW"]);
  if (missing.length > 0) {
    throw new UserError(
      "outrigger run makes a network namespace for the program, which needs root, or the capabilities SYS_ADMIN, " +
        `NET_ADMIN and NET_RAW (without ${missing.join(" and ")})`,
    );
  }
  const sockets = await load();
  if (sockets === null) {
    throw new UserError(
      "outrigger run needs the package koffi, by which sockets are made in the program's network: it is not installed",
    );
  }
  return sockets;
}

/** Read for each query: a laptop finds others in each network. */
function machineNameServers(): readonly string[] {
  try {
    return nameServers(readFileSync("/etc/resolv.conf", "utf8"));
  } catch {
    return nameServers("");
  }
}
