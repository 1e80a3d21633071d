/** The connections that one version of a listener's configuration serves, from their first filter to their end or drain. */
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { CompiledFilterChain } from "./compile-chain.ts";
import type { ConnectionClosed, ServedConnection } from "./terminal.ts";

export class ServedConnections {
  readonly #all = new Map<ServedConnection, CompiledFilterChain>();
  /** Those of chains that are not in force any more, and when they are cut (monotonic ms). */
  readonly #leaving = new Map<ServedConnection, number>();
  /** What was said last of those; null: no chain has gone. */
  #departure: { readonly graceMs: number; readonly end: number } | null = null;
  /** null: not draining. */
  #drainGraceMs: number | null = null;

  get size(): number {
    return this.#all.size;
  }

  /** How many are of chains that are not in force any more. */
  get leaving(): number {
    return this.#leaving.size;
  }

  /** Whether chains have gone, so that connections may still come to them. */
  get hasDepartures(): boolean {
    return this.#departure !== null;
  }

  /** Begins to serve one; `onEnd` is called when it has ended, with what its stream knows of it. */
  add(
    chain: CompiledFilterChain,
    begin: (onClosed: ConnectionClosed) => ServedConnection,
    onEnd: (stream: StreamInfo | undefined, served: ServedConnection) => void,
  ): void {
    const served = begin((stream) => {
      this.#all.delete(served);
      this.#leaving.delete(served);
      onEnd(stream, served);
    });
    this.#all.set(served, chain);
    // It was accepted before the drain: its first request is on its way, and closing at once would lose it.
    if (this.#drainGraceMs !== null) served.drain(this.#drainGraceMs);
    else if (this.#departure !== null && !chain.inForce) this.#leave(served, this.#departure);
  }

  /** Busy connections close after their response, idle ones after `graceMs` without a request. */
  drain(graceMs: number): void {
    this.#drainGraceMs = graceMs;
    for (const connection of this.#all.keys()) connection.drain(graceMs);
  }

  /** As `drain` for connections of chains that are not in force any more; what is open of them at `end` is cut. */
  drainLeaving(graceMs: number, end: number): void {
    this.#departure = { graceMs, end };
    for (const [connection, chain] of this.#all) {
      if (!chain.inForce && !this.#leaving.has(connection)) this.#leave(connection, this.#departure);
    }
  }

  /** Cuts what was leaving and whose time is up. */
  sweep(now: number): void {
    for (const [{ socket }, end] of this.#leaving) if (now >= end) socket.destroy();
  }

  /** Cuts what is open. */
  close(): void {
    this.#drainGraceMs ??= 0;
    for (const { socket } of this.#all.keys()) socket.destroy();
  }

  #leave(connection: ServedConnection, { graceMs, end }: { readonly graceMs: number; readonly end: number }): void {
    this.#leaving.set(connection, end);
    connection.drain(graceMs);
  }
}
