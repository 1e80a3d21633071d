/** The network namespace of `outrigger run`, without a mesh: what is seen inside, and what is left when it ends. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { machine } from "../cli/init/system.ts";
import { InsideSockets } from "../cli/run/inside.ts";
import { NameFiles } from "../cli/run/name-files.ts";
import { Namespace } from "../cli/run/namespace.ts";
import { setUpNetwork } from "../cli/run/network.ts";
import { publish } from "../cli/run/published-ports.ts";
import { loadSystemSockets } from "../proxy/listener/system-sockets.ts";
import { requireNamespaces } from "./support/network-namespace.ts";

const TOOLS = ["iptables", "nsenter"];

async function namespaceOf(t: TestContext): Promise<Namespace> {
  const namespace = await Namespace.make();
  t.after(() => namespace.close());
  return namespace;
}

/** Processes in the namespace. */
function inhabitants(inode: number): string {
  return spawnSync("sh", ["-c", "ls -Ldi /proc/[0-9]*/ns/net 2>/dev/null"], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => line.trim().startsWith(`${inode} `))
    .join("\n");
}

async function isEmpty(inode: number): Promise<void> {
  for (let i = 0; i < 100 && inhabitants(inode) !== ""; i++) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(inhabitants(inode), "");
}

/** What a program inside writes, and how it ends. */
async function run(namespace: Namespace, ...[program = "", ...args]: readonly string[]) {
  const { code, stdout, stderr } = namespace.system.run(program, args);
  return { code, output: stdout + stderr };
}

test("every destination has a route, TCP to anywhere comes to the sidecar's port, and nothing leaves", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const before = machine.run("sh", ["-c", "ip -o address; ip -o link; ip route show table all; iptables-save"]).stdout;
  const namespace = await namespaceOf(t);
  const families = setUpNetwork(namespace.system, machine);
  const sockets = await loadSystemSockets();
  assert.ok(sockets);
  const inside = new InsideSockets(sockets, namespace.path);
  const server = await inside.server("127.0.0.1", 15_001);
  t.after(() => server.close());
  const arrived = once(server, "connection") as Promise<[net.Socket]>;
  const caller = inside.connect("203.0.113.9", 80);
  t.after(() => caller.destroy());
  const [socket] = await arrived;
  assert.equal(socket.remoteAddress, "192.0.0.8");
  socket.destroy();
  if (families.includes(6)) {
    const route = await run(namespace, "ip", "-6", "route", "get", "2001:db8::1");
    assert.match(route.output, /dev outrigger0 .*src fd6f:/);
  }
  // What the sidecar hands on to the program goes straight to it.
  const program = await inside.server("127.0.0.1", 8080);
  t.after(() => program.close());
  const direct = once(program, "connection") as Promise<[net.Socket]>;
  inside.connect("127.0.0.1", 8080).on("error", () => undefined);
  (await direct)[0].destroy();
  assert.equal(
    machine.run("sh", ["-c", "ip -o address; ip -o link; ip route show table all; iptables-save"]).stdout,
    before,
  );
});

test("a program has the machine's files, but its own hosts and name server", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const namespace = await namespaceOf(t);
  // Without an address of a family the C library gives none of it.
  setUpNetwork(namespace.system, machine);
  const machineHosts = readFileSync("/etc/hosts", "utf8");
  const files = new NameFiles(namespace, "127.0.0.53");
  files.setNames(new Map([["orders", ["240.240.0.7"]]]));
  const { output } = await run(namespace, "getent", "ahostsv4", "orders");
  assert.match(output, /^240\.240\.0\.7 /);
  assert.match((await run(namespace, "cat", "/etc/resolv.conf")).output, /^nameserver 127\.0\.0\.53$/m);
  files.setNames(new Map());
  assert.doesNotMatch((await run(namespace, "cat", "/etc/hosts")).output, /orders/);
  assert.match((await run(namespace, "getent", "ahostsv4", "localhost")).output, /^127\.0\.0\.1 /);
  assert.equal(readFileSync("/etc/hosts", "utf8"), machineHosts);
  // Also for those who are not root.
  assert.equal((await run(namespace, "setpriv", "--reuid=12345", "cat", "/etc/hosts")).code, 0);
});

