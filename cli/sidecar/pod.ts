/**
 * A sidecar in a pod (or on a machine of its own) where nothing is intercepted, since nobody has the rights for rules:
 * peers call its inbound port at the pod's address, and the program calls it as an HTTP proxy.
 */
import { UserError } from "../../core/errors.ts";
import { logger } from "../../core/log.ts";
import { INBOUND_PORT, OUTBOUND_PORT } from "../../model/interception.ts";
import type { SidecarFlags } from "../sidecar-command.ts";
import { podServers } from "./intercepted.ts";
import type { ProgramUser } from "./program-user.ts";
import { type Surroundings, startHere } from "./surroundings.ts";

const log = logger("main");

const LOOPBACK = "127.0.0.1";
/** The first of the ports of the mesh's services on 127.0.0.1: in a pod no other sidecar needs any. */
const FIRST_SERVICE_PORT = 15_100;

/** Throws a UserError where no address is given: unlike rules, a listener cannot take them all. */
export function podSurroundings(
  flags: Pick<SidecarFlags, "address" | "appHealth">,
  user: ProgramUser | null,
): Surroundings {
  const [address, ...others] = flags.address;
  if (address === undefined) {
    throw new UserError("--interception none needs --address: what are peers to call?", 2);
  }
  if (others.length > 0) log.info({ address, others }, "without interception peers call the first address alone");
  return {
    address,
    addresses: [],
    inboundPort: INBOUND_PORT,
    outboundPort: OUTBOUND_PORT,
    loopback: { kind: "single", host: LOOPBACK, firstPort: FIRST_SERVICE_PORT },
    interception: null,
    servers: podServers(flags, address),
    httpProxy: `http://${LOOPBACK}:${OUTBOUND_PORT}`,
    start: (program, args, env) => startHere(program, args, env, user),
    follow: () => undefined,
    close: () => Promise.resolve(),
  };
}
