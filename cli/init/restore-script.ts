/**
 * From what is in force to what is wanted, as text for one iptables-restore: a table's part of it takes effect as a
 * whole or not at all. The same serves to apply, to change, to remove and to take back.
 */
import { type Line, NEW_TABLE, NOTHING, type OwnRules, type SavedTables } from "./saved-rules.ts";

/** Our part of each table that is wanted; tables that are not named hold none. */
export type WantedTables = ReadonlyMap<string, OwnRules>;

/** Input for `iptables-restore --noflush`; empty where nothing has to change. */
export function restoreScript(current: SavedTables, wanted: WantedTables): string {
  const names = [...new Set([...wanted.keys(), ...current.keys()])];
  return names.map((name) => tableScript(name, current.get(name) ?? NOTHING, wanted.get(name) ?? NOTHING)).join("");
}

/** Without our jumps: nothing new is intercepted, and connections that are open keep the translation they need. */
export function withoutJumps(current: SavedTables): SavedTables {
  return new Map([...current].map(([name, table]) => [name, { ...table, jumps: [] }]));
}

/** Those that hold nothing but what is ours and were not there before us. */
export function ownTables(current: SavedTables): SavedTables {
  return new Map([...current].filter(([, { chains, foreign }]) => !foreign && chains.includes(NEW_TABLE)));
}

/** Input for iptables-restore without `--noflush`: the tables are gone, where the kind of tables allows it. */
export function removeTables(tables: SavedTables): string {
  return [...tables.keys()].map((name) => `*${name}\nCOMMIT\n`).join("");
}

function tableScript(name: string, current: OwnRules, wanted: OwnRules): string {
  const lines: string[] = [];
  const sameJumps = same(current.jumps, wanted.jumps);
  const sameChains = same(current.rules, wanted.rules) && sameSet(current.chains, wanted.chains);
  if (sameJumps && sameChains) return "";
  const stale = sameChains ? [] : current.chains.filter((chain) => !wanted.chains.includes(chain));
  // Declaring a chain makes it, or empties it.
  if (!sameChains) for (const chain of wanted.chains) lines.push(`:${chain} - [0:0]`);
  if (!sameJumps) for (const { text } of current.jumps) lines.push(text.replace("-A", "-D"));
  if (!sameChains) lines.push(...commented(wanted.rules));
  if (!sameJumps) lines.push(...commented(wanted.jumps));
  // All are emptied before the first goes: they refer to each other.
  lines.push(...stale.map((chain) => `-F ${chain}`), ...stale.map((chain) => `-X ${chain}`));
  return `*${name}\n${lines.join("\n")}\nCOMMIT\n`;
}

function commented(lines: readonly Line[]): readonly string[] {
  let last: string | undefined;
  return lines.flatMap(({ text, reason }) => {
    const repeated = reason === undefined || reason === last;
    last = reason;
    return repeated ? [text] : [`# ${reason}`, text];
  });
}

function same(a: readonly Line[], b: readonly Line[]): boolean {
  return a.length === b.length && a.every(({ text }, index) => text === b[index]?.text);
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item));
}
