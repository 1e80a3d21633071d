/** Which commands bring the machine from what is in force to what is wanted, and which take each of them back. */
import { type Command, Iptables, refusal } from "./iptables.ts";
import { ownTables, removeTables, restoreScript, type WantedTables, withoutJumps } from "./restore-script.ts";
import { allRouting, isNeeded, type RoutingObject } from "./routes.ts";
import { rulesFor } from "./rules.ts";
import { NEW_TABLE, type SavedTables, wantedRules } from "./saved-rules.ts";
import { FAMILIES, type Family, type Interception } from "./settings.ts";
import type { System } from "./system.ts";

export interface Step {
  readonly title: string;
  readonly command: Command;
  /** What takes it back, as the machine then is; it may have been done in part. */
  undo(): readonly Command[];
}

/** Waits until no connection is open at these ports. */
export interface DrainStep {
  readonly drain: readonly number[];
}

export type Plan = readonly (Step | DrainStep)[];

export interface Machine {
  readonly system: System;
  /** The iptables to use, by name or path. */
  readonly program: string;
  /** Whether what is in force can be read; where not, nothing is taken to be. */
  readonly readable: boolean;
}

const NONE: SavedTables = new Map();

/**
 * Brings `settings` into force for `families`, and takes away what an earlier run did and these do not ask for. Throws a
 * UserError where the machine lacks a program.
 */
export function planInterception(machine: Machine, settings: Interception, families: readonly Family[]): Plan {
  const routing = FAMILIES.flatMap((family) =>
    allRouting(family).map((object) => ({
      object,
      needed: families.includes(family) && isNeeded(object, settings),
      ...presence(machine, object, families.includes(family)),
    })),
  );
  return [
    ...routing.filter(({ needed, present }) => needed && !present).map(({ object }) => adding(object)),
    ...FAMILIES.flatMap((family) => {
      const iptables = new Iptables(machine.system, machine.program, family);
      const wanted = families.includes(family);
      const current = savedRules(machine, iptables, wanted);
      return changing(iptables, current, wanted ? wantedTables(settings, family, current) : NONE);
    }),
    ...routing.filter(({ needed, own }) => !needed && own).map(({ object }) => removing(object)),
  ];
}

/** Takes away all that `planInterception` can have done, and nothing else. */
export function planCleanup(machine: Machine): Plan {
  const all = FAMILIES.map((family) => {
    const iptables = new Iptables(machine.system, machine.program, family);
    return { iptables, current: savedRules(machine, iptables, false) };
  });
  const ports = new Set(all.flatMap(({ current }) => redirectedTo(current)));
  const released = all.flatMap(({ iptables, current }) => changing(iptables, current, withoutJumps(current)));
  const removed = all.flatMap(({ iptables, current }) => changing(iptables, withoutJumps(current), NONE));
  const routing = FAMILIES.flatMap((family) => [...allRouting(family)].reverse())
    .filter((object) => presence(machine, object, false).own)
    .map(removing);
  const drain: Plan = ports.size > 0 ? [{ drain: [...ports] }] : [];
  return [...released, ...drain, ...removed, ...routing];
}

function wantedTables(settings: Interception, family: Family, current: SavedTables): WantedTables {
  return new Map(
    rulesFor(settings, family).map((table) => {
      const before = current.get(table.name);
      return [table.name, wantedRules(table, before === undefined || before.chains.includes(NEW_TABLE))];
    }),
  );
}

function changing(iptables: Iptables, current: SavedTables, wanted: WantedTables): readonly Step[] {
  return commandsFor(iptables, current, wanted).map((command) => ({
    title: `IPv${iptables.family} rules`,
    command,
    undo: () => commandsFor(iptables, iptables.saved(), current),
  }));
}

/** From `current` to `wanted`. Tables that were made for interception and are not wanted go as a whole. */
function commandsFor(iptables: Iptables, current: SavedTables, wanted: WantedTables): readonly Command[] {
  const unwanted = new Map([...current].filter(([name]) => !wanted.has(name)));
  const own = ownTables(unwanted);
  const rest = new Map([...current].filter(([name]) => !own.has(name)));
  const commands = [iptables.change(restoreScript(rest, wanted)), iptables.replace(removeTables(own))];
  return commands.filter(({ input }) => input !== "");
}

/** Rules in force; none where they can't be read and need not be. */
function savedRules(machine: Machine, iptables: Iptables, needed: boolean): SavedTables {
  if (!machine.readable) return NONE;
  return needed || iptables.trySave().code === 0 ? iptables.saved() : NONE;
}

/** Throws a UserError where it must be known and `ip` is missing. */
function presence({ system, readable }: Machine, object: RoutingObject, needed: boolean) {
  const result = system.run("ip", object.show);
  if (result.code === null && needed && readable) throw refusal({ program: "ip", args: object.show }, result);
  const present = object.present.test(result.stdout);
  return { present, own: present && (object.own ?? object.present).test(result.stdout) };
}

function adding({ reason, add, remove }: RoutingObject): Step {
  return { title: reason, command: ip(add), undo: () => [ip(remove)] };
}

function removing({ reason, add, remove }: RoutingObject): Step {
  return { title: reason, command: ip(remove), undo: () => [ip(add)] };
}

function ip(args: readonly string[]): Command {
  return { program: "ip", args };
}

/** The ports of listeners that rules lead to. */
function redirectedTo(saved: SavedTables): readonly number[] {
  const rules = [...saved.values()].flatMap((table) => table.rules);
  return rules.flatMap(({ text }) => {
    const port = / --(?:to-ports|on-port) (\d+)/.exec(text)?.[1];
    return port === undefined ? [] : [Number(port)];
  });
}
