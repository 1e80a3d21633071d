/** One bound listening address: accepts connections and hands each to the configuration in force at that moment. */
import net from "node:net";
import { codeOf, UserError } from "../../core/errors.ts";
import { formatAddress } from "../../model/address.ts";
import type { Listener } from "../../model/listener.ts";

/** What is done with an accepted connection. */
export type AcceptConnection = (socket: net.Socket) => void;

export class BoundListener {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #accept: AcceptConnection;
  #config: Listener;
  accepted = 0;

  private constructor(server: net.Server, config: Listener, accept: AcceptConnection) {
    this.#server = server;
    this.#config = config;
    this.#accept = accept;
    server.on("connection", (socket) => {
      this.accepted++;
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      this.#accept(socket);
    });
  }

  /** Binds. Rejects with a UserError that names the listener and the reason: port in use, no permission. */
  static async bind(config: Listener, accept: AcceptConnection): Promise<BoundListener> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    const { address } = config;
    const listener = new BoundListener(server, config, accept);
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error): void => reject(explainBind(error, config));
      server.once("error", onError);
      const options: net.ListenOptions =
        address.kind === "pipe"
          ? { path: address.path }
          : {
              host: address.host,
              port: address.port,
              ipv6Only: address.host === "::" ? false : address.host.includes(":"),
            };
      server.listen({ ...options, backlog: config.tcpBacklogSize }, () => {
        server.removeListener("error", onError);
        resolve();
      });
    });
    server.on("error", () => undefined);
    return listener;
  }

  get config(): Listener {
    return this.#config;
  }

  get activeConnections(): number {
    return this.#sockets.size;
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

  /** Accepts no more; open connections live on. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Cuts what is still open. */
  destroyConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function explainBind(error: Error, config: Listener): UserError {
  const at = formatAddress(config.address);
  const resource = `listener "${config.name}"`;
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return new UserError([{ resource, message: `cannot bind ${at}: the address is in use by another process` }]);
    case "EACCES":
      return new UserError([
        { resource, message: `cannot bind ${at}: permission denied (ports below 1024 need privileges)` },
      ]);
    case "EADDRNOTAVAIL":
      return new UserError([{ resource, message: `cannot bind ${at}: this machine does not have that address` }]);
    default:
      return new UserError([{ resource, message: `cannot bind ${at}: ${error.message}` }]);
  }
}