test("a program has the caller's directory, environment and exit code, and may be another user", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const namespace = await namespaceOf(t);
  const script = `[ "$PWD" = "${process.cwd()}" ] && [ "$X" = 1 ] && [ "$HOME" = /h ] && [ "$(id -u):$(id -G)" = 7:8 ] && exit 42`;
  const env = { PATH: process.env["PATH"], X: "1" };
  const child = namespace.start("sh", ["-c", script], env, { uid: 7, gid: 8, env: { HOME: "/h" } });
  assert.deepEqual(await once(child, "exit"), [42, null]);
  const missing = namespace.start("/no/such/program", [], env, null);
  assert.deepEqual(await once(missing, "exit"), [127, null]);
});

test("a published port leads to the program, both ways and half-closed", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const namespace = await namespaceOf(t);
  assert.equal((await run(namespace, "ip", "link", "set", "lo", "up")).code, 0);
  const sockets = await loadSystemSockets();
  assert.ok(sockets);
  const inside = new InsideSockets(sockets, namespace.path);
  const program = await inside.server("127.0.0.1", 80);
  program.on("connection", (socket: net.Socket) => socket.pipe(socket));
  const server = await publish({ host: "127.0.0.1", port: 0, inside: 80 }, inside);
  t.after(() => {
    server.close();
    program.close();
  });
  const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  const big = Buffer.alloc(1_000_000, "x");
  socket.end(big);
  let got = 0;
  socket.on("data", (chunk: Buffer) => {
    got += chunk.length;
  });
  await once(socket, "close");
  assert.equal(got, big.length);
});

test("what a program cuts off does not look like an end to who called its published port", async (t) => {
  if (!requireNamespaces(t, ...TOOLS)) return;
  const namespace = await namespaceOf(t);
  assert.equal((await run(namespace, "ip", "link", "set", "lo", "up")).code, 0);
  const sockets = await loadSystemSockets();
  assert.ok(sockets);
  const inside = new InsideSockets(sockets, namespace.path);
  const program = await inside.server("127.0.0.1", 80);
  program.on("connection", (socket: net.Socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.write("half an ans", () => socket.resetAndDestroy()));
  });
  const server = await publish({ host: "127.0.0.1", port: 0, inside: 80 }, inside);
  t.after(() => {
    server.close();
    program.close();
  });
  const call = async (): Promise<string> => {
    const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
    socket.write("a question");
    socket.resume();
    const [error] = (await Promise.race([once(socket, "error"), once(socket, "end")])) as [NodeJS.ErrnoException?];
    return error?.code ?? "end";
  };
  assert.equal(await call(), "ECONNRESET");
  program.close();
  assert.equal(await call(), "ECONNRESET", "nobody listens");
});

/** This process's part of a run, as a process that can be killed; a daemon of the program has left its session. */
const RUNNER = path.join(import.meta.dirname, "support", "namespace-runner.ts");

async function runner(
  t: TestContext,
): Promise<{ readonly child: ChildProcess; readonly inode: number; holder: number }> {
  const child = spawn(process.execPath, [RUNNER], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const holder = Number(line.toString());
  const { ino } = statSync(`/proc/${holder}/ns/net`);
  while (!/\n.*\n/.test(inhabitants(ino))) await new Promise((resolve) => setTimeout(resolve, 20));
  return { child, inode: ino, holder };
}

for (const [how, kill] of [
  ["the sidecar is killed", ({ child }: { child: ChildProcess }) => child.kill("SIGKILL")],
  ["the holder is killed", ({ holder }: { holder: number }) => process.kill(holder, "SIGKILL")],
] as const) {
  test(`nothing is left in the namespace when ${how}, daemons included`, async (t) => {
    if (!requireNamespaces(t, ...TOOLS)) return;
    const running = await runner(t);
    kill(running);
    await isEmpty(running.inode);
  });
}
