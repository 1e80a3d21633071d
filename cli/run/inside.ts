/** Sockets in the program's network namespace, for this process, which is not in it. */
import dgram from "node:dgram";
import net from "node:net";
import type { SystemSockets } from "../../proxy/listener/system-sockets.ts";

export class InsideSockets {
  readonly #sockets: SystemSockets;
  readonly #networkNamespace: string;

  constructor(sockets: SystemSockets, networkNamespace: string) {
    this.#sockets = sockets;
    this.#networkNamespace = networkNamespace;
  }

  /** A UDP socket that is bound. Throws `SocketError`. IPv4. */
  async datagrams(host: string, port: number): Promise<dgram.Socket> {
    const fd = this.#sockets.bind({ ...this.#place(host), port, datagram: true });
    const socket = dgram.createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind({ fd, exclusive: true }, resolve));
    return socket;
  }

  /** A TCP server that listens. Throws `SocketError`. */
  async server(host: string, port: number): Promise<net.Server> {
    const fd = this.#sockets.bind({ ...this.#place(host), port });
    const server = net.createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ fd }, resolve);
    });
    return server;
  }

  /** Begins a TCP connection. Throws `SocketError`. */
  connect(host: string, port: number): net.Socket {
    const fd = this.#sockets.open({ host, networkNamespace: this.#networkNamespace });
    const options: net.SocketConstructorOpts & { manualStart: true } = {
      fd,
      readable: true,
      writable: true,
      allowHalfOpen: true,
      // There is nothing to read before the connection stands.
      manualStart: true,
    };
    return new net.Socket(options).connect({ host, port });
  }

  #place(host: string) {
    const networkNamespace = this.#networkNamespace;
    return { host, networkNamespace, ipv6Only: false, transparent: false, reusePort: false };
  }
}
