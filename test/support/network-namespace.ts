/** Network namespaces that a test makes for itself: rules, addresses and routes of its own, gone with the test. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import type { AgentCommand, Greeting } from "./network-agent.ts";
import { requireTool } from "./tools.ts";

const AGENT = path.join(import.meta.dirname, "network-agent.ts");
/** After which a program or an agent is given up. */
const GIVE_UP_MS = 30_000;
const MAIN = path.join(import.meta.dirname, "..", "..", "cli", "main.ts");

let made = 0;
/** Whether everybody may read this checkout, also who isn't its owner. */
const READABLE = (function readable(file: string): boolean {
  const open = (statSync(file).mode & 0o001) !== 0;
  return open && (path.dirname(file) === file || readable(path.dirname(file)));
})(import.meta.dirname);

/** What a run that is ended from outside would leave behind. */
const names = new Set<string>();

process.once("exit", () => {
  for (const name of names) spawnSync("ip", ["netns", "del", name]);
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

/** Whether the test can go on: it is root on Linux, with `ip`, and may make network namespaces. */
export function requireNamespaces(t: TestContext, ...tools: readonly string[]): boolean {
  if (process.platform !== "linux") return without(t, "network namespaces are Linux's");
  if (process.getuid?.() !== 0) return without(t, "network namespaces need root");
  if (!["ip", "unshare", ...tools].every((tool) => requireTool(t, tool))) return false;
  const probe = spawnSync("unshare", ["--net", "true"], { encoding: "utf8" });
  return (
    probe.status === 0 || without(t, `network namespaces can't be made here: ${probe.error?.message ?? probe.stderr}`)
  );
}

/** Skips for want of rights, which nothing that is installed would give: no failure under `CI=true` either. */
function without(t: TestContext, reason: string): false {
  t.skip(reason);
  return false;
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is started in a namespace. */
export interface Launch {
  /** Whom it runs as, user and group by number. Default: root. */
  readonly user?: number;
  readonly group?: number;
  /** Capabilities that it keeps of root's, as setpriv names them: `net_admin`. */
  readonly capabilities?: readonly string[];
  /** A file that it sees in the place of /etc/hosts. */
  readonly hosts?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What things last for: a test, as a rule. */
export interface Scope {
  after(end: () => void | Promise<void>): void;
}

export class Namespace {
  readonly name: string;
  readonly #t: Scope;

  /** With `lo` up, and nothing else. */
  constructor(t: Scope, label: string) {
    this.name = `outrigger-${process.pid}-${made++}-${label}`;
    this.#t = t;
    command("ip", "netns", "add", this.name);
    names.add(this.name);
    t.after(() => {
      names.delete(this.name);
      spawnSync("ip", ["netns", "del", this.name]);
    });
    this.must("ip", "link", "set", "lo", "up");
  }

  /** Runs a program in it to its end. */
  run(...args: readonly string[]): Outcome {
    const { status, stdout, stderr } = spawnSync("ip", ["netns", "exec", this.name, ...args], {
      encoding: "utf8",
      timeout: GIVE_UP_MS,
    });
    return { code: status, stdout, stderr };
  }

  must(...args: readonly string[]): string {
    const { code, stdout, stderr } = this.run(...args);
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** Starts a program in it, which ends with this process at the latest, however that ends. */
  start(
    program: readonly string[],
    { user = 0, group = user, capabilities = [], hosts, env }: Launch = {},
  ): ChildProcess {
    // `ip netns exec` makes a mount namespace of its own, so that what is mounted is seen by this program alone.
    const mount = hosts === undefined ? [] : ["sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts];
    const ids = user === 0 ? [] : ["--reuid", `${user}`, "--regid", `${group}`, "--clear-groups"];
    // Programs are in the checkout, wherever that is.
    const kept = [...capabilities, ...(READABLE ? [] : ["dac_read_search"])].map((name) => `+${name}`).join(",");
    if (user !== 0 && kept !== "") for (const set of ["inh", "ambient"]) ids.push(`--${set}-caps`, kept);
    const command = [...mount, "setpriv", "--pdeathsig", "KILL", ...ids, "--", ...program];
    return spawn("ip", ["netns", "exec", this.name, ...command], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
  }

  /** Runs a program in it to its end, while the test goes on. */
  async exec(program: readonly string[], launch: Launch & { readonly input?: string | Buffer } = {}): Promise<Outcome> {
    const child = this.start(program, launch);
    const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    for (const name of ["stdout", "stderr"] as const)
      child[name]?.on("data", (chunk: Buffer) => chunks[name].push(chunk));
    // It may end without having read all.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(launch.input);
    const timer = setTimeout(() => child.kill("SIGKILL"), GIVE_UP_MS);
    await once(child, "close");
    clearTimeout(timer);
    const text = (name: keyof typeof chunks): string => Buffer.concat(chunks[name]).toString();
    return { code: child.exitCode, stdout: text("stdout"), stderr: text("stderr") };
  }

  /** The `outrigger` command. */
  outrigger(...args: readonly string[]): Outcome {
    return this.run(process.execPath, MAIN, ...args);
  }

  /** All rules, routing rules and addresses of `lo`; without what changes by itself: dates and counters. */
  state(kind = ""): string {
    const saves = ["iptables", "ip6tables"].map((name) => this.must(`${name}${kind}-save`));
    const rules = saves
      .join("")
      .replaceAll(/^#.*\n/gm, "")
      .replaceAll(/\[\d+:\d+\]/g, "[0:0]");
    const routing = [
      ["rule"],
      ["-6", "rule"],
      ["-o", "address", "show", "dev", "lo"],
      ["route", "show", "table", "all"],
    ];
    return [rules, ...routing.map((args) => this.must("ip", ...args))].join("\n");
  }

  agent(): Promise<Agent> {
    const child = spawn("ip", ["netns", "exec", this.name, process.execPath, AGENT], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const agent = new Agent(child);
    this.#t.after(() => agent.end());
    return Promise.resolve(agent);
  }
}

/** A process in a namespace that connects and listens (`network-agent.ts`). */
export class Agent {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    assert.ok(child.stdout !== null);
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Rejects with what went wrong, a code where there is one. */
  async tell(command: AgentCommand): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), GIVE_UP_MS);
    const { value, done } = await this.#lines.next();
    clearTimeout(timer);
    if (done) throw new Error("the agent has ended");
    const answer = JSON.parse(value) as { readonly value?: unknown; readonly error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.value;
  }

  async listen(host: string, ...ports: readonly number[]): Promise<void> {
    for (const port of ports) await this.tell({ listen: { host, port } });
  }

  /** Who answered at an address, and what it knew of the connection. */
  async connect(host: string, port: number, more: { readonly from?: string; readonly keep?: string } = {}) {
    return (await this.tell({ connect: { host, port, ...more } })) as Greeting;
  }

  async end(): Promise<void> {
    const exited = this.#child.exitCode === null ? once(this.#child, "exit") : null;
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), GIVE_UP_MS);
    await exited;
    clearTimeout(timer);
  }
}

/** Lays a wire: a pair of devices, `[namespace, name]` each, that are up. */
export function wire(...ends: readonly [readonly [Namespace, string], readonly [Namespace, string]]): void {
  const [near, far] = [`or${process.pid}a`, `or${process.pid}b`];
  const [[left], [right]] = ends;
  command("ip", "link", "add", near, "netns", left.name, "type", "veth", "peer", "name", far, "netns", right.name);
  for (const [[space, name], device] of [
    [ends[0], near],
    [ends[1], far],
  ] as const) {
    space.must("ip", "link", "set", device, "name", name);
    space.must("ip", "link", "set", name, "up");
  }
}

/** Two namespaces on one wire: `app` has 10.77.0.2 and fd77::2, `peer` 10.77.0.1 and fd77::1, and everything beyond. */
export function appAndPeer(t: TestContext): { readonly app: Namespace; readonly peer: Namespace } {
  const app = new Namespace(t, "app");
  const peer = new Namespace(t, "peer");
  wire([app, "eth0"], [peer, "eth0"]);
  for (const [space, host] of [
    [app, 2],
    [peer, 1],
  ] as const) {
    space.must("ip", "address", "add", `10.77.0.${host}/24`, "dev", "eth0");
    space.must("ip", "address", "add", `fd77::${host}/64`, "dev", "eth0", "nodad");
  }
  app.must("ip", "route", "add", "default", "via", "10.77.0.1");
  app.must("ip", "-6", "route", "add", "default", "via", "fd77::1");
  // Addresses further away, which the peer has all the same.
  for (const address of ["192.0.2.7/32", "198.51.100.7/32"]) peer.must("ip", "address", "add", address, "dev", "lo");
  peer.must("ip", "address", "add", "2001:db8::7/128", "dev", "lo");
  return { app, peer };
}

function command(...[program = "", ...args]: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${stderr}`);
}
