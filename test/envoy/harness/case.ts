/** What a case is: a snippet of Envoy configuration, what a client does, and what the upstream answers. */

import type { ErrorName, Frame } from "./http2/frames.ts";
import type { Field } from "./http2/hpack.ts";

/** Envoy configuration in its JSON form. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** What a client does on its connection, in order. */
export type Step =
  | { readonly send: string | Buffer }
  /** Reads one final response and the informational ones before it. */
  | { readonly read: "response" | "head" }
  /** Reads so many bytes of a tunnel. */
  | { readonly bytes: number }
  | { readonly waitMs: number }
  /** Ends its side, or the connection. */
  | { readonly end: "half" | "close" | "reset" };

/** What an upstream does with one request. It has read the request's body unless it says `early`. */
export type UpstreamStep =
  | { readonly write: string | Buffer }
  | { readonly waitMs: number }
  /** Waits for the rest of the request's body. */
  | { readonly body: true }
  /** From now on bytes are sent back as they come. */
  | { readonly echo: true }
  | { readonly end: "close" | "reset" };

/** What one end of an HTTP/2 connection does. Streams are those of the call at hand, for a client 1, unless named. */
export type Http2Step =
  | { readonly headers: readonly Field[]; readonly stream?: number; readonly end?: boolean }
  | { readonly data: string | Buffer; readonly stream?: number; readonly end?: boolean }
  | { readonly reset: ErrorName; readonly stream?: number }
  | { readonly goaway: ErrorName; readonly last?: number }
  | { readonly frame: Frame }
  | { readonly waitMs: number }
  /** Waits for what the other end does: so many bytes of a body, its head, its end (or reset). */
  | { readonly until: "informational" | "head" | "end" | "reset" | number; readonly stream?: number }
  | { readonly until: "goaway" | "closed" }
  | { readonly end: "half" | "close" | "reset" };

/** What an upstream does with a call that came over HTTP/2: DATA may go back as it comes. */
export type Http2UpstreamStep = Http2Step | { readonly echo: true };

export interface Answer {
  readonly early?: boolean;
  readonly steps: readonly UpstreamStep[];
  /** The same for calls over HTTP/2. */
  readonly http2?: readonly Http2UpstreamStep[];
}

/** The `number`th call (from 1) of a case, to the upstream of that name. */
export type Answers = readonly Answer[] | ((call: { readonly upstream: string; readonly number: number }) => Answer);

/** A TLS client: names of certificates that `certificates.ts` makes. */
export interface ClientTls {
  readonly sni?: string;
  readonly certificate?: string;
  readonly alpn?: readonly string[];
}

/** Lines in which the two proxies differ on purpose. */
export interface Difference {
  readonly why: string;
  readonly envoy: readonly string[];
  readonly outrigger: readonly string[];
}

/** What every kind of case has. */
export interface Compared {
  readonly name: string;
  /** Picks what is compared, where all of it would be chance. */
  readonly view?: (lines: readonly string[]) => readonly string[];
  readonly differs?: Difference;
}

/**
 * In configuration, requests and answers, `{case}` stands for the case's id, `{host}` for the host whose virtual host the
 * case has, `{cluster}` for its cluster.
 */
export interface Case extends Compared {
  /** Routes of the case's own virtual host. */
  readonly routes?: readonly JsonObject[];
  /** Further fields of that virtual host. */
  readonly virtualHost?: JsonObject;
  /** All virtual hosts instead; the case then has a listener to itself. */
  readonly virtualHosts?: readonly JsonObject[];
  /** Fields of the route configuration. */
  readonly table?: JsonObject;
  /** Fields of the connection manager; cases with the same ones share a listener. */
  readonly manager?: JsonObject;
  /** HTTP filters before the router. */
  readonly filters?: readonly JsonObject[];
  /** Further operators in the access log: text, or fields of a JSON line. */
  readonly log?: string | JsonObject;
  /** Which requests are logged. */
  readonly logFilter?: JsonObject;
  /** Configuration of the router filter. */
  readonly router?: JsonObject;
  /** Fields of the listener. */
  readonly listener?: JsonObject;
  /** Builds the filter chains around the connection manager. */
  readonly chains?: (manager: JsonObject) => readonly JsonObject[];
  /** Fields of a cluster of the case's own, with `up` in it unless it says otherwise; else `up` is shared. */
  readonly cluster?: JsonObject;
  /** Further clusters. */
  readonly clusters?: readonly JsonObject[];
  readonly tls?: ClientTls;
  /** One connection. */
  readonly steps?: readonly Step[];
  /** One HTTP/2 connection instead. */
  readonly http2?: readonly Http2Step[];
  /** SETTINGS of that HTTP/2 client, by identifier. */
  readonly settings?: Readonly<Record<number, number>>;
  /** Compares the SETTINGS that both ends were sent. */
  readonly showsSettings?: boolean;
  /** Several at once. */
  readonly connections?: readonly (readonly Step[])[];
  readonly answers?: Answers;
  /** Compares over which of its connections an upstream was called. */
  readonly showsConnections?: boolean;
}

export interface Area {
  readonly name: string;
  readonly kind?: "http";
  /** Upstream servers besides `up`, plaintext or with TLS. */
  readonly upstreams?: Readonly<Record<string, UpstreamTls | null>>;
  /** How many cases run at once. Default: 8. */
  readonly concurrency?: number;
  readonly cases: readonly Case[];
}

export interface UpstreamTls {
  readonly certificate: string;
  readonly requireClientCertificate?: boolean;
  /** Default: HTTP/1.1 alone. */
  readonly alpn?: readonly string[];
}
