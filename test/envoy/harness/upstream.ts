/** The upstream of the test bench: raw sockets, answers as the case's script says, and a record of what arrived. */
import net from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import tls from "node:tls";
import type { Answer, Answers, UpstreamTls } from "./case.ts";
import { certificate, roots } from "./certificates.ts";
import { type HttpText, readMessage } from "./http-text.ts";
import { PREFACE } from "./http2/frames.ts";
import type { Field } from "./http2/hpack.ts";
import { serveHttp2 } from "./http2/upstream.ts";

/** As far as the first empty line. */
const HTTP2_START = PREFACE.subarray(0, 18);

/** The case that requests belong to which only try whether a connection still serves. */
export const PROBE_CASE = "probe";

export interface UpstreamCall {
  readonly upstream: string;
  request: HttpText;
  /** Bytes after an upgrade. */
  tunnel: string;
  /** What else became of a call over HTTP/2. */
  readonly notes: string[];
  /** The caller's TLS, as far as it is interesting; "" in plaintext. */
  readonly tls: string;
  /** What the call came over: the same object for all calls of one connection. */
  readonly connection: object;
}

/** The scripts of an area's cases, and what they have recorded. */
export class UpstreamLedger {
  readonly #answers: ReadonlyMap<string, Answers | undefined>;
  readonly #calls = new Map<string, UpstreamCall[]>();

  constructor(answers: ReadonlyMap<string, Answers | undefined>) {
    this.#answers = answers;
  }

  /** Notes a call and gives what it is to be answered with. */
  enter(call: UpstreamCall): Answer {
    const id = caseOf(call.request);
    const calls = this.#calls.get(id) ?? [];
    calls.push(call);
    this.#calls.set(id, calls);
    const answers = this.#answers.get(id);
    const number = calls.length;
    const scripted =
      typeof answers === "function"
        ? answers({ upstream: call.upstream, number })
        : answers?.[Math.min(number, answers.length) - 1];
    return scripted ?? greet(call);
  }

  /** Notes what the connection of earlier calls was sent. */
  noteConnection(connection: object, note: string): void {
    for (const calls of this.#calls.values()) {
      calls.findLast((call) => call.connection === connection)?.notes.push(note);
    }
  }

  callsOf(id: string): readonly UpstreamCall[] {
    return this.#calls.get(id) ?? [];
  }

