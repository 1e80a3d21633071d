import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UserError } from "../../core/errors.ts";
import { runInit } from "./run-init.ts";
import type { CommandResult, System } from "./system.ts";
import { FLAGS } from "./testing/flags.ts";

const OK: CommandResult = { code: 0, stdout: "", stderr: "" };
const ABSENT: CommandResult = { code: null, stdout: "", stderr: "" };
const FILES: Readonly<Record<string, string>> = {
  "/proc/self/status": "CapEff:\t000001ffffffffff\n",
  "/proc/sys/net/ipv6/conf/all/disable_ipv6": "0\n",
};

/** A machine whose programs answer as given, by a part of their command line; it notes what was run. */
function fake(answers: Readonly<Record<string, CommandResult>>, files: Readonly<Record<string, string>> = {}) {
  const ran: string[] = [];
  const system: System = {
    run(program, args) {
      const line = [program, ...args].join(" ");
      ran.push(line);
      return Object.entries(answers).find(([part]) => line.startsWith(part))?.[1] ?? OK;
    },
    read: (file) => files[file] ?? FILES[file] ?? null,
    sleep: () => undefined,
  };
  return { system, ran };
}

function messageOf(act: () => void): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    return error.message;
  }
  assert.fail("nothing was refused");
}

const INIT = { ...FLAGS, ipv6: true, drainTimeS: 1 };

function refused(stderr: string, code = 1, command = "iptables-restore"): string {
  return messageOf(() => runInit(INIT, fake({ [command]: { code, stdout: "", stderr } }).system, "linux"));
}

describe("a machine that can't", () => {
  test("is no Linux", () => {
    assert.match(
      messageOf(() => runInit(INIT, fake({}).system, "darwin")),
      /this is darwin/,
    );
  });

  test("gives no rights: said before anything is run", () => {
    const { system, ran } = fake({}, { "/proc/self/status": "CapEff:\t0000000000001000\n" });
    assert.match(
      messageOf(() => runInit(INIT, system, "linux")),
      /needs root.*\(without NET_RAW\)$/,
    );
    assert.deepEqual(ran, []);
  });

  test("has no iptables, or no ip, or no ip6tables", () => {
    const say = (answers: Readonly<Record<string, CommandResult>>): string =>
      messageOf(() => runInit(INIT, fake(answers).system, "linux"));
    assert.match(
      say({ iptables: ABSENT }),
      /^iptables is not installed: none of iptables, iptables-nft, iptables-legacy/,
    );
    assert.match(say({ "ip ": ABSENT }), /^ip is not installed \(package iproute2\)$/);
    assert.match(say({ "ip6tables-save": ABSENT }), /^ip6tables-save is not installed .*--no-ipv6/);
  });

  test("has no module for a table or a rule: the module is named", () => {
    assert.match(
      refused("can't initialize iptables table `nat': Table does not exist"),
      /module iptable_nat is missing/,
    );
    assert.match(refused("iptables: Failed to initialize nft: Protocol not supported"), /module nf_tables is missing/);
    const rule = "RULE_APPEND failed (No such file or directory): rule in chain OUTRIGGER_OUTPUT";
    assert.match(refused(rule, 4), /refuses "-A OUTRIGGER_OUTPUT .*-m owner .*": is module xt_owner missing\?/);
    assert.match(
      refused("iptables-restore: line 16 failed"),
      /refuses "-A OUTRIGGER_IN_REDIRECT .*xt_REDIRECT missing/,
    );
    assert.match(refused("Another app is currently holding the xtables lock", 4), /holds the lock/);
    assert.match(refused("Permission denied (you must be root)", 4), /needs root/);
  });
});

test("where IPv6 fails, IPv4 and addresses are taken back", () => {
  const { system, ran } = fake({ "ip6tables-restore": { code: 1, stdout: "", stderr: "no" } });
  assert.match(
    messageOf(() => runInit(INIT, system, "linux")),
    /^ip6tables-restore .* failed: no; nothing was changed$/,
  );
  assert.ok(ran.indexOf("ip -6 address del ::6/128 dev lo") > ran.indexOf("ip6tables-restore --noflush -w 10"));
});

test("the next kind of tables is taken where the first does not work", () => {
  const broken = { code: 1, stdout: "", stderr: "Failed to initialize nft: Protocol not supported" };
  const { system, ran } = fake({ "iptables-save": broken, "iptables-nft-save": ABSENT });
  runInit(INIT, system, "linux");
  assert.ok(ran.includes("ip6tables-legacy-restore --noflush -w 10"));
});

test("another program is not taken for iptables", () => {
  const act = (): void => runInit({ ...INIT, iptables: "/bin/nft" }, fake({}).system, "linux");
  assert.throws(act, { message: '--iptables "/bin/nft": the program\'s name must begin with iptables', exitCode: 2 });
});
