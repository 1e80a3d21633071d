/**
 * One sidecar's stream, whatever its variant: what it subscribed to, and in which order it is served. Clusters and
 * their endpoints come before the listeners and routes that use them, removals last (make before break); of each kind
 * one response is under way at a time, so that a slow client gets the newest state and never a queue of old ones.
 */
import type { Clock, Timer } from "../../core/clock.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import type { ResourceCache } from "../cache.ts";
import { type EncodedResource, RESOURCE_KINDS } from "../resource.ts";
import { type Nack, Subscription } from "./subscription.ts";
import type { Turn, Turns } from "./turns.ts";
import type { Half, Response, Variant } from "./variant.ts";

export interface SessionOptions {
  readonly nodeId: string;
  readonly cache: ResourceCache;
  readonly variant: Variant;
  readonly clock: Clock;
  /** For what is big, shared by all sessions. */
  readonly turns: Turns;
  /** Writes a response to the stream. */
  readonly send: (kind: ResourceKind, response: Response, nonce: string) => void;
  /** The client has what it was sent of a kind, or has all there is; may be called again without anything new. */
  readonly onAck: (kind: ResourceKind) => void;
  readonly onNack: (kind: ResourceKind, nack: Nack, names: readonly string[]) => void;
}

/** The order in which what is owed is sent, and the kinds whose answers are awaited before. */
const ORDER: readonly Step[] = [
  { kind: "secret", half: "both", after: [] },
  { kind: "cluster", half: "additions", after: [] },
  // Not after the answer about clusters: Envoy withholds that until the new ones are warm, which takes their endpoints.
  { kind: "endpoint", half: "additions", after: [] },
  { kind: "listener", half: "both", after: ["cluster", "endpoint"] },
  { kind: "route", half: "both", after: ["cluster", "endpoint"] },
  { kind: "cluster", half: "removals", after: ["cluster", "endpoint", "listener", "route"] },
  { kind: "endpoint", half: "removals", after: ["cluster", "endpoint", "listener", "route"] },
];

interface Step {
  readonly kind: ResourceKind;
  readonly half: Half;
  readonly after: readonly ResourceKind[];
}

/**
 * How long an answer is waited for, ms. A client that can't answer (a cluster of an earlier push never warms) must
 * still get what would mend it.
 */
const PATIENCE_MS = 2000;

/** More names than this make a response that has to wait for its turn. */
const BIG = 64;
/** A turn lasts until these are served: one comes after the other. */
const BIG_KINDS: readonly ResourceKind[] = ["cluster", "endpoint", "listener", "route"];

export class Session {
  readonly #options: SessionOptions;
  readonly #subscriptions = new Map<ResourceKind, Subscription>();
  /** New clusters whose endpoints the client has not accepted yet. */
  readonly #awaited = new Set<string>();
  #awaitedSince = 0;
  #patience: Timer | null = null;
  /** For big responses; null: none is owed. */
  #turn: Turn | null = null;
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

  /** A listener is wanted by name: it may be that of a service which the client is not told of yet. */
  ask(name: string): void {
    this.#options.cache.ask(this.#options.nodeId, name);
  }

  /** The client holds these from an earlier stream. */
  keep(names: readonly string[]): void {
    this.#options.cache.keep(this.#options.nodeId, names);
  }

  unask(name: string): void {
    this.#options.cache.unask(this.#options.nodeId, name);
  }