  /** Calls that no case has made, by their start lines. */
  strays(): readonly string[] {
    return [...this.#calls]
      .filter(([id]) => id !== PROBE_CASE && !this.#answers.has(id))
      .flatMap(([id, calls]) => calls.map(({ request }) => `${id || "?"} ${request.startLine}`));
  }
}

/** A case's requests carry its id, or are for its host. */
function caseOf({ headers }: HttpText): string {
  const field = (name: string): string => headers.find(([key]) => key.toLowerCase() === name)?.[1] ?? "";
  return field("x-case") || (/^([\w-]+?)(?:-shadow)?\.test/.exec(field(":authority") || field("host"))?.[1] ?? "");
}

/** The answer where no script gives one: the upstream's name. */
function greet({ upstream, request }: UpstreamCall): Answer {
  const head = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${upstream.length}\r\n\r\n`;
  const isHead = request.startLine.startsWith("HEAD ");
  const fields: Field[] = [
    [":status", "200"],
    ["content-type", "text/plain"],
    ["content-length", String(upstream.length)],
  ];
  return {
    steps: [{ write: isHead ? head : head + upstream }],
    http2: isHead ? [{ headers: fields, end: true }] : [{ headers: fields }, { data: upstream, end: true }],
  };
}

export interface UpstreamServer {
  readonly port: number;
  close(): void;
}

export async function startUpstream(
  name: string,
  security: UpstreamTls | null,
  ledger: UpstreamLedger,
): Promise<UpstreamServer> {
  const sockets = new Set<net.Socket>();
  const serve = (socket: net.Socket, describe: string): void => {
    void new UpstreamConnection(name, socket, ledger, describe).run();
  };
  const server =
    security === null
      ? net.createServer((socket) => serve(socket, ""))
      : tls.createServer(serverOptions(security), (socket) => serve(socket, describeTls(socket)));
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export function serverOptions(security: UpstreamTls): tls.TlsOptions {
  const { chain, key } = certificate(security.certificate);
  const clients = security.requireClientCertificate
    ? { requestCert: true, rejectUnauthorized: true, ca: roots.mesh }
    : {};
  return { cert: chain, key, ALPNProtocols: [...(security.alpn ?? ["http/1.1"])], ...clients };
}

export function describeTls(socket: tls.TLSSocket): string {
  const { servername } = socket as { readonly servername?: string | false };
  const san = socket.getPeerX509Certificate()?.subjectAltName ?? "none";
  return `sni=${servername || "none"} alpn=${socket.alpnProtocol || "none"} client=${san}`;
}

class UpstreamConnection {
  readonly #name: string;
  readonly #socket: net.Socket;
  readonly #ledger: UpstreamLedger;
  readonly #tls: string;
  #bytes = Buffer.alloc(0);
  #ended = false;
  #echo = false;
  #call: UpstreamCall | null = null;
  #wake: () => void = () => undefined;

  constructor(name: string, socket: net.Socket, ledger: UpstreamLedger, security: string) {
    this.#name = name;
    this.#socket = socket;
    this.#ledger = ledger;
    this.#tls = security;
    socket.on("data", (chunk: Buffer) => {
      if (this.#echo) {
        if (this.#call !== null) this.#call.tunnel += chunk.toString("latin1");
        socket.write(chunk);
        return;
      }
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    const ended = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.on("end", ended);
    socket.on("close", ended);
    socket.on("error", ended);
  }

  async run(): Promise<void> {
    while (await this.#serveOne());
  }

  /** False once the connection is over. */
  async #serveOne(): Promise<boolean> {
    while (this.#bytes.indexOf("\r\n\r\n") < 0) {
      if (this.#ended) return false;
      await this.#more();
    }
    if (this.#bytes.subarray(0, HTTP2_START.length).equals(HTTP2_START)) {
      this.#socket.removeAllListeners("data");
      serveHttp2({ name: this.#name, socket: this.#socket, tls: this.#tls, ledger: this.#ledger, first: this.#bytes });
      return false;
    }
    const head = this.#bytes.indexOf("\r\n\r\n") + 4;
    // The head alone decides what is answered; its body may never come.
    const first = readMessage(this.#bytes, true, { side: "request" });
    if (first === null) return false;
    const call: UpstreamCall = {
      upstream: this.#name,
      request: { ...first.message, body: Buffer.alloc(0), complete: false },
      tunnel: "",
      notes: [],
      tls: this.#tls,
      connection: this,
    };
    this.#call = call;
    const answer = this.#ledger.enter(call);
    let read = false;
    const readBody = async (): Promise<void> => {
      if (read) return;
      read = true;
      let whole = readMessage(this.#bytes, this.#ended, { side: "request" });
      while (whole === null) {
        await this.#more();
        whole = readMessage(this.#bytes, this.#ended, { side: "request" });
      }
      call.request = whole.message;
      this.#bytes = this.#bytes.subarray(whole.end);
    };
    if (!answer.early) await readBody();
    for (const step of answer.steps) {
      if ("write" in step) this.#socket.write(step.write, "latin1");
      else if ("waitMs" in step) await wait(step.waitMs);
      else if ("body" in step) await readBody();
      else if ("echo" in step) {
        const rest = read ? this.#bytes : this.#bytes.subarray(head);
        read = true;
        call.request = { ...call.request, complete: true };
        this.#echo = true;
        call.tunnel += rest.toString("latin1");
        this.#socket.write(rest);
      } else if (step.end === "reset") this.#socket.resetAndDestroy();
      else this.#socket.end();
    }
    if (!read) await readBody();
    return !this.#echo && !this.#socket.writableEnded;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
