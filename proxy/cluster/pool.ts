/** What a cluster needs of an endpoint's connection pool; the codecs bring the rest. */
export interface Pool {
  /** Takes no new requests, lets those under way end, then closes. `reason` goes to logs. */
  drain(reason: string): void;
  /** Closes at once. */
  close(): void;
}
