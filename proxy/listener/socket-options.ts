/**
 * Options of sockets that Node has no name for, by the C library's own functions: `koffi` is loaded when somebody asks,
 * and where it is not to be had nobody is told more than that.
 */

export interface SocketOptions {
  /** Reads an option into `value`; whether the kernel gave it. */
  get(fd: number, level: number, option: number, value: Buffer): boolean;
  /** Sets an option that is an int; whether the kernel took it. */
  setInt(fd: number, level: number, option: number, value: number): boolean;
  /** From here on a listening socket gets no packet that opens a connection; whether the kernel does so. */
  refuseHandshakes(fd: number): boolean;
}

export const SOL_IP = 0;
export const SOL_IPV6 = 41;
/** `IP_TRANSPARENT`, `IPV6_TRANSPARENT`: the socket may have, and accept for, addresses that are not this machine's. */
export const IP_TRANSPARENT = 19;
export const IPV6_TRANSPARENT = 75;

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** Byte 13 of a TCP header: the flags. */
const OPENS_CONNECTION = filter(
  [0x30, 0, 0, 13], // load it
  [0x54, 0, 0, 0x12], // SYN and ACK of it
  [0x15, 0, 1, 0x02], // SYN alone?
  [0x06, 0, 0, 0], // drop the packet
  [0x06, 0, 0, 0xffff_ffff], // take it
);

/** `struct sock_filter` (code, jump if true, jump if false, operand), in the machine's own order of bytes. */
function filter(...instructions: readonly (readonly [number, number, number, number])[]): Uint8Array {
  const bytes = new Uint8Array(8 * instructions.length);
  for (const [i, [code, yes, no, operand]] of instructions.entries()) {
    new Uint16Array(bytes.buffer, 8 * i, 1)[0] = code;
    bytes.set([yes, no], 8 * i + 2);
    new Uint32Array(bytes.buffer, 8 * i + 4, 1)[0] = operand;
  }
  return bytes;
}

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
    const program = koffi.struct({ length: "uint16_t", instructions: "void *" });
    const attach = library.func("setsockopt", "int", ["int", "int", "int", koffi.pointer(program), "uint32_t"]);
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
      refuseHandshakes(fd) {
        const instructions = { length: OPENS_CONNECTION.length / 8, instructions: OPENS_CONNECTION };
        return attach(fd, SOL_SOCKET, SO_ATTACH_FILTER, instructions, koffi.sizeof(program)) === 0;
      },
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
