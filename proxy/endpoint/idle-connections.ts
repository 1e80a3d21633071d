/** Connections of many streams that carry none: which have been so for too long, and when to look again. */

/** A connection whose streams may have ended. */
export interface StreamConnection {
  readonly activeStreams: number;
  /** When its last stream ended, monotonic ms. */
  readonly idleSince: number;
}

/** Hands those that were idle for `limitMs` to `onIdle`; returns after how long the next may be, ms; Infinity: none is idle. */
export function sweepIdle<T extends StreamConnection>(
  connections: Iterable<T>,
  limitMs: number,
  now: number,
  onIdle: (connection: T) => void,
): number {
  let next = Infinity;
  // What is handed out may leave the list.
  for (const connection of [...connections]) {
    if (connection.activeStreams > 0) continue;
    const left = limitMs - (now - connection.idleSince);
    if (left > 0) next = Math.min(next, left);
    else onIdle(connection);
  }
  return next;
}
