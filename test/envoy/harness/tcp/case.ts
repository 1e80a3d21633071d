/** What a case about opaque bytes is: a TCP proxy's configuration, what each end of a connection does, in order. */
import type { ClientTls, Compared, JsonObject, UpstreamTls } from "../case.ts";

/** What one end of a connection does. */
export type TcpStep =
  | { readonly send: string | Buffer }
  /** Waits until so many bytes more have come. */
  | { readonly bytes: number }
  /** Waits for the other side's end, or for the connection's. */
  | { readonly until: "end" | "closed" }
  | { readonly waitMs: number }
  /** From now on bytes are sent back as they come. */
  | { readonly echo: true }
  /** Reads nothing for that long. */
  | { readonly deafMs: number }
  /** Ends its side, or the connection; `cut` ends the socket below TLS without a word. */
  | { readonly end: "half" | "close" | "reset" | "cut" };

/** A server of the case's own, plaintext or with TLS. */
export interface TcpServer {
  /** In intercepted areas: an address of the case's own networks, `{net}.7` or `{net6}:7`, at the port `own`. */
  readonly at?: string;
  readonly tls?: UpstreamTls;
  /** What it does on its `number`th connection (from 1). Then it waits for the other end, and ends with it. */
  readonly steps: readonly TcpStep[] | ((number: number) => readonly TcpStep[]);
}

/**
 * `{case}` stands for the case's id, `{port:NAME}` for the port of one of its servers, `closed`, or `listener`; in
 * intercepted areas also `own`, the port that the case's callers connect to, and `after`, the next one. `{logFile}` is the file of
 * the case's logs.
 */
export interface TcpCase extends Compared {
  /** Fields of the TCP proxy. Default: the cluster `{case}`. */
  readonly proxy?: JsonObject;
  /** Network filters before it. */
  readonly before?: readonly JsonObject[];
  /** Builds the filter chains around these filters. */
  readonly chains?: (filters: readonly JsonObject[]) => readonly JsonObject[];
  /** Fields of the listener. */
  readonly listener?: JsonObject;
  /** Fields of the cluster `{case}`, with the server `up` in it unless it says otherwise. */
  readonly cluster?: JsonObject;
  readonly clusters?: readonly JsonObject[];
  /** Further listeners; they are not waited for. */
  readonly listeners?: readonly JsonObject[];
  /** Format of the access logs. */
  readonly log?: string;
  /** The listener's access log too: a line for each connection, before the proxy's. */
  readonly listenerLog?: boolean;
  /** Default: `up`, which sends back what comes. */
  readonly servers?: Readonly<Record<string, TcpServer>>;
  /** In intercepted areas: the address that callers connect to, at the port `own`. */
  readonly to?: string;
  readonly tls?: ClientTls;
  readonly steps?: readonly TcpStep[];
  /** Several connections, one begun after the other, so many ms apart. */
  readonly connections?: readonly (readonly TcpStep[])[];
  readonly apartMs?: number;
}

export interface TcpArea {
  readonly name: string;
  readonly kind: "tcp";
  /**
   * Runs in a network namespace of its own, in which rules lead every connection to a case's networks that is not the
   * proxy's to the case's listener.
   */
  readonly intercepted?: true;
  /** The proxy runs in a network namespace of its own; `{namespace}` is the one of callers and servers. */
  readonly apart?: true;
  readonly concurrency?: number;
  readonly cases: readonly TcpCase[];
}
