/** A small HTTP endpoint for status, metrics and probes. Not on any data path: `node:http` is enough. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry as PrometheusRegistry } from "prom-client";
import { codeOf, messageOf, UserError } from "../core/errors.ts";
import type { AppliedAnswer } from "./applied/endpoint.ts";
import type { Readiness } from "./readiness.ts";
import type { ControlPlaneStatus } from "./status.ts";

export interface StatusServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly status: () => ControlPlaneStatus;
  /** Whether an object is in force at the sidecars; may take as long as the question says. */
  readonly applied: (parameters: URLSearchParams, isGone: () => boolean) => Promise<AppliedAnswer>;
  readonly metrics: PrometheusRegistry;
  readonly readiness: Readiness;
}

export class StatusServer {
  readonly #server: Server;
  readonly #options: StatusServerOptions;

  constructor(options: StatusServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request.method ?? "", request.url ?? "", response).catch((error: unknown) => {
        reply(response, 500, "text/plain", `${messageOf(error)}\n`);
      });
    });
  }

  /** Resolves with the port. Rejects with a `UserError` when it can't be had. */
  listen(): Promise<number> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error) => {
        const reason = codeOf(error) === "EADDRINUSE" ? "is in use" : messageOf(error);
        reject(new UserError(`status port ${host}:${port} ${reason}`));
      });
      this.#server.listen(port, host, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(method: string, url: string, response: ServerResponse): Promise<void> {
    const [path] = url.split("?", 1);
    if (method !== "GET" && method !== "HEAD") return reply(response, 405, "text/plain", "GET only\n");
    if (path === "/status") {
      return reply(response, 200, "application/json", `${JSON.stringify(this.#options.status(), null, 2)}\n`);
    }
    if (path === "/applied") {
      const parameters = new URLSearchParams(url.slice(path.length + 1));
      const answer = await this.#options.applied(parameters, () => response.closed);
      return reply(response, answer.status, "application/json", `${JSON.stringify(answer.body, null, 2)}\n`);
    }
    // The event loop answers: that is all there is to be asked of a process.
    if (path === "/live") return reply(response, 200, "text/plain", "LIVE\n");
    if (path === "/ready") {
      const { waitingFor } = this.#options.readiness;
      if (waitingFor.length === 0) return reply(response, 200, "text/plain", "LIVE\n");
      return reply(response, 503, "text/plain", `waiting for ${waitingFor.join(", ")}\n`);
    }
    if (path === "/metrics" || path === "/stats/prometheus") {
      const { metrics } = this.#options;
      return reply(response, 200, metrics.contentType, await metrics.metrics());
    }
    return reply(response, 404, "text/plain", "try /status, /applied, /metrics, /live or /ready\n");
  }
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
