/** The Kubernetes API over HTTPS, on Node's own client: lists, watches as lines of JSON, single calls. */
import http, { type IncomingMessage } from "node:http";
import https, { type RequestOptions } from "node:https";
import { messageOf } from "../../core/errors.ts";
import {
  type ApiCall,
  ApiError,
  type Collection,
  type Json,
  type KubernetesApi,
  type ListPage,
  type ListQuery,
  type WatchEvent,
  type WatchQuery,
} from "./api.ts";
import type { ApiConnection } from "./connection.ts";
import { decodeEvent, decodeList, errorOf } from "./decode.ts";
import { linesOf } from "./lines.ts";

export interface HttpApiOptions {
  readonly connection: ApiConnection;
  readonly userAgent: string;
  /** Silence in an answer after which its connection is given up, ms. Default: 30 s. */
  readonly silenceMs?: number;
  /** The same for a watch, where a server sends a bookmark about once a minute. Default: 150 s. */
  readonly watchSilenceMs?: number;
}

/** Of an answer that is held in memory as a whole: a page, or all objects of a kind. */
const MAX_ANSWER_BYTES = 512 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;
/** Of one event: etcd takes objects of 1.5 MB, which JSON may double. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

export class HttpApi implements KubernetesApi {
  readonly #options: HttpApiOptions;
  readonly #agent: http.Agent;

  constructor(options: HttpApiOptions) {
    this.#options = options;
    const settings = { keepAlive: true, keepAliveMsecs: 15_000, scheduling: "lifo" } as const;
    this.#agent = options.connection.server.protocol === "http:" ? new http.Agent(settings) : new https.Agent(settings);
  }

  async list(collection: Collection, { limit, continue: next }: ListQuery, signal: AbortSignal): Promise<ListPage> {
    const query = new URLSearchParams();
    if (limit > 0) query.set("limit", String(limit));
    if (next !== "") query.set("continue", next);
    const answer = await this.#request(
      { method: "GET", path: withQuery(collection.path, query) },
      accepting(collection, "List"),
      this.#silenceMs,
      signal,
    );
    return decodeList(await jsonOf(answer));
  }

  async *watch(
    collection: Collection,
    { resourceVersion, timeoutSeconds }: WatchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent> {
    const query = new URLSearchParams({
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion,
      timeoutSeconds: String(timeoutSeconds),
    });
    const answer = await this.#request(
      { method: "GET", path: withQuery(collection.path, query) },
      accepting(collection, ""),
      this.#options.watchSilenceMs ?? 150_000,
      signal,
    );
    try {
      for await (const line of linesOf(answer, MAX_LINE_BYTES)) yield decodeEvent(parsed(line));
    } finally {
      answer.destroy();
    }
  }

  async call(call: ApiCall, signal: AbortSignal): Promise<Json> {
    const answer = await this.#request(call, "application/json", this.#silenceMs, signal);
    return (await jsonOf(answer)) as Json;
  }

  close(): void {
    this.#agent.destroy();
  }

  get #silenceMs(): number {
    return this.#options.silenceMs ?? 30_000;
  }

  /** Resolves with a good answer whose body has not been read. */
  async #request(call: ApiCall, accept: string, silenceMs: number, signal: AbortSignal): Promise<IncomingMessage> {
    const { connection, userAgent } = this.#options;
    const { server } = connection;
    const credentials = await connection.credentials();
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    const options: RequestOptions = {
      ...credentials,
      agent: credentials.agent ?? this.#agent,
      method: call.method,
      host: server.hostname.replace(/^\[|\]$/g, ""),
      port: server.port,
      path: `${server.pathname.replace(/\/$/, "")}${call.path}`,
      signal,
      timeout: silenceMs,
      headers: {
        ...credentials.headers,
        accept,
        "user-agent": userAgent,
        ...(body === null ? {} : { "content-type": call.contentType ?? "application/json" }),
      },
    };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = server.protocol === "http:" ? http.request(options) : https.request(options);
      request.on("timeout", () => request.destroy(new Error(`the API server was silent for ${silenceMs} ms`)));
      request.on("response", resolve);
      request.on("error", reject);
      request.end(body ?? undefined);
    });
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    const text = await textOf(answer, MAX_ERROR_BYTES);
    throw errorOf(triedJson(text), status, retryAfterMs(answer.headers["retry-after"]));
  }
}

function withQuery(path: string, query: URLSearchParams): string {
  return query.size === 0 ? path : `${path}${path.includes("?") ? "&" : "?"}${query}`;
}

/** KEP-1440: a server that cannot leave out what is not metadata sends whole objects. */
function accepting({ metadataOnly }: Collection, suffix: "List" | ""): string {
  if (!metadataOnly) return "application/json";
  return `application/json;as=PartialObjectMetadata${suffix};g=meta.k8s.io;v=v1,application/json`;
}

async function jsonOf(answer: IncomingMessage): Promise<unknown> {
  return parsed(await textOf(answer, MAX_ANSWER_BYTES));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError(0, "", `the API server sent what is no JSON: ${messageOf(error)}`);
  }
}

function triedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's page in between, say: the status says enough.
    return null;
  }
}

async function textOf(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new ApiError(0, "", `the API server's answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** RFC 9110, section 10.2.3; Kubernetes gives seconds. */
function retryAfterMs(header: string | undefined): number {
  const seconds = Number(header ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}
