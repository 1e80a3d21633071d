/**
 * The loopback addresses of a sidecar without interception: each takes a network of its own out of 127.0.0.0/8, whose
 * first host stands for the pod's address and carries the usual mesh ports. Where only 127.0.0.1 is to be had, ports
 * are taken instead (docs/decisions/0007-loopback-addresses.md).
 */
import { createHash } from "node:crypto";
import net from "node:net";
import { codeOf, UserError } from "../../core/errors.ts";

export interface SidecarAddresses {
  /** What peers are told. */
  readonly address: string;
  readonly inboundPort: number;
  readonly outboundPort: number;
  readonly adminPort: number;
  readonly metricsPort: number;
  readonly healthPort: number;
  readonly loopback: /** `base` in CIDR form, as the control plane reads it. */
    | { readonly kind: "subnet"; readonly base: string }
    | { readonly kind: "single"; readonly host: string; readonly firstPort: number };
}

/** Addresses that no other sidecar on the machine takes until they are released, or the process ends. */
export interface ClaimedAddresses extends SidecarAddresses {
  release(): Promise<void>;
}

/** Bound for as long as the claim holds; nobody is answered there. */
const CLAIM_PORT = 15002;

/** 127.0.0.0/16 holds 127.0.0.1 itself, and 127.255 the broadcast address: 2 to 254 are for sidecars. */
const FIRST = 2;
const COUNT = 253;

/**
 * Ports per sidecar where all share 127.0.0.1: six of its own, and 250 services (what the control plane hands out).
 * All ranges end below 32768, where systems begin to take ports for outgoing connections.
 */
const SINGLE_RANGE = 256;
const SINGLE_FIRST = 10_000;
const SINGLE_RANGES = 88;

/**
 * Finds a free network, trying first the one that `name` hashes to, so that a restarted sidecar tends to get its old
 * one back. Rejects with a UserError when none is left.
 */
export async function claimAddresses(name: string): Promise<ClaimedAddresses> {
  const start = createHash("sha256").update(name).digest().readUInt32BE(0);
  for (let i = 0; i < COUNT; i++) {
    const claim = await claimOf(subnetAddresses(FIRST + ((start + i) % COUNT)), CLAIM_PORT);
    if (claim === "unavailable") break;
    if (claim !== "taken") return claim;
  }
  return claimPorts(start);
}

/** The addresses of the sidecar whose inbound listener is at `host:inboundPort`. */
export function addressesOf(host: string, inboundPort: number): SidecarAddresses {
  const second = Number(host.split(".")[1]);
  return second >= FIRST ? subnetAddresses(second) : singleAddresses(inboundPort - 1);
}

/** The usual mesh ports on the first host of 127.`second`.0.0/16. */
function subnetAddresses(second: number): SidecarAddresses {
  return {
    address: `127.${second}.0.1`,
    inboundPort: 15006,
    outboundPort: 15001,
    adminPort: 15000,
    metricsPort: 15020,
    healthPort: 15021,
    loopback: { kind: "subnet", base: `127.${second}.0.0/16` },
  };
}

function singleAddresses(first: number): SidecarAddresses {
  return {
    address: "127.0.0.1",
    outboundPort: first,
    inboundPort: first + 1,
    adminPort: first + 2,
    metricsPort: first + 3,
    healthPort: first + 4,
    loopback: { kind: "single", host: "127.0.0.1", firstPort: first + 6 },
  };
}

async function claimPorts(start: number): Promise<ClaimedAddresses> {
  for (let i = 0; i < SINGLE_RANGES; i++) {
    const first = SINGLE_FIRST + ((start + i) % SINGLE_RANGES) * SINGLE_RANGE;
    const claim = await claimOf(singleAddresses(first), first + 5);
    if (typeof claim !== "string") return claim;
  }
  throw new UserError(
    `no loopback network, and no range of ports on 127.0.0.1 from ${SINGLE_FIRST} on, is left for another sidecar`,
  );
}

/** Claims the addresses if the claim's port and all of the sidecar's own can be had. */
async function claimOf(
  addresses: SidecarAddresses,
  claimPort: number,
): Promise<ClaimedAddresses | "taken" | "unavailable"> {
  const { address, inboundPort, outboundPort, adminPort, metricsPort, healthPort } = addresses;
  const claim = await tryListen(address, claimPort);
  if (typeof claim === "string") return claim;
  // A stranger that listens on every address of the machine has the port on this one too.
  for (const port of [inboundPort, outboundPort, adminPort, metricsPort, healthPort]) {
    const probe = await tryListen(address, port);
    if (typeof probe === "string") {
      await close(claim);
      return "taken";
    }
    await close(probe);
  }
  return { ...addresses, release: () => close(claim) };
}

function tryListen(host: string, port: number): Promise<net.Server | "taken" | "unavailable"> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once("error", (error) => resolve(codeOf(error) === "EADDRNOTAVAIL" ? "unavailable" : "taken"));
    server.listen(port, host, () => resolve(server.unref()));
  });
}

function close(server: net.Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
