/** `outrigger init` in network namespaces, with a stand-in for the sidecar that says where connections were going. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { Greeting } from "./support/network-agent.ts";
import { type Agent, appAndPeer, Namespace, requireNamespaces } from "./support/network-namespace.ts";
import { findTool } from "./support/tools.ts";

const OUTBOUND = 15_001;
const INBOUND = 15_006;
const SIDECAR = 1337;

interface World {
  readonly app: Namespace;
  /** A program in the namespace with the rules, which serves 8080 and 9090. */
  readonly program: Agent;
  /** The stand-in for the sidecar. */
  readonly sidecar: Agent;
  /** Another machine, which serves 80, 443 and 53 at all its addresses. */
  readonly peer: Agent;
}

async function world(t: TestContext): Promise<World> {
  const { app, peer } = appAndPeer(t);
  const [program, sidecar, other] = await Promise.all([app.agent(), app.agent(), peer.agent()]);
  await program.listen("::", 8080, 9090);
  await program.tell({ become: { uid: 1000, gid: 1000 } });
  // IPv4 arrives at sockets of IPv6.
  await sidecar.listen("::", OUTBOUND, INBOUND);
  await sidecar.tell({ become: { uid: SIDECAR, gid: SIDECAR } });
  await other.listen("::", 80, 443, 53);
  return { app, program, sidecar, peer: other };
}

function init(space: Namespace, ...args: readonly string[]): void {
  const { code, stderr } = space.outrigger("init", ...args);
  assert.equal(code, 0, stderr);
}

/** The connection came to the sidecar's port `at`, which knows that it was going to `host` and `port`. */
function intercepted(greeting: Greeting, at: number, host: string, port: number): void {
  assert.deepEqual([greeting.at, greeting.original], [at, { host, port }]);
}

/** The connection went straight to the port `at`. */
function straight(greeting: Greeting, at: number): void {
  assert.deepEqual([greeting.at, greeting.original], [at, null]);
}

