/** One bound listening address: accepts connections and hands each to the configuration in force at that moment. */
import net from "node:net";
import { isDeepStrictEqual } from "node:util";
import { codeOf, UserError } from "../../core/errors.ts";
import { type Address, formatAddress } from "../../model/address.ts";
import type { Listener } from "../../model/listener.ts";
import { emptyAcceptQueue } from "./accept-queue.ts";
import type { ListeningPlace, ListeningPlaces } from "./places.ts";
import { descriptorOf, socketOptions } from "./socket-options.ts";
import { loadSystemSockets, SocketError } from "./system-sockets.ts";

/** What is done with an accepted connection. */
export type AcceptConnection = (socket: net.Socket) => void;

export class BoundListener {
  readonly #server: net.Server;
  readonly #address: Address;
  #accept: AcceptConnection;
  #config: Listener;
  /** Gives back the place that the socket has among those of other threads. */
  #leavePlace: () => void = () => undefined;
  #closed = false;
  #emptying = false;
  accepted = 0;

  private constructor(server: net.Server, config: Listener, address: Address, accept: AcceptConnection) {
    this.#server = server;
    this.#address = address;
    this.#config = config;
    this.#accept = accept;
    server.on("connection", (socket) => {
      this.accepted++;
      this.#accept(socket);
    });
  }

  /**
   * Binds the listener's address and its additional ones: all of them or none. Sockets of `before` that are bound to one
   * of them stay. `places`: where other threads listen as well. Rejects as `bind` does.
   */
  static async bindAll(
    config: Listener,
    before: readonly BoundListener[],
    accept: AcceptConnection,
    places: ListeningPlaces | null = null,
  ): Promise<readonly BoundListener[]> {
    if (!config.bindToPort) return [];
    const bound: BoundListener[] = [];
    try {
      for (const address of [config.address, ...(config.additionalAddresses ?? [])]) {
        const kept = before.find((listener) => isDeepStrictEqual(listener.#address, address));
        const listener = kept ?? (await BoundListener.bind(config, address, accept, places));
        if (listener !== null) bound.push(listener);
      }
    } catch (error) {
      for (const listener of bound) if (!before.includes(listener)) listener.stopAccepting();
      throw error;
    }
    for (const listener of bound) listener.update(config, accept);
    return bound;
  }

  /**
   * Binds; null where another thread listens there alone. Rejects with a UserError that names the listener and the reason:
   * port in use, no permission.
   */
  static async bind(
    config: Listener,
    address: Address,
    accept: AcceptConnection,
    places: ListeningPlaces | null = null,
  ): Promise<BoundListener | null> {
    const place = places === null ? null : takePlace(places, config, address);
    if (places !== null && place === null) return null;
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    const listener = new BoundListener(server, config, address, accept);
    listener.#leavePlace = () => places?.onClosing(config, address);
    try {
      const options = await listenOptions(config, address, place);
      await new Promise<void>((resolve, reject) => {
        const onError = (error: Error): void => reject(explainBind(error, config, address));
        server.once("error", onError);
        server.listen({ ...options, backlog: config.tcpBacklogSize }, () => {
          server.removeListener("error", onError);
          resolve();
        });
      });
    } catch (error) {
      listener.#leavePlace();
      throw error;
    }
    places?.onListening(config, address, descriptorOf(server) ?? -1);
    server.on("error", () => undefined);
    return listener;
  }

  get config(): Listener {
    return this.#config;
  }

  /** The address in fact bound: the port where 0 was asked for. */
  get boundAddress(): { readonly host: string; readonly port: number } | null {
    const bound = this.#server.address();
    return bound !== null && typeof bound === "object" ? { host: bound.address, port: bound.port } : null;
  }

  /** New connections follow `config` from now on; the socket stays bound, so that none is refused in between. */
  update(config: Listener, accept: AcceptConnection): void {
    this.#config = config;
    this.#accept = accept;
  }

  /** Whether connections that came before `stopAccepting` still wait to be accepted. */
  get emptying(): boolean {
    return this.#emptying;
  }

  /** Takes no new connections, but those that wait to be accepted; open ones live on. */
  stopAccepting(): void {
    if (this.#closed) return;
    this.#leave();
    this.#closed = true;
    this.#emptying = !emptyAcceptQueue(this.#server, socketOptions(), () => this.close());
  }

  /** Accepts no more, whoever waits. */
  close(): void {
    this.#leave();
    this.#closed = true;
    this.#emptying = false;
    this.#server.close();
  }

  #leave(): void {
    this.#leavePlace();
    this.#leavePlace = () => undefined;
  }
}

function takePlace(places: ListeningPlaces, config: Listener, address: Address): ListeningPlace | null {
  try {
    return places.take(config, address);
  } catch (error) {
    throw explainBind(error as Error, config, address);
  }
}

async function listenOptions(
  config: Listener,
  address: Address,
  place: ListeningPlace | null,
): Promise<net.ListenOptions & { readonly fd?: number }> {
  if (address.kind === "pipe") return { path: address.path };
  if (place !== null && place.fd !== null) return { fd: place.fd };
  const { host } = address;
  const port = place?.port ?? address.port;
  const reusePort = place !== null;
  // As in Envoy: `::` leaves IPv4 alone unless it is told otherwise.
  const ipv6Only = host.includes(":") && !address.ipv4Compat;
  const transparent = config.transparent === true;
  const networkNamespace = address.networkNamespace ?? null;
  if (!transparent && networkNamespace === null) return { host, port, ipv6Only, reusePort };
  const sockets = await loadSystemSockets();
  if (sockets === null) throw explainBind(new Error(NO_SYSTEM_SOCKETS), config, address);
  try {
    return { fd: sockets.bind({ host, port, ipv6Only, transparent, networkNamespace, reusePort }) };
  } catch (error) {
    throw explainBind(error as Error, config, address);
  }
}

const NO_SYSTEM_SOCKETS =
  "transparent sockets and those in other network namespaces need Linux and the optional package koffi";

function explainBind(error: Error, config: Listener, address: Address): UserError {
  const message = `cannot bind ${formatAddress(address)}: ${whyNotBound(error)}`;
  return new UserError([{ resource: `listener "${config.name}"`, message }]);
}

function whyNotBound(error: Error): string {
  if (error instanceof SocketError && error.step !== "bind") return error.message;
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return "the address is in use by another process";
    case "EACCES":
      return "permission denied (ports below 1024 need privileges)";
    case "EADDRNOTAVAIL":
      return "this machine does not have that address";
    default:
      return error.message;
  }
}
