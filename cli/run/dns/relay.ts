/**
 * Name service for a program in a network of its own: names of the mesh are answered here, all others asked of the
 * machine's own name servers.
 */
import dgram, { type RemoteInfo } from "node:dgram";
import net from "node:net";
import type { Clock } from "../../../core/clock.ts";
import { answerFor, readQuestion } from "./message.ts";

export interface DnsRelayOptions {
  /** Sockets at which the program asks, bound. */
  readonly udp: dgram.Socket;
  readonly tcp: net.Server;
  /** Of the mesh, by name in lower case; undefined: none of its names. */
  readonly addresses: (name: string) => readonly string[] | undefined;
  /** The machine's name servers, asked in this order. */
  readonly servers: () => readonly string[];
  readonly clock: Clock;
  /** Default: 53. */
  readonly port?: number;
}

/** How long a name server has before the next is asked. The C library's own patience is 5 s. */
const ASK_MS = 2000;
/** Queries under way, more are dropped: a program asks again. */
const MOST_QUERIES = 512;
const DNS_PORT = 53;

export class DnsRelay {
  readonly #options: DnsRelayOptions;
  #queries = 0;

  constructor(options: DnsRelayOptions) {
    this.#options = options;
    const { udp, tcp } = options;
    udp.on("message", (query, from) => this.#onQuery(query, from));
    udp.on("error", () => undefined);
    tcp.on("connection", (socket) => this.#onConnection(socket));
  }

  close(): void {
    this.#options.udp.close();
    this.#options.tcp.close();
  }

  #onQuery(query: Buffer, from: RemoteInfo): void {
    const reply = (answer: Buffer): void => this.#options.udp.send(answer, from.port, from.address, () => undefined);
    const question = readQuestion(query);
    const known = question === null ? undefined : this.#options.addresses(question.name);
    if (question !== null && known !== undefined) {
      reply(answerFor(query, question, known));
      return;
    }
    if (query.length < 2 || this.#queries >= MOST_QUERIES) return;
    this.#ask(query, this.#options.servers(), reply);
  }

  /** Each query from a port of its own: what answers it can't be guessed. */
  #ask(query: Buffer, [server, ...others]: readonly string[], reply: (answer: Buffer) => void): void {
    if (server === undefined) return;
    this.#queries++;
    const socket = dgram.createSocket(server.includes(":") ? "udp6" : "udp4");
    let over = false;
    const finish = (answer: Buffer | null): void => {
      if (over) return;
      over = true;
      timer.cancel();
      socket.close();
      this.#queries--;
      if (answer === null) this.#ask(query, others, reply);
      else reply(answer);
    };
    const timer = this.#options.clock.after(ASK_MS, () => finish(null));
    socket.on("error", () => finish(null));
    socket.on("message", (answer) => {
      if (answer.length >= 2 && answer.readUInt16BE(0) === query.readUInt16BE(0)) finish(answer);
    });
    socket.connect(this.#options.port ?? DNS_PORT, server, () => {
      if (!over) socket.send(query, (error) => error && finish(null));
    });
  }

  /** What does not fit into a datagram is never about the mesh's names: bytes go through as they are. */
  #onConnection(socket: net.Socket): void {
    const [...servers] = this.#options.servers();
    socket.on("error", () => undefined);
    const tryNext = (): void => {
      const server = servers.shift();
      if (server === undefined) {
        socket.destroy();
        return;
      }
      const upstream = net.connect({ host: server, port: this.#options.port ?? DNS_PORT });
      const timer = this.#options.clock.after(ASK_MS, () => upstream.destroy(new Error("no connection")));
      const giveUp = (): void => {
        timer.cancel();
        tryNext();
      };
      upstream.once("error", giveUp);
      upstream.once("connect", () => {
        timer.cancel();
        upstream.off("error", giveUp);
        socket.on("error", () => upstream.destroy());
        upstream.on("error", () => socket.destroy());
        socket.pipe(upstream).pipe(socket);
      });
    };
    tryNext();
  }
}
