/**
 * Two TCP proxies of this process with TLS between them, as two sidecars have it: caller → first → second → server. What
 * the second takes between them is the test's to say.
 */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import type { Cluster } from "../../model/cluster.ts";
import { OPAQUE_ALPN, OPAQUE_STREAMS_ALPN } from "../../model/tls.ts";
import type { UpstreamTlsConnector } from "../../proxy/endpoint/connector.ts";
import { FEW } from "../../proxy/endpoint/stream-choice.ts";
import type { ConnectionTls } from "../../telemetry/stream-info.ts";
import { certificate } from "../envoy/harness/certificates.ts";
import { OWN_POLICY } from "./clusters.ts";
import { addressOf, type Subject, type SubjectOptions, startSubject } from "./tcp-subject.ts";

export interface PairOptions {
  /** The server behind both. */
  readonly server: net.Server;
  /** What the second takes, first choice first; nothing is selected where it is empty. */
  readonly alpn?: readonly string[];
  /** What the cluster of the first has beside its defaults. */
  readonly cluster?: Partial<Cluster>;
  readonly first?: Partial<SubjectOptions>;
  readonly second?: Partial<SubjectOptions>;
  /** What the first's connections are made with. */
  readonly current?: () => object | null;
}

export class Pair {
  readonly first: Subject;
  readonly second: Subject;
  /** Connections between them, by what was agreed upon. */
  readonly between: { readonly alpn: string; readonly socket: tls.TLSSocket }[];

  readonly #server: net.Server;

  constructor(server: net.Server, first: Subject, second: Subject, between: Pair["between"]) {
    this.#server = server;
    this.first = first;
    this.second = second;
    this.between = between;
  }

  /** So many connections between them are open, of one kind. */
  open(alpn: string): number {
    return this.between.filter((connection) => connection.alpn === alpn && !connection.socket.destroyed).length;
  }

  /** Opens as many connections as have one to themselves: whatever is opened after that is a stream. */
  async hold(count = FEW): Promise<readonly net.Socket[]> {
    const held: net.Socket[] = [];
    while (held.length < count) {
      const accepted = once(this.#server, "connection");
      held.push(net.connect({ port: this.first.port, host: "127.0.0.1", allowHalfOpen: true }));
      await accepted;
    }
    return held;
  }

  /** Connections of the first's callers that have one to the second. */
  get active(): number {
    return this.first.orders.stats.upstream_cx_active;
  }

  close(): void {
    this.first.close();
    this.second.close();
    for (const { socket } of this.between) socket.destroy();
  }
}

/** Comes back when it is so; whoever waits in vain is ended by the test's own limit. */
export async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setImmediate(resolve));
}

export async function startPair(options: PairOptions): Promise<Pair> {
  const { chain, key } = certificate("alpha");
  const { server, alpn = [OPAQUE_STREAMS_ALPN, OPAQUE_ALPN], current } = options;
  const secureContext = tls.createSecureContext({ cert: chain, key });
  const between: Pair["between"] = [];
  const second = await startSubject({
    endpoints: [addressOf(server)],
    accept: (subject, socket) => {
      const secure = new tls.TLSSocket(socket, {
        isServer: true,
        secureContext,
        ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
      });
      secure.on("error", () => undefined);
      secure.once("secure", () => {
        const chosen = secure.alpnProtocol || "";
        between.push({ alpn: chosen, socket: secure });
        const info = { ...subject.infoOf(socket), tls: { ...TLS, alpn: chosen } };
        const served = subject.terminal.serve(secure, null, info, () => subject.served.delete(served));
        subject.served.add(served);
      });
    },
    ...options.second,
  });
  const connector: UpstreamTlsConnector = {
    begin: (_host, _server, offered) => ({
      options: { rejectUnauthorized: false, ALPNProtocols: [...offered] },
      verify: () => null,
      explain: ({ message }) => message,
    }),
    ...(current === undefined ? {} : { current }),
  };
  const first = await startSubject({
    endpoints: [`127.0.0.1:${second.port}`],
    tls: connector,
    cluster: { outrigger: { ...OWN_POLICY, multiplex: true, opaque: true }, ...options.cluster },
    ...options.first,
  });
  return new Pair(server, first, second, between);
}

const TLS: ConnectionTls = {
  version: "TLSv1.3",
  cipher: "",
  sni: "",
  alpn: "",
  resumed: false,
  peer: null,
  localUriSans: [],
  localSubject: "",
};
