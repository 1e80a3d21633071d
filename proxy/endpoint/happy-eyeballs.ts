/**
 * An endpoint with several addresses: the better ones have a head start, and the first that answers has the connection
 * (RFC 8305, Envoy's happy eyeballs for `additional_addresses`).
 */
import type { TimerWheel, WheelTimer } from "../../core/timer-wheel.ts";
import type { Address } from "../../model/address.ts";
import type { Endpoint } from "../../model/endpoint.ts";
import { type ConnectOptions, type ConnectResult, connect, tooLate } from "./connector.ts";

/** The head start of an address over the next, ms: Envoy's. */
const HEAD_START_MS = 300;

/** What is asked of an endpoint. */
interface Target {
  readonly address: Address;
  readonly config: Pick<Endpoint, "additionalAddresses">;
}

/**
 * Begins a connection to an endpoint, at the address that is meant or (null) at any; the result is called once, never from
 * inside. Returns the way to give it up.
 */
export function connectTo(
  { address, config: { additionalAddresses } }: Target,
  meant: Address | null,
  optionsFor: (address: Address) => ConnectOptions,
  wheel: TimerWheel,
  result: ConnectResult,
): () => void {
  if (meant !== null || additionalAddresses === undefined) return connect(optionsFor(meant ?? address), wheel, result);
  return connectToFirst(byTurns([address, ...additionalAddresses]), optionsFor, wheel, result);
}

function connectToFirst(
  addresses: readonly Address[],
  optionsFor: (address: Address) => ConnectOptions,
  wheel: TimerWheel,
  result: ConnectResult,
): () => void {
  const left = [...addresses];
  const attempts = new Set<() => void>();
  /** Why the best address failed: the others are there for when it does. */
  let reason: Parameters<ConnectResult["onFailed"]> | null = null;
  let next: WheelTimer | null = null;
  let deadline: WheelTimer | null = null;

  const stop = (): void => {
    for (const timer of [next, deadline]) if (timer !== null) wheel.cancel(timer);
    for (const giveUp of attempts) giveUp();
  };
  const begin = (): void => {
    const address = left.shift();
    if (address === undefined) return;
    const options = optionsFor(address);
    const { timeoutMs } = options;
    if (deadline === null && timeoutMs > 0) {
      // One for all of them.
      deadline = wheel.after(timeoutMs, () => {
        stop();
        result.onFailed("connect_timeout", tooLate(timeoutMs));
      });
    }
    const giveUp = connect({ ...options, timeoutMs: 0 }, wheel, {
      onConnected: (socket) => {
        attempts.delete(giveUp);
        stop();
        result.onConnected(socket);
      },
      onFailed: (...why) => {
        attempts.delete(giveUp);
        if (address === addresses[0]) reason = why;
        if (left.length > 0) {
          if (next !== null) wheel.cancel(next);
          begin();
        } else if (attempts.size === 0) {
          stop();
          result.onFailed(...(reason ?? why));
        }
      },
    });
    attempts.add(giveUp);
    next = left.length === 0 ? null : wheel.after(HEAD_START_MS, begin);
  };
  begin();
  return stop;
}

/** The addresses in their order, those of the first one's family and others by turns. */
function byTurns(addresses: readonly Address[]): readonly Address[] {
  const [first] = addresses;
  const ofFirst = addresses.filter((address) => isIpv6(address) === (first !== undefined && isIpv6(first)));
  const others = addresses.filter((address) => !ofFirst.includes(address));
  return addresses.flatMap((_, i) => [...ofFirst.slice(i, i + 1), ...others.slice(i, i + 1)]);
}

function isIpv6(address: Address): boolean {
  return address.kind === "tcp" && address.host.includes(":");
}
