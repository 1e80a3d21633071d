/** Where an intercepted connection was going before rules of the kernel led it here. */
import type { Socket } from "node:net";
import { formatIp, parseIp, type SocketAddress } from "../../core/ip.ts";
import {
  descriptorOf,
  IP_TRANSPARENT,
  IPV6_TRANSPARENT,
  loadSocketOptions,
  SOL_IP,
  SOL_IPV6,
  type SocketOptions,
} from "./socket-options.ts";

export type Destination = SocketAddress;

export interface OriginalDestination {
  /**
   * Null where the connection was not intercepted: it was made to this socket's own address. Also where nothing can be
   * known any more, because the socket is closed. To be asked when a connection is accepted: what the kernel knows lasts
   * as long as its entry of the connection.
   */
  of(socket: Socket): Destination | null;
}

/** For machines where it is not to be had: no connection is an intercepted one. */
export const NO_ORIGINAL_DESTINATION: OriginalDestination = { of: () => null };

/** `SO_ORIGINAL_DST` of linux/netfilter_ipv4.h, and `IP6T_SO_ORIGINAL_DST`. */
const SO_ORIGINAL_DST = 80;
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;

/** Of the kernel, or `NO_ORIGINAL_DESTINATION` where this is not Linux or `koffi` is not installed. */
export async function loadOriginalDestination(): Promise<OriginalDestination> {
  const options = await loadSocketOptions();
  return options === null ? NO_ORIGINAL_DESTINATION : new KernelOriginalDestination(options);
}

/** As Envoy does: what REDIRECT translated, else the address of a socket that TPROXY gave us. */
export class KernelOriginalDestination implements OriginalDestination {
  readonly #options: SocketOptions;
  readonly #in = Buffer.alloc(SOCKADDR_IN_BYTES);
  readonly #in6 = Buffer.alloc(SOCKADDR_IN6_BYTES);
  readonly #int = Buffer.alloc(4);

  constructor(options: SocketOptions) {
    this.#options = options;
  }

  of(socket: Socket): Destination | null {
    const fd = descriptorOf(socket);
    const local = localOf(socket);
    if (fd === null || local === null) return null;
    const translated = this.#translated(fd, local.host.includes(":"));
    if (translated !== null && !(translated.port === local.port && translated.host === local.host)) return translated;
    return this.#isTransparent(fd, socket.localFamily === "IPv6") ? local : null;
  }

  /** An IPv4 connection on an IPv6 socket is asked about at the level of IPv4, which translated it. */
  #translated(fd: number, ipv6: boolean): Destination | null {
    if (ipv6) return this.#options.get(fd, SOL_IPV6, SO_ORIGINAL_DST, this.#in6) ? readIpv6(this.#in6) : null;
    return this.#options.get(fd, SOL_IP, SO_ORIGINAL_DST, this.#in) ? readIpv4(this.#in) : null;
  }

  #isTransparent(fd: number, ipv6Socket: boolean): boolean {
    const [level, option] = ipv6Socket ? [SOL_IPV6, IPV6_TRANSPARENT] : [SOL_IP, IP_TRANSPARENT];
    return this.#options.get(fd, level, option, this.#int) && this.#int.some((byte) => byte !== 0);
  }
}

/** The address that a socket has here, `::ffff:10.0.0.1` as `10.0.0.1`. */
function localOf({ localAddress = "", localPort = 0 }: Socket): Destination | null {
  const ip = parseIp(localAddress);
  if (ip === null) return null;
  const mapped = ip.length === 8 && ip[5] === 0xffff && ip.slice(0, 5).every((group) => group === 0);
  return { host: formatIp(mapped ? ip.slice(6) : ip), port: localPort };
}

/** `sockaddr_in`: family, port and address, the latter two in network order. */
function readIpv4(address: Buffer): Destination {
  return { host: formatIp([address.readUInt16BE(4), address.readUInt16BE(6)]), port: address.readUInt16BE(2) };
}

/** `sockaddr_in6`: family, port, flow, address. */
function readIpv6(address: Buffer): Destination {
  const groups = Array.from({ length: 8 }, (_, group) => address.readUInt16BE(8 + 2 * group));
  return { host: formatIp(groups), port: address.readUInt16BE(2) };
}
