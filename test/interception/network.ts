/**
 * A network of namespaces, as a machine room would be: "the network" in the middle, which routes and where the control
 * plane runs, and hosts around it, one for each workload. Every host has two wires: eth0 in 10.77.0.0/24 and fd77::/64,
 * where the mesh is, and eth1 in 203.0.113.0/24 and 2001:db8::/64. Servers leave eth1 out of interception, so that the
 * same server is in the mesh under one address and a stranger's under the other.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Launch, Namespace, type Outcome, type Scope, wire } from "../support/network-namespace.ts";
import { Daemon } from "./daemon.ts";

/** Whom applications run as: everybody but the sidecar. It has a name on every machine, which some servers insist on. */
export const NOBODY = 65_534;

export interface Addresses {
  readonly mesh: Readonly<Record<4 | 6, string>>;
  readonly outside: Readonly<Record<4 | 6, string>>;
}

/** Where the network itself, and the control plane in it, is to be found. */
export const NETWORK = addressesOf(1);

export class Network {
  readonly space: Namespace;
  /** For files of this test alone; whoever runs here may look into it. */
  readonly dir: string;
  /** What every program reads as /etc/hosts. */
  readonly hosts: string;
  readonly #t: Scope;
  readonly #all: Host[] = [];
  readonly #daemons: Daemon[] = [];

  constructor(t: Scope) {
    this.#t = t;
    this.dir = mkdtempSync(path.join(tmpdir(), "outrigger-network-"));
    chmodSync(this.dir, 0o755);
    const remove = (): void => rmSync(this.dir, { recursive: true, force: true });
    // Also where the test is ended from outside.
    process.once("exit", remove);
    this.hosts = path.join(this.dir, "hosts");
    this.name({});
    // In order: nothing may write into the directory any more, nor use the namespaces.
    t.after(async () => {
      await Promise.all(this.#daemons.map((daemon) => daemon.end()));
      process.removeListener("exit", remove);
      remove();
    });
    this.space = new Namespace(t, "network");
    for (const [bridge, { 4: four, 6: six }] of [
      ["mesh", NETWORK.mesh],
      ["outside", NETWORK.outside],
    ] as const) {
      this.space.must("ip", "link", "add", bridge, "type", "bridge");
      this.space.must("ip", "address", "add", `${four}/24`, "dev", bridge);
      this.space.must("ip", "address", "add", `${six}/64`, "dev", bridge, "nodad");
      this.space.must("ip", "link", "set", bridge, "up");
    }
  }

  /** Puts another host on the network. */
  host(label: string): Host {
    const number = this.#all.length + 2;
    const addresses = addressesOf(number);
    const space = new Namespace(this.#t, label);
    const host = new Host(this, space, addresses, { mesh: `mesh${number}`, outside: `outside${number}` });
    for (const [device, bridge] of [
      ["eth0", "mesh"],
      ["eth1", "outside"],
    ] as const) {
      wire([space, device], [this.space, host.ports[bridge]]);
      this.space.must("ip", "link", "set", host.ports[bridge], "master", bridge);
      space.must("ip", "address", "add", `${addresses[bridge][4]}/24`, "dev", device);
      space.must("ip", "address", "add", `${addresses[bridge][6]}/64`, "dev", device, "nodad");
    }
    space.must("ip", "route", "add", "default", "via", NETWORK.mesh[4]);
    space.must("ip", "-6", "route", "add", "default", "via", NETWORK.mesh[6]);
    this.#all.push(host);
    return host;
  }

  /** Says what names stand for, in the place of DNS. */
  name(names: Readonly<Record<string, string>>): void {
    const lines = Object.entries({ localhost: "127.0.0.1", ...names }).map(([name, address]) => `${address} ${name}\n`);
    writeFileSync(this.hosts, lines.join(""), { mode: 0o644 });
  }

  /** What all that was started has said, for errors. */
  said(): string {
    return this.#daemons.map(({ name, output }) => `${name}: ${output.slice(-4000)}`).join("\n");
  }

  /** Starts a program that stays until the test ends. */
  daemon(space: Namespace, name: string, program: readonly string[], launch: Launch = {}): Daemon {
    const daemon = new Daemon(name, space.start(program, { hosts: this.hosts, ...launch }));
    this.#daemons.push(daemon);
    return daemon;
  }
}

export class Host {
  readonly space: Namespace;
  readonly addresses: Addresses;
  /** The devices at the network's end of the two wires: whoever watches them sees all that this host sends and gets. */
  readonly ports: Readonly<Record<"mesh" | "outside", string>>;
  readonly network: Network;

  constructor(network: Network, space: Namespace, addresses: Addresses, ports: Host["ports"]) {
    this.network = network;
    this.space = space;
    this.addresses = addresses;
    this.ports = ports;
  }

  /** Starts a server, as nobody in particular. */
  serve(name: string, ...program: readonly string[]): Daemon {
    return this.network.daemon(this.space, name, program, this.#nobody());
  }

  /** Runs a client to its end, as nobody in particular. */
  call(program: readonly string[], input?: string | Buffer): Promise<Outcome> {
    return this.space.exec(program, { ...this.#nobody(), ...(input === undefined ? {} : { input }) });
  }

  /** The same of a client that must succeed; what it printed. Rejects with what it said instead. */
  async ask(program: readonly string[], input?: string | Buffer): Promise<string> {
    const { code, stdout, stderr } = await this.call(program, input);
    if (code !== 0) throw new Error(`${program.join(" ")} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  #nobody(): Launch {
    const { dir, hosts } = this.network;
    // Programs look for their settings at home, and should find none.
    return { user: NOBODY, hosts, env: { HOME: dir } };
  }
}

function addressesOf(number: number): Addresses {
  return {
    mesh: { 4: `10.77.0.${number}`, 6: `fd77::${number}` },
    outside: { 4: `203.0.113.${number}`, 6: `2001:db8::${number}` },
  };
}
