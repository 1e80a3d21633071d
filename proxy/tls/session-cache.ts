/** Client sessions for resumption, at most `max_session_keys` of them, newest first, as Envoy keeps them per cluster. */
import type { SecureContext } from "node:tls";

export interface StoredSession {
  readonly session: Buffer;
  readonly serverName: string;
  /** Sessions carry the client's identity: after a rotation they must not bring the old one back. */
  readonly context: SecureContext;
  /** End of the peer's certificate, Unix ms: resuming does not show it again. */
  readonly peerNotAfter: number;
}

export class SessionCache {
  readonly #max: number;
  #sessions: readonly StoredSession[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#sessions.length;
  }

  add(session: StoredSession): void {
    if (this.#max > 0) this.#sessions = [session, ...this.#sessions].slice(0, this.#max);
  }

  /** A session that can be offered to `serverName` with this context now. What can no longer be offered is dropped. */
  find(serverName: string, context: SecureContext, wallTime: number): Buffer | undefined {
    this.#sessions = this.#sessions.filter((known) => known.context === context && known.peerNotAfter > wallTime);
    return this.#sessions.find((known) => known.serverName === serverName)?.session;
  }
}
