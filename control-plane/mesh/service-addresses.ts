/**
 * Where intercepted callers find services: at the address that the manifest gives (`clusterIP`), else at one of a range
 * that is nobody's (240.240.0.0/16 of the reserved class E). A pure function of the set of services.
 */
import { isIP } from "node:net";
import { allocateSlots } from "../translate/addresses.ts";

/** What a service's manifest says of its addresses. */
export interface GivenAddresses {
  readonly key: string;
  /** Those of `clusterIPs`, or `clusterIP`; "None": headless. */
  readonly clusterIps: readonly string[];
}

export interface AddressPlan {
  /** By service key. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** Services whose address another one, which stands earlier in the list, has already. */
  readonly conflicts: readonly { readonly key: string; readonly address: string; readonly owner: string }[];
}

/** The range's first address and its last belong to nobody, as in any network. */
const SLOTS = 2 ** 16 - 2;

/**
 * Addresses of all services, given in order of age (none for those that the range has no room for). A headless one has an address, too, which nobody is told: its
 * listener serves calls to its instances' own addresses.
 */
export function planAddresses(services: readonly GivenAddresses[]): AddressPlan {
  const addresses = new Map<string, readonly string[]>();
  const owners = new Map<string, string>();
  const conflicts: { key: string; address: string; owner: string }[] = [];
  for (const { key, clusterIps } of services) {
    const own = clusterIps.filter((address) => isIP(address) !== 0);
    const taken = own.find((address) => owners.has(address));
    if (taken !== undefined) conflicts.push({ key, address: taken, owner: owners.get(taken) ?? "" });
    if (own.length === 0 || taken !== undefined) continue;
    for (const address of own) owners.set(address, key);
    addresses.set(key, own);
  }
  const without = services.flatMap(({ key }) => (addresses.has(key) ? [] : [key]));
  const reserved = new Set([...owners.keys()].flatMap((address) => slotOf(address) ?? []));
  for (const [key, slot] of allocateSlots(without, SLOTS, reserved)) addresses.set(key, [slotAddress(slot)]);
  return { addresses, conflicts };
}

function slotAddress(slot: number): string {
  return `240.240.${Math.floor((slot + 1) / 256)}.${(slot + 1) % 256}`;
}

/** The slot of an address of the range; null for any other. */
function slotOf(address: string): number | null {
  const [a, b, c = 0, d = 0] = address.split(".").map(Number);
  const slot = c * 256 + d - 1;
  return a === 240 && b === 240 && slot >= 0 && slot < SLOTS ? slot : null;
}
