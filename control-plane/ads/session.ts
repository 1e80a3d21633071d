/**
 * One sidecar's stream, whatever its variant: what it subscribed to, and in which order it is served. Clusters and
 * their endpoints come before the listeners and routes that use them, removals last (make before break); of each kind
 * one response is under way at a time, so that a slow client gets the newest state and never a queue of old ones.
 */
import { hash } from "node:crypto";
import type { Clock, Timer } from "../../core/clock.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import type { ResourceCache } from "../cache.ts";
import { type EncodedResource, RESOURCE_KINDS } from "../resource.ts";
import { type Nack, Subscription } from "./subscription.ts";
import type { Half, Response, Variant } from "./variant.ts";

export interface SessionOptions {
  readonly nodeId: string;
  readonly cache: ResourceCache;
  readonly variant: Variant;
  readonly clock: Clock;
  /** Writes a response to the stream. */
  readonly send: (kind: ResourceKind, response: Response, nonce: string) => void;
  readonly onAck: (kind: ResourceKind) => void;
  readonly onNack: (kind: ResourceKind, nack: Nack, names: readonly string[]) => void;
}

/** The order in which what is owed is sent. */
const ORDER: readonly (readonly [ResourceKind, Half])[] = [
  ["secret", "both"],
  ["cluster", "additions"],
  ["endpoint", "additions"],
  ["listener", "both"],
  ["route", "both"],
  ["cluster", "removals"],
  ["endpoint", "removals"],
];

/** How long listeners and routes wait for the client to take up the endpoints of new clusters, ms. */
const ENDPOINTS_PATIENCE_MS = 500;

