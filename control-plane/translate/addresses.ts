/**
 * Which address of a sidecar's own range stands for which service port. A pure function of the set of ports: each
 * begins at the slot that its name hashes to and takes the next free one, so that a service keeps its address when
 * others come and go, except where two of them collide.
 */
import type { Address } from "../../model/address.ts";
import type { Loopback } from "../mesh/workload.ts";

/** Slot of each key; where there are more keys than slots, the last ones by name have none, as none has a reserved one. */
export function allocateSlots(
  keys: Iterable<string>,
  slots: number,
  reserved: ReadonlySet<number> = new Set(),
): ReadonlyMap<string, number> {
  const sorted = [...keys].sort().slice(0, slots - reserved.size);
  const taken = new Set(reserved);
  const result = new Map<string, number>();
  for (const key of sorted) {
    let slot = fnv1a(key) % slots;
    while (taken.has(slot)) slot = (slot + 1) % slots;
    taken.add(slot);
    result.set(key, slot);
  }
  return result;
}

/** FNV-1a, 32 bits: short, even, and the same on every machine. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

/** Last octets that are never a service: network, the sidecar's own `.1`, broadcast. */
const USABLE_PER_256 = 253;
const FIRST_USABLE = 2;
/** Ports that a sidecar with one address spreads its services over: what it sets aside, next to its neighbours' ranges. */
const SINGLE_SLOTS = 250;

/** How many service ports a sidecar has room for. Ranges are /8 to /24. */
export function slotCount(loopback: Loopback): number {
  if (loopback.kind === "single") return Math.min(SINGLE_SLOTS, 65_536 - loopback.firstPort);
  return 2 ** (24 - loopback.prefixLength) * USABLE_PER_256;
}

/** Where the listener of a slot is bound. */
export function slotAddress(loopback: Loopback, slot: number, outboundPort: number): Address {
  if (loopback.kind === "single") return { kind: "tcp", host: loopback.host, port: loopback.firstPort + slot };
  const offset = Math.floor(slot / USABLE_PER_256) * 256 + FIRST_USABLE + (slot % USABLE_PER_256);
  const value = loopback.base.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0) + offset;
  const octets = [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256);
  return { kind: "tcp", host: octets.join("."), port: outboundPort };
}
