/**
 * Endpoints by DNS name (STRICT_DNS, LOGICAL_DNS): resolves each name again and again and hands on endpoint sets with
 * addresses in place of names. A failure to resolve leaves the last result in force; an answer that there is no such
 * name empties it, as in Envoy.
 */
import net from "node:net";
import type { Clock, Timer } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import type { DnsOptions } from "../../model/cluster.ts";
import type { Endpoint, EndpointSet } from "../../model/endpoint.ts";
import type { DnsAnswer, DnsResolver } from "./dns-resolver.ts";

/** Refreshes are spread over this share of their interval, so that many sidecars do not ask at once. */
const JITTER = 0.1;

export interface DnsDiscoveryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly resolver: DnsResolver;
  /** A changed set; the first one comes when every name has been answered for, well or badly. */
  readonly onEndpoints: (set: EndpointSet) => void;
  /** Each attempt to resolve a name; `error` is "" if there was an answer. */
  readonly onAttempt: (host: string, error: string) => void;
}

interface Name {
  readonly host: string;
  /** null: not answered for yet. */
  addresses: readonly string[] | null;
  timer: Timer | null;
}

export class DnsDiscovery {
  readonly #template: EndpointSet;
  /** `first_only`: LOGICAL_DNS. */
  readonly #firstOnly: boolean;
  readonly #options: DnsOptions;
  readonly #deps: DnsDiscoveryDeps;
  readonly #names = new Map<string, Name>();
  #closed = false;
  #published = "";

  constructor(template: EndpointSet, firstOnly: boolean, options: DnsOptions, deps: DnsDiscoveryDeps) {
    this.#template = template;
    this.#firstOnly = firstOnly;
    this.#options = options;
    this.#deps = deps;
    for (const { endpoints } of template.localities) {
      for (const { address } of endpoints) {
        if (address.kind === "tcp" && net.isIP(address.host) === 0 && !this.#names.has(address.host)) {
          this.#names.set(address.host, { host: address.host, addresses: null, timer: null });
        }
      }
    }
  }

  /** Begins to resolve. A set of addresses alone is handed on at once. */
  start(): void {
    if (this.#names.size === 0) this.#publish();
    for (const name of this.#names.values()) void this.#resolve(name);
  }

  close(): void {
    this.#closed = true;
    for (const name of this.#names.values()) name.timer?.cancel();
  }

  async #resolve(name: Name): Promise<void> {
    let next = this.#options.refreshRateMs;
    try {
      const answers = await this.#lookUp(name.host);
      if (this.#closed) return;
      name.addresses = [...new Set(answers.map(({ address }) => address))].sort();
      if (this.#firstOnly && answers[0] !== undefined) name.addresses = [answers[0].address];
      if (this.#options.respectTtl) next = shortestTtl(answers) ?? next;
      this.#deps.onAttempt(name.host, "");
    } catch (error) {
      if (this.#closed) return;
      name.addresses ??= [];
      this.#deps.onAttempt(name.host, messageOf(error));
    }
    this.#publish();
    const wait = next * (1 + JITTER * this.#deps.random());
    name.timer = this.#deps.clock.after(wait, () => void this.#resolve(name));
  }

  /** By family, as `dns_lookup_family` says. Envoy's AUTO takes IPv6 addresses if there are any. */
  async #lookUp(host: string): Promise<readonly DnsAnswer[]> {
    const ask = (family: 4 | 6): Promise<readonly DnsAnswer[]> =>
      this.#deps.resolver(host, family, this.#options.respectTtl);
    switch (this.#options.lookupFamily) {
      case "v4_only":
        return ask(4);
      case "v6_only":
        return ask(6);
      case "v4_preferred":
        return firstWithAnswers(
          () => ask(4),
          () => ask(6),
        );
      case "auto":
        return firstWithAnswers(
          () => ask(6),
          () => ask(4),
        );
      case "all": {
        const [six, four] = await Promise.all([ask(6), ask(4)]);
        return [...six, ...four];
      }
    }
  }

  #publish(): void {
    for (const name of this.#names.values()) if (name.addresses === null) return;
    const localities = this.#template.localities.map((locality) => ({
      ...locality,
      endpoints: locality.endpoints.flatMap((endpoint) => this.#resolved(endpoint)),
    }));
    const print = JSON.stringify(localities.map(({ endpoints }) => endpoints.map(({ address }) => address)));
    if (print === this.#published) return;
    this.#published = print;
    this.#deps.onEndpoints({ ...this.#template, localities });
  }

  #resolved(endpoint: Endpoint): Endpoint[] {
    const { address } = endpoint;
    if (address.kind !== "tcp") return [endpoint];
    const name = this.#names.get(address.host);
    if (name === undefined) return [endpoint];
    // As in Envoy, an endpoint that came from a name is called by it unless it was given another host name.
    const hostname = endpoint.hostname || address.host;
    return (name.addresses ?? []).map((host) => ({ ...endpoint, hostname, address: { ...address, host } }));
  }
}

/** Errors of the first family count only if the second has no answer either. */
async function firstWithAnswers(
  first: () => Promise<readonly DnsAnswer[]>,
  second: () => Promise<readonly DnsAnswer[]>,
): Promise<readonly DnsAnswer[]> {
  let failure: unknown = null;
  try {
    const answers = await first();
    if (answers.length > 0) return answers;
  } catch (error) {
    failure = error;
  }
  const answers = await second();
  if (answers.length === 0 && failure !== null) throw failure;
  return answers;
}

/** ms; null if no answer has a TTL, or one of 0, which says nothing about when to ask again. */
function shortestTtl(answers: readonly DnsAnswer[]): number | null {
  let shortest = Number.POSITIVE_INFINITY;
  for (const { ttlS } of answers) if (ttlS !== null) shortest = Math.min(shortest, ttlS);
  return shortest > 0 && Number.isFinite(shortest) ? shortest * 1000 : null;
}
