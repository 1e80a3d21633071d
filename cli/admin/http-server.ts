/**
 * A small HTTP server for people and scrapers, on `node:http`: it is not on the path of requests. Its answers go out in
 * pieces with a turn of the event loop in between.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { codeOf, messageOf, UserError } from "../../core/errors.ts";
import { type Address, formatAddress } from "../../model/address.ts";
import type { AdminResponse } from "./handler.ts";

export interface RunningServer {
  /** As bound. */
  readonly address: Address;
  /** Stops accepting and cuts what is left. */
  close(): Promise<void>;
}

/** Answers one request. `url` is relative to the server. */
export type Respond = (request: IncomingMessage, url: URL) => AdminResponse | Promise<AdminResponse>;

/** Reads are small; whatever takes longer than this is stuck. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Starts a server called `name` in errors. Throws `UserError` where `address` cannot be had. */
export async function serve(name: string, address: Address, respond: Respond): Promise<RunningServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    void answer(request, response, respond);
  });
  await listen(server, name, address);
  const bound = server.address();
  return {
    address: bound !== null && typeof bound === "object" ? tcpAddress(bound) : address,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const tcpAddress = ({ address, port }: AddressInfo): Address => ({ kind: "tcp", host: address, port });

function listen(server: Server, name: string, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const why = codeOf(error) === "EADDRINUSE" ? "the port is in use" : messageOf(error);
      reject(new UserError(`${name}: cannot listen on ${formatAddress(address)}: ${why}`));
    });
    const options = address.kind === "pipe" ? { path: address.path } : { host: address.host, port: address.port };
    server.listen(options, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, respond: Respond): Promise<void> {
  let answered: AdminResponse;
  try {
    const url = parseUrl(request.url ?? "/");
    answered = url === null ? plain(400, "malformed request target\n") : await respond(request, url);
  } catch (error) {
    const status = error instanceof UserError ? 400 : 500;
    answered = plain(status, `error: ${messageOf(error)}\n`);
  }
  request.resume();
  response.writeHead(answered.status, {
    "content-type": answered.contentType,
    "cache-control": "no-cache, max-age=0",
    "x-content-type-options": "nosniff",
  });
  await send(response, answered.body);
}

const plain = (status: number, body: string): AdminResponse => ({
  status,
  contentType: "text/plain; charset=UTF-8",
  body,
});

function parseUrl(target: string): URL | null {
  return URL.parse(target, "http://localhost");
}

async function send(response: ServerResponse, body: string | Iterable<string>): Promise<void> {
  if (typeof body === "string") {
    response.end(body);
    return;
  }
  for (const piece of body) {
    if (response.destroyed) return;
    const room = response.write(piece);
    await (room ? nextTurn() : drained(response));
  }
  response.end();
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off("drain", go).off("close", go);
      resolve();
    };
    response.on("drain", go).on("close", go);
  });
}
