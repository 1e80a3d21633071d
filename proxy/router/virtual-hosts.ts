/** Finds the virtual host of an authority: exact name, then longest `*suffix`, then longest `prefix*`, then `*`. */

export interface HostEntry<T> {
  /** Lower case. */
  readonly domains: readonly string[];
  readonly value: T;
}

interface Wildcards<T> {
  readonly length: number;
  readonly byText: Map<string, T>;
}

export class HostIndex<T> {
  readonly #exact = new Map<string, T>();
  /** Longest first. */
  readonly #suffixes: Wildcards<T>[];
  readonly #prefixes: Wildcards<T>[];
  #any: T | null = null;
  readonly #ignorePort: boolean;

  /** `ignorePort`: names are compared without the authority's port (`ignore_port_in_host_matching`). */
  constructor(entries: readonly HostEntry<T>[], ignorePort: boolean) {
    this.#ignorePort = ignorePort;
    const suffixes = new Map<string, T>();
    const prefixes = new Map<string, T>();
    for (const { domains, value } of entries) {
      for (const domain of domains) {
        if (domain === "*") this.#any ??= value;
        else if (domain.startsWith("*")) suffixes.set(domain.slice(1), value);
        else if (domain.endsWith("*")) prefixes.set(domain.slice(0, -1), value);
        else this.#exact.set(domain, value);
      }
    }
    this.#suffixes = byLength(suffixes);
    this.#prefixes = byLength(prefixes);
  }

  /** The entry for an authority (any case); null where there is none. */
  find(authority: string): T | null {
    if (this.#exact.size === 0 && this.#suffixes.length === 0 && this.#prefixes.length === 0) return this.#any;
    const host = (this.#ignorePort ? withoutPort(authority) : authority).toLowerCase();
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    // A wildcard stands for at least one character.
    for (const { length, byText } of this.#suffixes) {
      if (length >= host.length) continue;
      const found = byText.get(host.slice(-length));
      if (found !== undefined) return found;
    }
    for (const { length, byText } of this.#prefixes) {
      if (length >= host.length) continue;
      const found = byText.get(host.slice(0, length));
      if (found !== undefined) return found;
    }
    return this.#any;
  }
}

function byLength<T>(texts: ReadonlyMap<string, T>): Wildcards<T>[] {
  const groups = new Map<number, Map<string, T>>();
  for (const [text, value] of texts) {
    const group = groups.get(text.length) ?? new Map<string, T>();
    group.set(text, value);
    groups.set(text.length, group);
  }
  return [...groups].sort(([a], [b]) => b - a).map(([length, byText]) => ({ length, byText }));
}

/** Where the port's colon stands in an authority, -1 without a port. IPv6 addresses stand in brackets (RFC 3986). */
export function portStart(authority: string): number {
  const colon = authority.lastIndexOf(":");
  return colon > authority.lastIndexOf("]") ? colon : -1;
}

export function withoutPort(authority: string): string {
  const colon = portStart(authority);
  return colon < 0 ? authority : authority.slice(0, colon);
}