export class Session {
  readonly #options: SessionOptions;
  readonly #subscriptions = new Map<ResourceKind, Subscription>();
  /** New clusters whose endpoints the client has not accepted yet. */
  readonly #awaited = new Set<string>();
  #patience: Timer | null = null;
  #nonce = 0;
  #applied = 0;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get nodeId(): string {
    return this.#options.nodeId;
  }

  get variant(): Variant["name"] {
    return this.#options.variant.name;
  }

  /** What the client wants of a kind; made on its first request. */
  subscription(kind: ResourceKind): Subscription {
    let subscription = this.#subscriptions.get(kind);
    if (!subscription) this.#subscriptions.set(kind, (subscription = new Subscription(kind)));
    return subscription;
  }

  has(kind: ResourceKind): boolean {
    return this.#subscriptions.has(kind);
  }

  /** The resources as this client sees them. */
  readonly view = {
    revision: 0,
    lookup: (subscription: Subscription, name: string): EncodedResource | undefined =>
      this.#options.cache.lookup(this.#options.nodeId, subscription.kind, name),
    names: (subscription: Subscription): readonly string[] =>
      this.#options.cache.names(this.#options.nodeId, subscription.kind),
  };

  /** Marks what changed; true if it concerns this client. Nothing is sent before `pump`. */
  touch(changes: ReadonlyMap<ResourceKind, ReadonlySet<string>>): boolean {
    let touched = false;
    for (const [kind, names] of changes) touched = (this.#subscriptions.get(kind)?.touch(names) ?? false) || touched;
    return touched;
  }

  /** The client answered a response. A refusal leaves its last good configuration in force and is not argued with. */
  answer(kind: ResourceKind, nonce: string, refusal: string | null): void {
    const subscription = this.subscription(kind);
    const { outstanding } = subscription;
    if (outstanding === null || outstanding.nonce !== nonce) return;
    subscription.outstanding = null;
    if (kind === "endpoint") for (const name of outstanding.names) this.#awaited.delete(name);
    if (refusal === null) {
      subscription.acked = outstanding.version;
      subscription.nack = null;
      this.#options.onAck(kind);
    } else {
      subscription.nack = { message: refusal, version: outstanding.version, at: this.#options.clock.wallTime() };
      this.#options.onNack(kind, subscription.nack, outstanding.names);
    }
  }

  /** Sends what is owed, as far as the order allows. */
  pump(): void {
    if (this.#closed) return;
    for (const [kind, half] of ORDER) {
      const subscription = this.#subscriptions.get(kind);
      if (!subscription) continue;
      if (subscription.outstanding) return;
      if ((kind === "listener" || kind === "route") && this.#awaited.size > 0) {
        this.#patience ??= this.#options.clock.after(ENDPOINTS_PATIENCE_MS, () => this.#loseTheirPatience());
        return;
      }
      if (subscription.dirty.size === 0 && subscription.answered) continue;
      this.view.revision = this.#options.cache.revision;
      const updated = half === "additions" && kind === "cluster" ? this.#changedClusters(subscription) : null;
      const response = this.#options.variant.respond(subscription, half, this.view);
      if (response === null) continue;
      if (updated) this.#expectEndpoints(updated);
      this.#send(subscription, response);
      return;
    }
    this.#patience?.cancel();
    this.#patience = null;
    if (this.#idle) this.#applied = this.#options.cache.revision;
  }

  /** The newest revision of the mesh that is in force at the client as a whole. */
  get appliedRevision(): number {
    return this.#idle ? this.#options.cache.revision : this.#applied;
  }

  get #idle(): boolean {
    return [...this.#subscriptions.values()].every(
      ({ outstanding, dirty, nack }) => outstanding === null && dirty.size === 0 && nack === null,
    );
  }

  /** For status: by kind, what is subscribed, accepted and refused. */
  status(): readonly KindStatus[] {
    return RESOURCE_KINDS.flatMap((kind) => {
      const subscription = this.#subscriptions.get(kind);
      if (!subscription) return [];
      const { acked, nack, outstanding, held } = subscription;
      return [{ kind, resources: held.size, acked, pending: outstanding?.version ?? null, nack }];
    });
  }

  close(): void {
    this.#closed = true;
    this.#patience?.cancel();
  }

  #send(subscription: Subscription, response: Response): void {
    const nonce = `${++this.#nonce}-${hash("sha256", response.version).slice(0, 8)}`;
    const names = [...response.resources.map(({ name }) => name), ...response.removed];
    subscription.answered = true;
    subscription.outstanding = { nonce, version: response.version, names };
    this.#options.send(subscription.kind, response, nonce);
  }

  /** Clusters that are about to be sent because they are new or different. */
  #changedClusters(subscription: Subscription): { readonly added: string[]; readonly replaced: string[] } {
    const names = subscription.answered
      ? subscription.dirty
      : new Set(subscription.wildcard ? this.view.names(subscription) : subscription.names);
    const [added, replaced]: [string[], string[]] = [[], []];
    for (const name of names) {
      const resource = subscription.wants(name) ? this.view.lookup(subscription, name) : undefined;
      const held = subscription.held.get(name);
      if (!resource || held?.version === resource.version) continue;
      (held ? replaced : added).push(name);
    }
    return { added, replaced };
  }

  /**
   * A cluster is of use only with its endpoints. New ones the client will ask for; for one that is replaced it may wait
   * without asking (a cluster is "warmed" anew), so they are sent again.
   */
  #expectEndpoints({ added, replaced }: { readonly added: string[]; readonly replaced: string[] }): void {
    const { cache, nodeId } = this.#options;
    for (const name of added) if (cache.lookup(nodeId, "endpoint", name)) this.#awaited.add(name);
    const endpoints = this.#subscriptions.get("endpoint");
    for (const name of replaced) {
      if (!endpoints?.wants(name)) continue;
      endpoints.held.delete(name);
      endpoints.dirty.add(name);
    }
  }

  #loseTheirPatience(): void {
    this.#patience = null;
    this.#awaited.clear();
    this.pump();
  }
}

export interface KindStatus {
  readonly kind: ResourceKind;
  readonly resources: number;
  /** "" for none. */
  readonly acked: string;
  readonly pending: string | null;
  readonly nack: Nack | null;
}
