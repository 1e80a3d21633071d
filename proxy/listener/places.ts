/**
 * Where a thread's listening sockets are, when several threads listen at the same addresses: each with a socket of its
 * own, among which the kernel spreads connections.
 */
import type { Address } from "../../model/address.ts";
import type { Listener } from "../../model/listener.ts";

export interface ListeningPlace {
  /** The address's port; where that is 0, the one that all threads have. */
  readonly port: number;
  /** A socket that listens there already and has nobody to accept from it; null: one is to be made. */
  readonly fd: number | null;
}

export interface ListeningPlaces {
  /** null: another thread listens there alone. Throws an Error with `code` where nobody can, as `bind` does. */
  take(listener: Listener, address: Address): ListeningPlace | null;
  /** A socket listens at the place that was taken. */
  onListening(listener: Listener, address: Address, fd: number): void;
  /** It is about to be closed, or never came to listen. */
  onClosing(listener: Listener, address: Address): void;
}
