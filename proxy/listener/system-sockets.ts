/**
 * Sockets that Node can't make: for addresses that are not this machine's, and in other network namespaces. They are made
 * by the C library's functions, loaded when a configuration asks for such a socket, and handed to Node as descriptors.
 */
import { closeSync, openSync } from "node:fs";
import { getSystemErrorName } from "node:util";
import { parseIp } from "../../core/ip.ts";
import { IP_TRANSPARENT, IPV6_TRANSPARENT, SOL_IP, SOL_IPV6 } from "./socket-options.ts";

export interface SocketPlace {
  /** An IP literal. */
  readonly host: string;
  /** Path of a network namespace; null: the process's own. */
  readonly networkNamespace: string | null;
  /** The socket may have addresses that are not this machine's. Absent: it may not. */
  readonly transparent?: boolean;
  /** UDP. Absent: TCP. */
  readonly datagram?: true;
}

export interface ListeningSocket extends SocketPlace {
  readonly port: number;
  readonly ipv6Only: boolean;
  readonly reusePort: boolean;
}

export interface SystemSockets {
  /** The descriptor of a socket that is bound and doesn't listen yet. Throws `SocketError`. */
  bind(options: ListeningSocket): number;
  /** The descriptor of a socket for connections to addresses of the host's family. Throws `SocketError`. */
  open(place: SocketPlace): number;
}

/** What the system refused: a message that stands alone, and its name for the reason, as errors of Node's own have it. */
export class SocketError extends Error {
  readonly code: string;
  readonly step: "namespace" | "socket" | "transparent" | "bind";

  /** `about`: what the step was about, the path of a namespace or an address. */
  constructor(step: SocketError["step"], code: string, about = "") {
    super(explain(step, code, about));
    this.name = "SocketError";
    this.step = step;
    this.code = code;
  }
}

function explain(step: SocketError["step"], code: string, about: string): string {
  if (step === "transparent" && code === "EPERM") return "a transparent socket needs the capability NET_ADMIN";
  if (step === "namespace") {
    if (code === "EPERM" || code === "EACCES") {
      return `to enter the network namespace ${about} the capability SYS_ADMIN is needed`;
    }
    return `there is no network namespace at ${about} (${code})`;
  }
  return about === "" ? `${step}: ${code}` : `${step}: ${code} (${about})`;
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2_000_000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const IPV6_V6ONLY = 26;
const CLONE_NEWNET = 0x4000_0000;
const OWN_NAMESPACE = "/proc/thread-self/ns/net";

let loading: Promise<SystemSockets | null> | null = null;
let loaded: SystemSockets | null = null;

/** Null on systems other than Linux, whose numbers these are, and where `koffi` is not installed. */
export function loadSystemSockets(): Promise<SystemSockets | null> {
  loading ??= process.platform === "linux" ? load() : Promise.resolve(null);
  return loading;
}

/** What `loadSystemSockets` has loaded before; null: nothing. */
export function systemSockets(): SystemSockets | null {
  return loaded;
}

/** The functions of the C library; each returns a negative number where it fails. */
interface LibraryCalls {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  setsockopt(fd: number, level: number, option: number, value: Int32Array, length: number): number;
  setns(fd: number, kind: number): number;
  errno(): number;
}

async function load(): Promise<SystemSockets | null> {
  try {
    const { default: koffi } = await import("koffi");
    const library = koffi.load(null);
    loaded = new LinuxSockets({
      socket: library.func("int socket(int, int, int)"),
      bind: library.func("int bind(int, void *, uint32_t)"),
      setsockopt: library.func("int setsockopt(int, int, int, void *, uint32_t)"),
      setns: library.func("int setns(int, int)"),
      errno: () => koffi.errno(),
    });
    return loaded;
  } catch {
    return null;
  }
}

class LinuxSockets implements SystemSockets {
  readonly #calls: LibraryCalls;
  readonly #int = new Int32Array(1);

  constructor(calls: LibraryCalls) {
    this.#calls = calls;
  }

  bind(options: ListeningSocket): number {
    const ipv6 = options.host.includes(":");
    const fd = this.open(options);
    try {
      // For UDP it would let others take the address as well.
      if (!options.datagram) this.#set(fd, "bind", SOL_SOCKET, SO_REUSEADDR, 1);
      if (options.reusePort) this.#set(fd, "bind", SOL_SOCKET, SO_REUSEPORT, 1);
      if (ipv6) this.#set(fd, "bind", SOL_IPV6, IPV6_V6ONLY, options.ipv6Only ? 1 : 0);
      const address = socketAddress(options.host, options.port);
      if (this.#calls.bind(fd, address, address.length) < 0) throw this.#error("bind");
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  open({ host, networkNamespace, transparent, datagram }: SocketPlace): number {
    const ipv6 = host.includes(":");
    const family = ipv6 ? AF_INET6 : AF_INET;
    const type = datagram ? SOCK_DGRAM : SOCK_STREAM;
    const make = (): number => {
      const fd = this.#calls.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd < 0) throw this.#error("socket");
      return fd;
    };
    const fd = networkNamespace === null ? make() : this.#inside(networkNamespace, make);
    if (!transparent) return fd;
    try {
      // The option of IPv4 is the same on a socket of IPv6 that takes IPv4 connections, too.
      if (ipv6) this.#set(fd, "transparent", SOL_IPV6, IPV6_TRANSPARENT, 1);
      else this.#set(fd, "transparent", SOL_IP, IP_TRANSPARENT, 1);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** A socket belongs to the namespace that its thread was in when it was made, for good. */
  #inside<T>(path: string, make: () => T): T {
    const own = openNamespace(OWN_NAMESPACE);
    try {
      const other = openNamespace(path);
      try {
        if (this.#calls.setns(other, CLONE_NEWNET) < 0) throw this.#error("namespace", path);
      } finally {
        closeSync(other);
      }
      try {
        return make();
      } finally {
        // Everything from here on would happen in the wrong network.
        if (this.#calls.setns(own, CLONE_NEWNET) < 0) process.abort();
      }
    } finally {
      closeSync(own);
    }
  }

  #set(fd: number, step: SocketError["step"], level: number, option: number, value: number): void {
    this.#int[0] = value;
    if (this.#calls.setsockopt(fd, level, option, this.#int, 4) < 0) throw this.#error(step);
  }

  #error(step: SocketError["step"], about = ""): SocketError {
    return new SocketError(step, getSystemErrorName(-this.#calls.errno()), about);
  }
}

function openNamespace(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw new SocketError("namespace", (error as NodeJS.ErrnoException).code ?? "EIO", path);
  }
}

/** `sockaddr_in` or `sockaddr_in6`. */
function socketAddress(host: string, port: number): Buffer {
  const ip = parseIp(host);
  if (ip === null) throw new SocketError("bind", "EINVAL", `${host} is no IP address`);
  const ipv6 = ip.length === 8;
  const address = Buffer.alloc(ipv6 ? 28 : 16);
  // The family alone is in the machine's own order of bytes.
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = ipv6 ? AF_INET6 : AF_INET;
  address.writeUInt16BE(port, 2);
  for (const [i, group] of ip.entries()) address.writeUInt16BE(group, (ipv6 ? 8 : 4) + 2 * i);
  return address;
}
