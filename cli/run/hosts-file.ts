/** `/etc/hosts` of a program in the mesh: the machine's own, with the names of services. */
import type { ServiceNames } from "./service-names.ts";

/**
 * The machine's file, in which a name that is now a service's stands for nothing else, and a line for each address of a
 * service.
 */
export function hostsFile(machine: string, names: ServiceNames): string {
  const own = machine
    .split("\n")
    .map((line) => withoutNames(line, names))
    .filter((line) => line !== null);
  const byAddress = new Map<string, string[]>();
  for (const [name, addresses] of names) {
    for (const address of addresses) byAddress.set(address, [...(byAddress.get(address) ?? []), name]);
  }
  const lines = [...byAddress].map(([address, called]) => `${address}\t${called.sort(byLength).join(" ")}`).sort();
  return `${own.join("\n").trimEnd()}\n\n# services of the mesh\n${lines.map((line) => `${line}\n`).join("")}`;
}

/** A line of hosts(5) without these names; null where that leaves none. */
function withoutNames(line: string, names: ServiceNames): string | null {
  const [entry = ""] = line.split("#", 1);
  const [address, ...called] = entry.trim().split(/\s+/);
  const left = called.filter((name) => !names.has(name.toLowerCase()));
  if (left.length === called.length) return line;
  return left.length === 0 ? null : `${address}\t${left.join(" ")}`;
}

/** The shortest first: what an address is called when somebody asks for its name. */
function byLength(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}
