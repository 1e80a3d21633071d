/**
 * Options of sockets that Node has no name for, by the C library's own functions: `koffi` is loaded when somebody asks,
 * and where it is not to be had nobody is told more than that.
 */

export interface SocketOptions {
  /** Reads an option into `value`; whether the kernel gave it. */
  get(fd: number, level: number, option: number, value: Buffer): boolean;
  /** Sets an option that is an int; whether the kernel took it. */
  setInt(fd: number, level: number, option: number, value: number): boolean;
  /** How many connections may wait to be accepted, also of a socket that listens already; whether the kernel took it. */
  listen(fd: number, backlog: number): boolean;
}

export const SOL_IP = 0;
export const SOL_IPV6 = 41;
/** `IP_TRANSPARENT`, `IPV6_TRANSPARENT`: the socket may have, and accept for, addresses that are not this machine's. */
export const IP_TRANSPARENT = 19;
export const IPV6_TRANSPARENT = 75;

let loaded: Promise<SocketOptions | null> | null = null;
let present: SocketOptions | null = null;

/** Null on systems other than Linux, whose numbers these are, and where `koffi` is not installed. */
export function loadSocketOptions(): Promise<SocketOptions | null> {
  loaded ??= process.platform === "linux" ? load() : Promise.resolve(null);
  return loaded;
}

/** What `loadSocketOptions` has loaded before; null: nothing. */
export function socketOptions(): SocketOptions | null {
  return present;
}

async function load(): Promise<SocketOptions | null> {
  try {
    const { default: koffi } = await import("koffi");
    const library = koffi.load(null);
    const getsockopt = library.func("int getsockopt(int, int, int, void *, void *)");
    const setsockopt = library.func("int setsockopt(int, int, int, void *, uint32_t)");
    const listen = library.func("int listen(int, int)");
    const length = new Uint32Array(1);
    const int = new Int32Array(1);
    present = {
      get(fd, level, option, value) {
        length[0] = value.length;
        return getsockopt(fd, level, option, value, length) === 0;
      },
      setInt(fd, level, option, value) {
        int[0] = value;
        return setsockopt(fd, level, option, int, int.byteLength) === 0;
      },
      listen: (fd, backlog) => listen(fd, backlog) === 0,
    };
    return present;
  } catch {
    return null;
  }
}

/** The descriptor of a socket or server that is open; null where it has none. */
export function descriptorOf(socket: object): number | null {
  const fd = (socket as { readonly _handle?: { readonly fd?: unknown } | null })._handle?.fd;
  return typeof fd === "number" && fd >= 0 ? fd : null;
}