  /** Marks what changed; true if it concerns this client. Nothing is sent before `pump`. */
  touch(changes: ReadonlyMap<ResourceKind, ReadonlySet<string>>): boolean {
    let touched = false;
    for (const [kind, names] of changes) touched = (this.#subscriptions.get(kind)?.touch(names) ?? false) || touched;
    return touched;
  }

  /** The client answered a response. A refusal leaves its last good configuration in force and is not argued with. */
  answer(kind: ResourceKind, nonce: string, refusal: string | null): void {
    const subscription = this.subscription(kind);
    const outstanding = subscription.settle(nonce);
    if (outstanding === null) return;
    if (kind === "endpoint") for (const name of outstanding.names) this.#awaited.delete(name);
    if (refusal === null) {
      subscription.acked = outstanding.version;
      subscription.nack = null;
      for (const name of outstanding.names) subscription.refused.delete(name);
      this.#options.onAck(kind);
    } else {
      for (const name of outstanding.names) subscription.refused.add(name);
      subscription.nack = { message: refusal, version: outstanding.version, at: this.#options.clock.wallTime() };
      this.#options.onNack(kind, subscription.nack, outstanding.names);
    }
  }

  /** Sends what is owed, as far as the order allows. */
  pump(): void {
    if (this.#closed) return;
    this.#patience?.cancel();
    this.#patience = null;
    let waiting = false;
    const postponed = new Set<ResourceKind>();
    for (const { kind, half, after } of ORDER) {
      const subscription = this.#subscriptions.get(kind);
      if (!subscription || (subscription.dirty.size === 0 && subscription.answered)) continue;
      if (this.#isUnanswered(kind) || after.some((other) => this.#isUnanswered(other))) waiting = true;
      else if (after.length > 0 && this.#awaitsEndpoints()) waiting = true;
      else if (after.some((other) => postponed.has(other)) || !this.#mayServe(subscription)) postponed.add(kind);
      else this.#serve(subscription, half);
    }
    if (this.#turn?.granted && this.#hasBeenServed) this.#endTurn();
    // One that came back with all that there is has nothing to accept.
    if (this.#hasAll("listener")) this.#options.onAck("listener");
    if (waiting) this.#patience = this.#options.clock.after(PATIENCE_MS, () => this.pump());
    else if (this.#idle) this.#applied = this.#options.cache.revision;
  }

  /** What is small goes at once, what is big when it is this session's turn. */
  #mayServe({ dirty }: Subscription): boolean {
    if (dirty.size <= BIG) return true;
    if (this.#turn === null || this.#turn.over) this.#turn = this.#options.turns.ask(() => this.pump());
    return this.#turn.granted;
  }

  /** Nothing is owed or under way of what is big; who holds all of it already need not be sent anything. */
  get #hasBeenServed(): boolean {
    return BIG_KINDS.every((kind) => {
      const subscription = this.#subscriptions.get(kind);
      return subscription !== undefined && subscription.dirty.size === 0 && subscription.outstanding === null;
    });
  }

  #endTurn(): void {
    const turn = this.#turn;
    this.#turn = null;
    turn?.end();
  }

  #serve(subscription: Subscription, half: Half): void {
    this.view.revision = this.#options.cache.revision;
    const updated =
      subscription.kind === "cluster" && half === "additions" ? this.#changedClusters(subscription) : null;
    const response = this.#options.variant.respond(subscription, half, this.view);
    if (response === null) return;
    if (updated) this.#expectEndpoints(updated);
    this.#send(subscription, response);
  }

  #hasAll(kind: ResourceKind): boolean {
    const subscription = this.#subscriptions.get(kind);
    if (!subscription || subscription.held.size === 0) return false;
    return subscription.outstanding === null && subscription.dirty.size === 0 && subscription.nack === null;
  }

  #isUnanswered(kind: ResourceKind): boolean {
    const outstanding = this.#subscriptions.get(kind)?.outstanding;
    return outstanding != null && this.#options.clock.now() - outstanding.sentAt < PATIENCE_MS;
  }

  #awaitsEndpoints(): boolean {
    if (this.#awaited.size > 0 && this.#options.clock.now() - this.#awaitedSince >= PATIENCE_MS) this.#awaited.clear();
    return this.#awaited.size > 0;
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
    this.#endTurn();
  }

  #send(subscription: Subscription, response: Response): void {
    const nonce = String(++this.#nonce);
    const names = [...response.resources.map(({ name }) => name), ...response.removed];
    subscription.sent({ nonce, sentAt: this.#options.clock.now(), version: response.version, names });
    this.#options.send(subscription.kind, response, nonce);
  }

  /** Clusters that are about to be sent because they are new or different. */
  #changedClusters(subscription: Subscription): { readonly added: string[]; readonly replaced: string[] } {
    const [added, replaced]: [string[], string[]] = [[], []];
    for (const name of subscription.dirty) {
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
    this.#awaitedSince = this.#options.clock.now();
    const endpoints = this.#subscriptions.get("endpoint");
    for (const name of replaced) {
      if (!endpoints?.wants(name)) continue;
      endpoints.held.delete(name);
      endpoints.dirty.add(name);
    }
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
