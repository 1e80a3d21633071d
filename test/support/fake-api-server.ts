/** A `FakeCluster` over HTTPS, as a pod finds it: address in the environment, token and CA in a mounted directory. */
import * as fs from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { testAuthority } from "../../control-client/testing/certificates.ts";
import {
  type ApiCall,
  ApiError,
  type Collection,
  type Json,
  type JsonObject,
} from "../../control-plane/kubernetes/api.ts";
import { FakeCluster, placeOf } from "../../control-plane/kubernetes/testing/fake-cluster.ts";

export class FakeApiServer {
  readonly cluster = new FakeCluster();
  readonly #server: https.Server;
  readonly #mount: string;
  readonly #ended = new AbortController();

  /** `directory`: where token and CA are put. */
  constructor(directory: string) {
    this.#mount = directory;
    const authority = testAuthority(Date.now());
    const { chain, key } = authority.issue({ type: "ip", value: "127.0.0.1" });
    fs.writeFileSync(path.join(directory, "ca.crt"), authority.roots);
    fs.writeFileSync(path.join(directory, "token"), "token-of-the-control-plane");
    this.#server = https.createServer({ cert: chain, key }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => refuse(response, error));
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  /** For a process that is to take it for the cluster that it is in. */
  get environment(): NodeJS.ProcessEnv {
    const { port } = this.#server.address() as AddressInfo;
    return {
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: String(port),
      OUTRIGGER_SERVICE_ACCOUNT_DIR: this.#mount,
    };
  }

  /** Answers nothing from now on, and ends what is open; false: it is back. */
  away(gone: boolean): void {
    this.cluster.cut(gone ? new ApiError(503, "ServiceUnavailable", "the server is away") : null);
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers.authorization !== "Bearer token-of-the-control-plane") {
      throw new ApiError(401, "Unauthorized", "who are you?");
    }
    const { url = "", method = "GET" } = request;
    const at = new URL(url, "https://server");
    const selector = at.searchParams.get("fieldSelector");
    const collection = {
      path: `${at.pathname}${selector === null ? "" : `?fieldSelector=${encodeURIComponent(selector)}`}`,
      metadataOnly: false,
    };
    if (at.searchParams.get("watch") === "true") {
      return this.#watch(collection, at.searchParams.get("resourceVersion") ?? "0", response);
    }
    if (method === "GET" && at.pathname !== "/version" && placeOf(at.pathname).name === "") {
      const page = await this.cluster.list(collection, { limit: 0, continue: "" }, this.#ended.signal);
      const { items, resourceVersion } = page;
      return send(response, 200, { kind: "List", metadata: { resourceVersion }, items });
    }
    const call = { method, path: url, ...(await bodyOf(request)) } as ApiCall;
    send(response, 200, await this.cluster.call(call, this.#ended.signal));
  }

  async #watch(collection: Collection, resourceVersion: string, response: ServerResponse): Promise<void> {
    if (this.cluster.away) throw this.cluster.away;
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const signal = AbortSignal.any([gone.signal, this.#ended.signal]);
    try {
      for await (const event of this.cluster.watch(collection, { resourceVersion, timeoutSeconds: 0 }, signal)) {
        response.write(`${JSON.stringify(event)}\n`);
      }
      response.end();
    } catch {
      // The connection ends without a word, as it does when a server goes.
      response.destroy();
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<{ readonly body?: Json; readonly contentType?: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  if (text === "") return {};
  return { body: JSON.parse(text) as Json, contentType: request.headers["content-type"] ?? "" };
}

function refuse(response: ServerResponse, error: unknown): void {
  if (error instanceof ApiError) {
    const { status: code, reason, message } = error;
    send(response, code, { kind: "Status", status: "Failure", code, reason, message });
  } else send(response, 500, { kind: "Status", status: "Failure", code: 500, message: String(error) });
}

function send(response: ServerResponse, status: number, body: Json | JsonObject): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