describe("interception", { concurrency: 2 }, () => {
  test("outbound and inbound connections come to the sidecar with their destination, IPv4 and IPv6", async (t) => {
    if (!requireNamespaces(t, "iptables")) return;
    const { app, program, sidecar, peer } = await world(t);
    init(app);
    intercepted(await program.connect("192.0.2.7", 80), OUTBOUND, "192.0.2.7", 80);
    intercepted(await program.connect("2001:db8::7", 443), OUTBOUND, "2001:db8::7", 443);
    intercepted(await peer.connect("10.77.0.2", 8080), INBOUND, "10.77.0.2", 8080);
    intercepted(await peer.connect("fd77::2", 9090), INBOUND, "fd77::2", 9090);
    // Where nobody listens, the sidecar is asked as well.
    intercepted(await peer.connect("10.77.0.2", 1234), INBOUND, "10.77.0.2", 1234);

    // The sidecar itself gets out, and its own ports are not intercepted.
    straight(await sidecar.connect("192.0.2.7", 80), 80);
    straight(await sidecar.connect("2001:db8::7", 80), 80);
    straight(await peer.connect("10.77.0.2", INBOUND), INBOUND);
    straight(await peer.connect("fd77::2", OUTBOUND), OUTBOUND);
    // DNS over TCP goes where UDP goes.
    straight(await program.connect("192.0.2.7", 53), 53);
  });

  test("calls to oneself work and don't loop", async (t) => {
    if (!requireNamespaces(t, "iptables")) return;
    const { app, program, sidecar } = await world(t);
    init(app, "--exclude-inbound-ports", "9090");
    for (const [own, loopback, source] of [
      ["10.77.0.2", "127.0.0.1", "127.0.0.6"],
      ["fd77::2", "::1", "::6"],
    ] as const) {
      straight(await program.connect(own, 8080), 8080);
      straight(await program.connect(loopback, 8080), 8080);
      straight(await sidecar.connect(loopback, 8080), 8080);
      // A call that the sidecar sends to its own workload comes in as one from another would: excluded ports do not.
      intercepted(await sidecar.connect(own, 8080), INBOUND, own, 8080);
      straight(await sidecar.connect(own, 9090), 9090);
      // What came in goes on to the application.
      const handedOn = await sidecar.connect(own, 8080, { from: source });
      straight(handedOn, 8080);
      assert.equal(handedOn.from.replace("::ffff:", ""), source);
    }
  });

  test("includes and excludes by port, range and interface", async (t) => {
    if (!requireNamespaces(t, "iptables")) return;
    const { app, program, peer } = await world(t);
    init(app, "--exclude-outbound-ports", "443", "--exclude-outbound-ip-ranges", "198.51.100.0/24,fd77::/16");
    straight(await program.connect("192.0.2.7", 443), 443);
    straight(await program.connect("198.51.100.7", 80), 80);
    straight(await program.connect("fd77::1", 80), 80);
    intercepted(await program.connect("192.0.2.7", 80), OUTBOUND, "192.0.2.7", 80);
    intercepted(await program.connect("2001:db8::7", 80), OUTBOUND, "2001:db8::7", 80);

    init(app, "--include-outbound-ip-ranges", "198.51.100.0/24", "--include-outbound-ports", "443,53");
    intercepted(await program.connect("198.51.100.7", 80), OUTBOUND, "198.51.100.7", 80);
    intercepted(await program.connect("192.0.2.7", 443), OUTBOUND, "192.0.2.7", 443);
    intercepted(await program.connect("192.0.2.7", 53), OUTBOUND, "192.0.2.7", 53);
    intercepted(await program.connect("2001:db8::7", 443), OUTBOUND, "2001:db8::7", 443);
    straight(await program.connect("192.0.2.7", 80), 80);
    straight(await program.connect("2001:db8::7", 80), 80);

    init(app, "--include-inbound-ports", "8080", "--exclude-inbound-ip-ranges", "fd77::1");
    intercepted(await peer.connect("10.77.0.2", 8080), INBOUND, "10.77.0.2", 8080);
    straight(await peer.connect("10.77.0.2", 9090), 9090);
    straight(await peer.connect("fd77::2", 8080), 8080);

    init(app, "--exclude-interfaces", "eth0");
    straight(await peer.connect("10.77.0.2", 8080), 8080);
    straight(await program.connect("192.0.2.7", 80), 80);
  });

  test("TPROXY keeps the caller's address, all the way to the application", async (t) => {
    if (!requireNamespaces(t, "iptables")) return;
    const { app, peer: far } = appAndPeer(t);
    const [program, sidecar, peer] = await Promise.all([app.agent(), app.agent(), far.agent()]);
    await program.listen("::", 8080, 9090);
    await program.tell({ become: { uid: 1000, gid: 1000 } });
    // A socket of IPv4 alone.
    await sidecar.listen("127.0.0.1", OUTBOUND);
    // A transparent socket needs rights: the sidecar is known by its group.
    await sidecar.tell({ listen: { host: "::", port: INBOUND, transparent: true } });
    await sidecar.tell({ become: { gid: SIDECAR } });
    await peer.listen("::", 80);
    init(app, "--inbound-mode", "tproxy", "--proxy-gid", String(SIDECAR), "--exclude-inbound-ports", "9090");

    const four = await peer.connect("10.77.0.2", 8080, { keep: "four" });
    intercepted(four, INBOUND, "10.77.0.2", 8080);
    assert.equal(four.from, "::ffff:10.77.0.1");
    const six = await peer.connect("fd77::2", 8080);
    intercepted(six, INBOUND, "fd77::2", 8080);
    assert.equal(six.from, "fd77::1");
    straight(await peer.connect("10.77.0.2", 9090), 9090);
    intercepted(await program.connect("192.0.2.7", 80), OUTBOUND, "192.0.2.7", 80);
    straight(await sidecar.connect("192.0.2.7", 80), 80);
    intercepted(await sidecar.connect("10.77.0.2", 8080), INBOUND, "10.77.0.2", 8080);
    straight(await program.connect("10.77.0.2", 8080), 8080);

    const handedOn = (await sidecar.tell({ spoof: { host: "10.77.0.2", port: 8080, from: "10.77.0.1" } })) as Greeting;
    straight(handedOn, 8080);
    assert.equal(handedOn.from, "::ffff:10.77.0.1");
    assert.equal(await peer.tell({ talk: "four" }), "x");
    // With SYN cookies nothing but the last packet of the handshake says that there is a connection.
    app.must("sh", "-c", "echo 2 >/proc/sys/net/ipv4/tcp_syncookies");
    intercepted(await peer.connect("10.77.0.2", 8080), INBOUND, "10.77.0.2", 8080);
  });

  test("connections that are open live through init, another init, and the drain of cleanup", async (t) => {
    if (!requireNamespaces(t, "iptables")) return;
    const { app, program, peer } = await world(t);
    straight(await program.connect("192.0.2.7", 80, { keep: "before" }), 80);
    straight(await peer.connect("10.77.0.2", 8080, { keep: "before" }), 8080);
    init(app);
    intercepted(await program.connect("192.0.2.7", 80, { keep: "out" }), OUTBOUND, "192.0.2.7", 80);
    intercepted(await peer.connect("fd77::2", 8080, { keep: "in" }), INBOUND, "fd77::2", 8080);
    init(app, "--exclude-outbound-ports", "443");
    for (const name of ["before", "out"]) assert.equal(await program.tell({ talk: name }), "x", name);
    for (const name of ["before", "in"]) assert.equal(await peer.tell({ talk: name }), "x", name);

    const { code, stderr } = app.outrigger("init", "--cleanup", "--drain-time-s", "0.3");
    assert.equal(code, 0);
    assert.match(stderr, /2 intercepted connections were still open/);
    for (const agent of [program, peer]) assert.equal(await agent.tell({ talk: "before" }), "x");
    straight(await program.connect("192.0.2.7", 80), 80);
    straight(await peer.connect("fd77::2", 8080), 8080);
  });
});

