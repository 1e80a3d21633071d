/**
 * A gRPC client and a scripted gRPC server for tests, on Node's own HTTP/2: what the server does each call says in its
 * `x-do` header, so that a test reads as a list of calls.
 */
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

type Fields = Readonly<Record<string, string>>;

/** A message of one byte. */
export const MESSAGE = Buffer.from([0, 0, 0, 0, 1, 7]);

export interface GrpcServer {
  readonly port: number;
  /** Heads of the calls that came, in order. */
  readonly calls: http2.IncomingHttpHeaders[];
  /** Codes with which streams were reset, in order. */
  readonly resets: number[];
}

/**
 * Starts a server. `x-do` is one of: `head:14` (status in the head, no trailers), `trailers:14` (head, then trailers),
 * `message:14` (a message before the trailers), `none` (a message and no status), `stream:N:MS` (N messages, one every MS
 * ms, then status 0), `echo` (sends back what comes), `hang`.
 */
export async function grpcServer(t: TestContext): Promise<GrpcServer> {
  const calls: http2.IncomingHttpHeaders[] = [];
  const resets: number[] = [];
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    calls.push(headers);
    stream.on("error", () => undefined);
    stream.on("aborted", () => resets.push(stream.rstCode));
    act(stream, String(headers["x-do"] ?? "head:0"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, calls, resets };
}

function act(stream: http2.ServerHttp2Stream, what: string): void {
  const [kind, first = "0", second = "0"] = what.split(":");
  const head = { ":status": 200, "content-type": "application/grpc" };
  const finish = (status: string): void => {
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": status }));
  };
  stream.resume();
  switch (kind) {
    case "head":
      stream.respond({ ...head, "grpc-status": first }, { endStream: true });
      break;
    case "trailers":
    case "message":
      stream.respond(head, { waitForTrailers: true });
      finish(first);
      stream.end(kind === "message" ? MESSAGE : undefined);
      break;
    case "none":
      stream.respond(head);
      stream.end(MESSAGE);
      break;
    case "stream": {
      stream.respond(head, { waitForTrailers: true });
      finish("0");
      let left = Number(first);
      const next = (): void => {
        if (stream.destroyed) return;
        stream.write(MESSAGE);
        if (--left === 0) stream.end();
        else setTimeout(next, Number(second));
      };
      next();
      break;
    }
    case "echo":
      stream.respond(head, { waitForTrailers: true });
      finish("0");
      stream.pipe(stream);
      break;
    default:
  }
}

export interface GrpcAnswer {
  readonly head: http2.IncomingHttpHeaders | null;
  /** null: the answer was its head alone. */
  readonly trailers: http2.IncomingHttpHeaders | null;
  readonly bytes: number;
  /** Code with which the stream was reset, 0: it was not. */
  readonly reset: number;
}

/** `grpc-status` of an answer; undefined if it has none. */
export function statusOf({ head, trailers }: GrpcAnswer): string | undefined {
  return (trailers ?? head)?.["grpc-status"] as string | undefined;
}

export interface OpenCall {
  send(bytes: Buffer): void;
  end(): void;
  cancel(): void;
  readonly answer: Promise<GrpcAnswer>;
}

export class GrpcClient {
  readonly #session: http2.ClientHttp2Session;

  constructor(t: TestContext, port: number) {
    this.#session = http2.connect(`http://127.0.0.1:${port}`);
    this.#session.on("error", () => undefined);
    t.after(() => this.#session.destroy());
  }

  /** Begins a call whose messages are sent one by one. */
  open(what: string, fields: Fields = {}): OpenCall {
    const request = {
      ":method": "POST",
      ":path": "/shop.Orders/Get",
      "content-type": "application/grpc",
      te: "trailers",
    };
    const stream = this.#session.request({ ...request, "x-do": what, ...fields });
    let head: http2.IncomingHttpHeaders | null = null;
    let trailers: http2.IncomingHttpHeaders | null = null;
    let bytes = 0;
    stream.on("response", (fields) => {
      head = fields;
    });
    stream.on("trailers", (fields) => {
      trailers = fields;
    });
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on("error", () => undefined);
    return {
      send: (chunk) => void stream.write(chunk),
      end: () => void stream.end(),
      cancel: () => stream.close(http2.constants.NGHTTP2_CANCEL),
      answer: new Promise((resolve) => {
        stream.on("close", () => resolve({ head, trailers, bytes, reset: stream.rstCode }));
      }),
    };
  }

  /** A call with one message. */
  call(what: string, fields: Fields = {}): Promise<GrpcAnswer> {
    const call = this.open(what, fields);
    call.send(MESSAGE);
    call.end();
    return call.answer;
  }
}
