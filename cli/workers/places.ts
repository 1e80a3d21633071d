/**
 * Where workers listen. The main thread finds out once for all of them whether an address is to be had, and which port
 * where any will do; after that each worker has a socket of its own there (SO_REUSEPORT), and the kernel spreads
 * connections over them. A socket with that option would also settle beside another process's of the same user.
 */
import { closeSync } from "node:fs";
import net from "node:net";
import { getSystemErrorName } from "node:util";
import { type Address, formatAddress } from "../../model/address.ts";
import type { Listener } from "../../model/listener.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import type { ListeningPlace, ListeningPlaces } from "../../proxy/listener/places.ts";
import { loadSystemSockets, SocketError } from "../../proxy/listener/system-sockets.ts";
import type { Descriptors } from "./descriptors.ts";
import type { FromWorker, PlaceEntry } from "./messages.ts";

type TcpAddress = Extract<Address, { kind: "tcp" }>;

/** The same for the same place in all threads. Port 0 is another one for each listener. */
export function placeKey(listener: Listener, address: Address): string {
  if (address.kind === "pipe") return address.path;
  const { networkNamespace = "", port } = address;
  return `${formatAddress(address)} ${networkNamespace}${port === 0 ? ` ${listener.name}` : ""}`;
}

/** Addresses of listeners that have sockets, by their keys; pipes are not among them. */
function* addressesOf({ listeners }: Snapshot): Generator<readonly [key: string, address: TcpAddress, Listener]> {
  for (const listener of listeners.values()) {
    if (!listener.bindToPort) continue;
    for (const address of [listener.address, ...(listener.additionalAddresses ?? [])])
      if (address.kind === "tcp") yield [placeKey(listener, address), address, listener];
  }
}

/** The main thread's side. */
export class PlaceBook {
  readonly #entries = new Map<string, PlaceEntry>();
  /** Ports that the system has chosen, bound for as long as they are places: it might choose them for others otherwise. */
  readonly #reserved = new Map<string, BoundHandle>();
  /** Changes with the entries. */
  version = 0;

  get entries(): ReadonlyMap<string, PlaceEntry> {
    return this.#entries;
  }

