/** What is in force, read from the text of iptables-save: which rules are ours, and whether anything else is there. */
import { CHAIN_PREFIX, type Table } from "./rules.ts";

export interface Line {
  readonly text: string;
  readonly reason?: string;
}

/** Our part of one table, as text of iptables-restore. */
export interface OwnRules {
  readonly chains: readonly string[];
  /** `-A CHAIN …` of our chains. */
  readonly rules: readonly Line[];
  /** `-A CHAIN …` of others' chains, by which packets come into ours. */
  readonly jumps: readonly Line[];
}

export interface SavedTable extends OwnRules {
  /** Whether the table holds anything besides what is ours and the kernel's empty chains. */
  readonly foreign: boolean;
}

export type SavedTables = ReadonlyMap<string, SavedTable>;

export const NOTHING: OwnRules = { chains: [], rules: [], jumps: [] };

/**
 * An empty chain that says: this table was not there before, so it goes when the last of ours does. Only with nf_tables
 * can a table go; there iptables-save would list an empty one that was not listed before.
 */
export const NEW_TABLE = `${CHAIN_PREFIX}NEW_TABLE`;

export function parseSaved(text: string): SavedTables {
  const tables = new Map<string, SavedTable>();
  let current = "";
  for (const line of text.split("\n")) {
    const table = /^\*(\w+)/.exec(line)?.[1];
    if (table !== undefined) current = table;
    const before = tables.get(current) ?? { ...NOTHING, foreign: false };
    if (table !== undefined) tables.set(current, before);
    else if (line.startsWith(":")) tables.set(current, withChain(before, line));
    else if (line.startsWith("-A ")) tables.set(current, withRule(before, line.trimEnd()));
  }
  return tables;
}

/** `:NAME POLICY [packets:bytes]`; chains of the kernel have a policy, others a dash. */
function withChain(table: SavedTable, line: string): SavedTable {
  const [name = "", policy] = line.slice(1).split(" ");
  if (name.startsWith(CHAIN_PREFIX)) return { ...table, chains: [...table.chains, name] };
  return policy === "ACCEPT" ? table : { ...table, foreign: true };
}

function withRule(table: SavedTable, text: string): SavedTable {
  const [, chain = ""] = text.split(" ");
  if (chain.startsWith(CHAIN_PREFIX)) return { ...table, rules: [...table.rules, { text }] };
  const target = / (?:-j|-g) (\S+)/.exec(text)?.[1] ?? "";
  if (target.startsWith(CHAIN_PREFIX)) return { ...table, jumps: [...table.jumps, { text }] };
  return { ...table, foreign: true };
}

/** Computed rules in the same form; `isNew` where the table is made by them. */
export function wantedRules(table: Table, isNew: boolean): OwnRules {
  const chains = table.chains.map(({ name }) => name);
  return {
    chains: isNew ? [...chains, NEW_TABLE] : chains,
    rules: table.chains.flatMap(({ name, rules }) =>
      rules.map(({ rule, reason }) => ({ text: `-A ${name} ${rule}`, reason })),
    ),
    jumps: table.jumps.map(({ from, rule, reason }) => ({ text: `-A ${from} ${rule}`, reason })),
  };
}
