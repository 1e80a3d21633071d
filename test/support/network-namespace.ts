/** Network namespaces that a test makes for itself: rules, addresses and routes of its own, gone with the test. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
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

/** Whether the test can go on: it is root on Linux, with `ip`, and may make network namespaces. */
export function requireNamespaces(t: TestContext, ...tools: readonly string[]): boolean {
  if (process.platform !== "linux") return without(t, "network namespaces are Linux's");
  if (process.getuid?.() !== 0) return without(t, "network namespaces need root");
  if (!["ip", "unshare", ...tools].every((tool) => requireTool(t, tool))) return false;
  const probe = spawnSync("unshare", ["--net", "true"], { encoding: "utf8" });
  return probe.status === 0 || without(t, `network namespaces can't be made here: ${probe.stderr}`);
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

export class Namespace {
  readonly name: string;
  readonly #t: TestContext;

  /** With `lo` up, and nothing else. */
  constructor(t: TestContext, label: string) {
    this.name = `outrigger-${process.pid}-${made++}-${label}`;
    this.#t = t;
    command("ip", "netns", "add", this.name);
    t.after(() => void spawnSync("ip", ["netns", "del", this.name]));
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

/** Two namespaces on one wire: `app` has 10.77.0.2 and fd77::2, `peer` 10.77.0.1 and fd77::1, and everything beyond. */
export function appAndPeer(t: TestContext): { readonly app: Namespace; readonly peer: Namespace } {
  const app = new Namespace(t, "app");
  const peer = new Namespace(t, "peer");
  const [near, far] = [`or${process.pid}a`, `or${process.pid}b`];
  command("ip", "link", "add", near, "netns", app.name, "type", "veth", "peer", "name", far, "netns", peer.name);
  for (const [space, device, host] of [
    [app, near, 2],
    [peer, far, 1],
  ] as const) {
    space.must("ip", "link", "set", device, "name", "eth0");
    space.must("ip", "address", "add", `10.77.0.${host}/24`, "dev", "eth0");
    space.must("ip", "address", "add", `fd77::${host}/64`, "dev", "eth0", "nodad");
    space.must("ip", "link", "set", "eth0", "up");
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