  /** Finds places for all that `snapshot` has and the book has not. What it could not have is tried again. */
  async add(snapshot: Snapshot): Promise<void> {
    // The workers listen at these already, and would themselves be in the way of a probe at an overlapping address.
    const ports = new Set([...this.#entries.values()].map((entry) => ("port" in entry ? entry.port : 0)));
    for (const [key, address, listener] of addressesOf(snapshot)) {
      const known = this.#entries.get(key);
      if (known !== undefined && "port" in known) continue;
      const { port } = address;
      if (port > 0 && ports.has(port)) this.#entries.set(key, { port });
      else this.#entries.set(key, port === 0 ? this.#reserve(key, address) : await probe(listener, address));
      this.version++;
    }
  }

  /** Forgets places that `snapshot` has not: to be called when no worker listens there any more. */
  prune(snapshot: Snapshot): void {
    const used = new Set([...addressesOf(snapshot)].map(([key]) => key));
    for (const key of this.#entries.keys()) if (!used.has(key)) this.#forget(key);
  }

  /** Forgets all places. */
  close(): void {
    for (const key of this.#entries.keys()) this.#forget(key);
  }

  #forget(key: string): void {
    this.#entries.delete(key);
    this.#reserved.get(key)?.close();
    this.#reserved.delete(key);
  }

  #reserve(key: string, address: TcpAddress): PlaceEntry {
    const handle = bindHandle(address, REUSE_PORT);
    const entry = placeOf(handle);
    if (typeof handle === "number") return entry;
    if ("port" in entry) this.#reserved.set(key, handle);
    else handle.close();
    return entry;
  }
}

/** As `net.Server` makes it: bound, and not listening yet. */
interface BoundHandle {
  getsockname(out: { port?: number }): number;
  close(): void;
}

const { _createServerHandle: createServerHandle } = net as unknown as {
  _createServerHandle(
    host: string,
    port: number,
    family: 4 | 6,
    fd: number | undefined,
    flags: number,
  ): BoundHandle | number;
};

/** libuv's UV_TCP_IPV6ONLY and UV_TCP_REUSEPORT. */
const IPV6_ONLY = 1;
const REUSE_PORT = 2;

function bindHandle({ host, port, ipv4Compat }: TcpAddress, flags = 0): BoundHandle | number {
  if (!host.includes(":")) return createServerHandle(host, port, 4, undefined, flags);
  return createServerHandle(host, port, 6, undefined, flags | (ipv4Compat ? 0 : IPV6_ONLY));
}

/** Binds for a moment, with nobody beside. A socket that does not listen takes no connection from anyone. */
async function probe(listener: Listener, address: TcpAddress): Promise<PlaceEntry> {
  const { host, port, networkNamespace = null } = address;
  const transparent = listener.transparent === true;
  if (transparent || networkNamespace !== null) {
    const sockets = await loadSystemSockets();
    // What is missing is told by whoever comes to listen.
    if (sockets === null) return { port };
    const ipv6Only = host.includes(":") && !address.ipv4Compat;
    try {
      closeSync(sockets.bind({ host, port, ipv6Only, transparent, networkNamespace, reusePort: false }));
      return { port };
    } catch (error) {
      return error instanceof SocketError && error.code === "EADDRINUSE" ? { error: error.code } : { port };
    }
  }
  if (net.isIP(host) === 0) return { port };
  const handle = bindHandle(address);
  const entry = placeOf(handle);
  if (typeof handle !== "number") handle.close();
  return entry;
}

/** libuv tells of an address in use not before somebody asks for the socket's name. */
function placeOf(handle: BoundHandle | number): PlaceEntry {
  if (typeof handle === "number") return { error: getSystemErrorName(handle) };
  const name: { port?: number } = {};
  const status = handle.getsockname(name);
  return status < 0 ? { error: getSystemErrorName(status) } : { port: name.port ?? 0 };
}

/** A worker's side. */
export class WorkerPlaces implements ListeningPlaces {
  readonly #index: number;
  readonly #descriptors: Descriptors | null;
  readonly #tell: (message: FromWorker) => void;
  readonly #inherited: Map<string, number>;
  /** Where this worker listens, with a second descriptor of the socket where that is to be had. */
  readonly #mine = new Map<string, number | null>();
  #entries: ReadonlyMap<string, PlaceEntry> = new Map();

  constructor(
    index: number,
    inherited: readonly (readonly [string, number])[],
    descriptors: Descriptors | null,
    tell: (message: FromWorker) => void,
  ) {
    this.#index = index;
    this.#inherited = new Map(inherited);
    this.#descriptors = descriptors;
    this.#tell = tell;
  }

  /** Takes what the main thread has found out. */
  update(entries: ReadonlyMap<string, PlaceEntry>): void {
    this.#entries = entries;
  }

  take(listener: Listener, address: Address): ListeningPlace | null {
    // A pipe has one socket. Its callers are on this machine and few.
    if (address.kind === "pipe") return this.#index === 0 ? { port: 0, fd: null } : null;
    const key = placeKey(listener, address);
    if (this.#mine.has(key)) throw withCode("EADDRINUSE");
    const entry = this.#entries.get(key);
    if (entry === undefined || "error" in entry) throw withCode(entry?.error ?? "EADDRINUSE");
    this.#mine.set(key, null);
    const fd = this.#inherited.get(key) ?? null;
    if (fd !== null) {
      this.#inherited.delete(key);
      this.#tell({ kind: "adopting", key });
    }
    return { port: entry.port, fd };
  }

  onListening(listener: Listener, address: Address, fd: number): void {
    if (address.kind === "pipe") return;
    const second = this.#descriptors?.duplicate(fd) ?? null;
    if (second === null) return;
    const key = placeKey(listener, address);
    this.#mine.set(key, second);
    this.#tell({ kind: "listening", key, fd: second });
  }

  onClosing(listener: Listener, address: Address): void {
    const key = placeKey(listener, address);
    const second = this.#mine.get(key) ?? null;
    this.#mine.delete(key);
    if (second === null) return;
    this.#tell({ kind: "closing", key });
    this.#descriptors?.close(second);
  }

  /** The configuration has changed since: what nobody wants any more would keep its connections waiting for ever. */
  closeInherited(): void {
    for (const [key, fd] of this.#inherited) {
      this.#tell({ kind: "adopting", key });
      this.#descriptors?.close(fd);
    }
    this.#inherited.clear();
  }
}

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code });
}
