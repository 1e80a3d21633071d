/** `outrigger proxy --concurrency 2` as a process of its own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import type { Fault } from "./fault-in-worker.ts";
import { bootstrapOf, type ProxyConfig } from "./running-proxy.ts";
import { eventually } from "./running-workers.ts";

const root = path.dirname(path.dirname(import.meta.dirname));

export interface ProxyCommand {
  readonly port: number;
  readonly admin: string;
  /** A folder of its own, gone at the test's end. */
  readonly dir: string;
  readonly child: ChildProcess;
  /** What it has written to standard error, and to standard output. */
  log(): string;
  output(): string;
  fault(fault: Fault): void;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export interface CommandFlags {
  readonly node?: readonly string[];
  readonly proxy?: readonly string[];
}

/** Starts it with a hand in its workers; resolves when it is ready. It is ended at the test's end. */
export async function startCommand(
  t: TestContext,
  config: ProxyConfig,
  { node = [], proxy = [] }: CommandFlags = {},
): Promise<ProxyCommand> {
  const dir = mkdtempSync(path.join(tmpdir(), "outrigger-workers-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [port = 0, adminPort = 0] = await freePorts(2);
  const at = (port_value: number) => ({ address: { socket_address: { address: "127.0.0.1", port_value } } });
  const file = path.join(dir, "envoy.json");
  const listener = { ...config.listener, ...at(port) };
  writeFileSync(file, JSON.stringify({ admin: at(adminPort), ...bootstrapOf({ ...config, listener }) }));
  const args = [...node, "--import", path.join(root, "test/support/fault-in-worker.ts"), "cli/main.ts"];
  const child = spawn(
    process.execPath,
    [...args, "proxy", "-c", file, "--concurrency", "2", "--drain-time-s", "1", ...proxy],
    {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    },
  );
  const ended = once(child, "exit");
  let log = "";
  let output = "";
  child.stderr?.on("data", (data) => {
    log += data;
  });
  child.stdout?.on("data", (data) => {
    output += data;
  });
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const admin = `http://127.0.0.1:${adminPort}`;
  await eventually(async () => {
    assert.ok(child.exitCode === null, log);
    return fetch(`${admin}/ready`).then(
      ({ status }) => status === 200,
      () => false,
    );
  });
  return { port, admin, dir, child, log: () => log, output: () => output, fault: (fault) => void child.send(fault) };
}
