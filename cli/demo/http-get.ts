/** One call with Node's own HTTP client, measured: never rejects, what went wrong is part of the result. */
import { type Agent, type IncomingHttpHeaders, request } from "node:http";
import { systemClock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";

export interface CallResult {
  /** Monotonic ms, when the call began. */
  readonly startedAt: number;
  readonly ms: number;
  /** 0: no answer. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly error: string | null;
}

export interface CallOptions {
  readonly host: string;
  readonly port: number;
  /** A path, or a whole URL where `host` is a proxy. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly body?: string;
  readonly agent?: Agent;
  /** For the whole call, ms. */
  readonly timeoutMs: number;
}

export function call(options: CallOptions): Promise<CallResult> {
  const { host, port, path, headers = {}, method = "GET", agent, timeoutMs } = options;
  const startedAt = systemClock.now();
  return new Promise((resolve) => {
    const finish = (parts: Partial<CallResult>): void => {
      timer.cancel();
      const ms = systemClock.now() - startedAt;
      resolve({ startedAt, ms, status: 0, headers: {}, body: "", error: null, ...parts });
    };
    const fail = (error: unknown): void => finish({ error: messageOf(error) });
    const asked = request({ host, port, path, headers, method, ...(agent ? { agent } : {}) }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => finish({ status: response.statusCode ?? 0, headers: response.headers, body }));
      response.on("error", fail);
    });
    const timer = systemClock.after(timeoutMs, () => asked.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    asked.on("error", fail);
    asked.end(options.body);
  });
}

/** GET of an `http://` URL, on a connection of its own. */
export function httpGet(url: string, timeoutMs: number): Promise<CallResult> {
  const { hostname, port, pathname, search } = new URL(url);
  return call({ host: hostname, port: Number(port), path: pathname + search, timeoutMs });
}
