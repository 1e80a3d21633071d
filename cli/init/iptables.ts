/** The iptables programs of this machine, of whichever kind, and what they mean when they refuse. */
import path from "node:path";
import { UserError } from "../../core/errors.ts";
import { parseSaved, type SavedTables } from "./saved-rules.ts";
import type { Family } from "./settings.ts";
import { type CommandResult, type System, withoutIpv6 } from "./system.ts";

/** Tried in this order: what the machine calls `iptables` is what its other programs use too. */
const CANDIDATES = ["iptables", "iptables-nft", "iptables-legacy"];

/** How long, in seconds, another program may hold the lock of the old kind of tables. */
const LOCK_WAIT_S = "10";

/** Which module gives a kernel what a rule needs, by a word of the rule. */
const MODULES: readonly (readonly [RegExp, string])[] = [
  [/-m owner/, "xt_owner"],
  [/-j TPROXY/, "xt_TPROXY"],
  [/-j REDIRECT/, "xt_REDIRECT"],
  [/-m connmark|-j CONNMARK/, "xt_connmark"],
  [/-m addrtype/, "xt_addrtype"],
  [/-m conntrack/, "xt_conntrack"],
  [/-j MARK/, "xt_mark"],
];

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly input?: string;
}

/** One family's programs. */
export class Iptables {
  readonly family: Family;
  readonly #system: System;
  readonly #program: string;

  /** `program`: the IPv4 one, by name or path. */
  constructor(system: System, program: string, family: Family) {
    this.family = family;
    this.#system = system;
    const name = path.basename(program);
    const own = family === 4 ? name : name.replace("iptables", "ip6tables");
    this.#program = program.slice(0, program.length - name.length) + own;
  }

  /** Throws a UserError that says what is missing. */
  saved(): SavedTables {
    const result = this.trySave();
    if (result.code !== 0) throw refusal(this.command(["-save"]), result);
    return parseSaved(result.stdout);
  }

  trySave(): CommandResult {
    return this.#system.run(`${this.#program}-save`, []);
  }

  /** Changes rules and leaves others' alone. */
  change(script: string): Command {
    return this.command(["-restore", "--noflush", "-w", LOCK_WAIT_S], script);
  }

  /** Replaces whole tables. */
  replace(script: string): Command {
    return this.command(["-restore", "-w", LOCK_WAIT_S], script);
  }

  private command([suffix, ...args]: readonly string[], input?: string): Command {
    return { program: this.#program + suffix, args, ...(input === undefined ? {} : { input }) };
  }
}

/** The program to use: `named`, else the first that works here. Throws a UserError where there is none. */
export function findIptables(system: System, named: string | undefined): string {
  let failed: UserError | null = null;
  for (const program of named === undefined ? CANDIDATES : [named]) {
    const iptables = new Iptables(system, program, 4);
    const result = iptables.trySave();
    if (result.code === 0) return program;
    if (result.code !== null) failed ??= refusal({ program: `${program}-save`, args: [] }, result);
  }
  if (failed !== null) throw failed;
  const missing = named === undefined ? `none of ${CANDIDATES.join(", ")} is on the PATH` : `there is no ${named}-save`;
  throw new UserError(`iptables is not installed: ${missing} (Debian and Alpine: package iptables)`);
}

/** The families to intercept; `note` says why IPv6 is not among them. */
export function familiesHere(system: System): { readonly families: readonly Family[]; readonly note?: string } {
  const reason = withoutIpv6(system);
  return reason === null ? { families: [4, 6] } : { families: [4], note: `${reason}: only IPv4 is intercepted` };
}

/** What it means that a command failed, in one sentence. */
export function refusal({ program, args, input }: Command, { code, stderr }: CommandResult): UserError {
  const name = path.basename(program);
  const said = stderr.split("\n").find((line) => line.trim() !== "" && !line.startsWith("#")) ?? `exit code ${code}`;
  if (code === null) {
    const from = name.startsWith("ip6tables") ? "it belongs to iptables; --no-ipv6 does without" : "package iproute2";
    return new UserError(`${name} is not installed (${from})`);
  }
  if (/you must be root|Operation not permitted|Permission denied/.test(stderr))
    return new UserError(rightsNeeded(said));
  if (/lock|Resource temporarily unavailable/.test(stderr) && code === 4) {
    return new UserError(`another program holds the lock of the rules for more than ${LOCK_WAIT_S} s: ${said}`);
  }
  const table = /can't initialize (?:iptables|ip6tables) table [`'"](\w+)/.exec(stderr)?.[1];
  if (table !== undefined) {
    const module = `${name.startsWith("ip6") ? "ip6table" : "iptable"}_${table}`;
    return new UserError(`the kernel has no table "${table}": module ${module} is missing (${said})`);
  }
  if (/Failed to initialize nft|Protocol not supported/.test(stderr)) {
    return new UserError(
      `the kernel has no nf_tables: module nf_tables is missing, or name --iptables iptables-legacy (${said})`,
    );
  }
  const rule = refusedRule(stderr, input);
  if (rule !== null) return new UserError(`${name}: the kernel refuses "${rule}"${moduleOf(rule)} (${said})`);
  return new UserError(`${[name, ...args].join(" ")} failed: ${said}`);
}

export function rightsNeeded(why: string): string {
  return `changing rules needs root, or the capabilities NET_ADMIN and NET_RAW in this network namespace (${why})`;
}

/** The rule that a message points to by its line, or by the chain at whose end it could not be put. */
function refusedRule(stderr: string, input = ""): string | null {
  const line = /line:? (\d+)/.exec(stderr)?.[1];
  const rule = line === undefined ? undefined : input.split("\n")[Number(line) - 1];
  if (rule?.startsWith("-")) return rule;
  const chain = /rule in chain (\w+)/.exec(stderr)?.[1];
  const rules = input.split("\n").filter((text) => text.startsWith(`-A ${chain} `));
  return rules.find((text) => moduleOf(text) !== "") ?? null;
}

function moduleOf(rule: string): string {
  const module = MODULES.find(([pattern]) => pattern.test(rule))?.[1];
  return module === undefined ? "" : `: is module ${module} missing?`;
}