describe("the rules of a namespace", { concurrency: 2 }, () => {
  for (const kind of ["-nft", "-legacy"]) {
    for (const mode of ["redirect", "tproxy"]) {
      test(`are as before after cleanup, and twice is once (iptables${kind}, ${mode})`, (t) => {
        if (!requireNamespaces(t, "iptables", `iptables${kind}`)) return;
        const space = new Namespace(t, "rules");
        const args = ["init", "--iptables", `iptables${kind}`];
        // The old kind of tables can't be unmade: they are there, empty, from the first look at them.
        if (kind === "-legacy")
          for (const name of ["iptables-legacy", "ip6tables-legacy"])
            for (const table of ["nat", "mangle"]) space.must(name, "-t", table, "-S");
        const fresh = space.state(kind);
        init(space, ...args.slice(1), "--inbound-mode", mode);
        const once = space.state(kind);
        assert.notEqual(once, fresh);
        init(space, ...args.slice(1), "--inbound-mode", mode);
        assert.equal(space.state(kind), once);
        init(space, ...args.slice(1), "--inbound-mode", mode === "tproxy" ? "redirect" : "tproxy");
        assert.notEqual(space.state(kind), once);
        assert.equal(space.outrigger(...args, "--cleanup").stdout, "interception is removed\n");
        assert.equal(space.state(kind), fresh);
        assert.equal(space.outrigger(...args, "--cleanup").stdout, "nothing is intercepted\n");

        // Rules of others stay, with their order and among ours.
        for (const name of ["iptables", "ip6tables"]) {
          space.must(name + kind, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "7", "-j", "RETURN");
          space.must(name + kind, "-t", "mangle", "-N", "OTHER");
        }
        space.must("ip", "-6", "address", "add", "::6/128", "dev", "lo", "nodad");
        const others = space.state(kind);
        init(space, ...args.slice(1), "--inbound-mode", mode);
        for (const name of ["iptables", "ip6tables"])
          space.must(name + kind, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "9", "-j", "RETURN");
        const between = space.state(kind);
        init(space, ...args.slice(1), "--inbound-mode", mode);
        assert.equal(space.state(kind), between);
        for (const name of ["iptables", "ip6tables"])
          space.must(name + kind, "-t", "nat", "-D", "OUTPUT", "-p", "tcp", "--dport", "9", "-j", "RETURN");
        assert.equal(space.outrigger(...args, "--cleanup").code, 0);
        assert.equal(space.state(kind), others);
      });
    }
  }

  test("are what --dry-run prints", (t) => {
    if (!requireNamespaces(t, "iptables")) return;
    const [printed, applied] = [new Namespace(t, "printed"), new Namespace(t, "applied")];
    const args = [
      "--inbound-mode",
      "tproxy",
      "--proxy-uid",
      "7,8",
      "--exclude-outbound-ip-ranges",
      "10.1.2.3,fd00::/9",
    ];
    const before = printed.state();
    const dry = printed.outrigger("init", "--dry-run", ...args);
    assert.equal(dry.code, 0, dry.stderr);
    assert.equal(printed.state(), before);
    printed.must("sh", "-ec", dry.stdout);
    init(applied, ...args);
    assert.equal(printed.state(), applied.state());
    printed.must("sh", "-ec", printed.outrigger("init", "--dry-run", "--cleanup").stdout);
    assert.equal(printed.state(), before);
  });

  test("are as they were where a step fails in the middle", (t) => {
    if (!requireNamespaces(t, "iptables")) return;
    const space = new Namespace(t, "failing");
    const dir = mkdtempSync(path.join(tmpdir(), "outrigger-iptables-"));
    t.after(() => rmSync(dir, { recursive: true }));
    const real = (name: string): string => `exec "${findTool(name)}" "$@"`;
    const tool = (name: string, script: string): void => {
      const file = path.join(dir, name);
      writeFileSync(file, `#!/bin/sh\n${script}\n`);
      chmodSync(file, 0o755);
    };
    for (const name of ["iptables-save", "iptables-restore", "ip6tables-save"]) tool(name, real(name));
    // Puts the first table in force and fails at the second, as a kernel without TPROXY does.
    const restore = findTool("ip6tables-restore");
    tool(
      "ip6tables-restore",
      `input=$(cat); case "$input" in *TPROXY*) ;; *) echo "$input" | "${restore}" "$@"; exit;; esac\n` +
        `echo "$input" | sed '/^\\*mangle/,$d' | "${restore}" "$@"; echo "rule in chain OUTRIGGER_IN_TPROXY" >&2; exit 4`,
    );
    const fails = (): void => {
      const args = ["--iptables", path.join(dir, "iptables"), "--inbound-mode", "tproxy"];
      const { code, stderr } = space.outrigger("init", ...args);
      assert.equal(code, 1);
      assert.match(stderr, /^outrigger: ip6tables-restore: .*is module xt_TPROXY missing\? .*; nothing was changed\n$/);
    };

    const fresh = space.state();
    fails();
    assert.equal(space.state(), fresh);
    init(space, "--exclude-outbound-ports", "443");
    const first = space.state();
    fails();
    assert.equal(space.state(), first, "what was in force stays in force");
  });

  test("need rights, which a refusal names", (t) => {
    if (!requireNamespaces(t, "iptables", "setpriv")) return;
    const space = new Namespace(t, "rights");
    const before = space.state();
    const command = [process.execPath, path.join(import.meta.dirname, "..", "cli", "main.ts"), "init"];
    const bare = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", ...command];
    const refused = space.run(...bare);
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /^outrigger: changing rules needs root, or the capabilities .* \(without NET_ADMIN\)\n$/,
    );
    const dry = space.run(...bare, "--dry-run");
    assert.equal(dry.code, 0);
    assert.match(dry.stdout, /^iptables-restore --noflush/m);
    assert.equal(space.state(), before);
  });

  test("are IPv4's alone where there is no IPv6", (t) => {
    if (!requireNamespaces(t, "iptables")) return;
    const space = new Namespace(t, "ipv4");
    space.must("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6");
    const { code, stdout, stderr } = space.outrigger("init");
    assert.deepEqual([code, stdout.slice(0, 8)], [0, "IPv4 con"]);
    assert.match(stderr, /IPv6 is switched off here .*: only IPv4 is intercepted/);
    assert.equal(space.must("ip6tables-save"), "");
  });
});
