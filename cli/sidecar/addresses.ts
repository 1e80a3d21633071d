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
  readonly loopback:
    | { readonly kind: "subnet"; readonly base: string; readonly prefixLength: number }
    | { readonly kind: "single"; readonly host: string; readonly firstPort: number };
  /** Frees the claim: the ports can be bound from now on. */
  release(): Promise<void>;
}

const PORTS = { inbound: 15006, outbound: 15001, admin: 15000, metrics: 15020, health: 15021 } as const;

/** 127.0.0.0/16 holds 127.0.0.1 itself, and 127.255 the broadcast address: 2 to 254 are for sidecars. */
const FIRST = 2;
const COUNT = 253;

/** Ports per sidecar where all share 127.0.0.1. */
const SINGLE_RANGE = 200;
const SINGLE_FIRST = 20_000;
const SINGLE_RANGES = 200;

/**
 * Finds a free network, trying first the one that `name` hashes to, so that a restarted sidecar tends to get its old
 * one back. Rejects with a UserError when none is left.
 */
export async function claimAddresses(name: string): Promise<SidecarAddresses> {
  const start = createHash("sha256").update(name).digest().readUInt32BE(0);
  for (let i = 0; i < COUNT; i++) {
    const a = FIRST + ((start + i) % COUNT);
    const claim = await tryListen(`127.${a}.0.1`, PORTS.outbound);
    if (claim === "unavailable") return claimPorts(start);
    if (claim === "taken") continue;
    const address = `127.${a}.0.1`;
    return {
      address,
      inboundPort: PORTS.inbound,
      outboundPort: PORTS.outbound,
      adminPort: PORTS.admin,
      metricsPort: PORTS.metrics,
      healthPort: PORTS.health,
      loopback: { kind: "subnet", base: `127.${a}.0.0`, prefixLength: 16 },
      release: () => close(claim),
    };
  }
  throw new UserError(`all ${COUNT} loopback networks are taken by other sidecars on this machine`);
}

async function claimPorts(start: number): Promise<SidecarAddresses> {
  for (let i = 0; i < SINGLE_RANGES; i++) {
    const first = SINGLE_FIRST + ((start + i) % SINGLE_RANGES) * SINGLE_RANGE;
    const claim = await tryListen("127.0.0.1", first);
    if (typeof claim === "string") continue;
    return {
      address: "127.0.0.1",
      outboundPort: first,
      inboundPort: first + 1,
      adminPort: first + 2,
      metricsPort: first + 3,
      healthPort: first + 4,
      loopback: { kind: "single", host: "127.0.0.1", firstPort: first + 5 },
      release: () => close(claim),
    };
  }
  throw new UserError(
    `no free range of ports is left on 127.0.0.1 between ${SINGLE_FIRST} and ${SINGLE_FIRST + SINGLE_RANGES * SINGLE_RANGE}`,
  );
}

function tryListen(host: string, port: number): Promise<net.Server | "taken" | "unavailable"> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", (error) => resolve(codeOf(error) === "EADDRNOTAVAIL" ? "unavailable" : "taken"));
    server.listen(port, host, () => resolve(server));
  });
}

function close(server: net.Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
