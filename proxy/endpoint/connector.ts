/** Opening one connection to an endpoint: TCP or pipe, then TLS where the cluster asks for it, under one deadline. */
import net from "node:net";
import tls from "node:tls";
import { codeOf, UserError } from "../../core/errors.ts";
import type { TimerWheel, WheelTimer } from "../../core/timer-wheel.ts";
import type { Address } from "../../model/address.ts";
import { systemSockets } from "../listener/system-sockets.ts";
import type { SourceAddress } from "./bind-address.ts";
import type { OwnConnections } from "./own-connections.ts";

/** The server as the request names it, null where the TLS context decides. */
export interface TlsServerName {
  readonly sni: string | null;
  /** The server's certificate must name it too. */
  readonly san: string | null;
}

/** TLS on the way up, made by `proxy/tls/`. */
export interface UpstreamTlsConnector {
  /** One connection; `host` is the endpoint's host name or address. Throws when there is no usable certificate. */
  begin(host: string, server: TlsServerName | null, alpn: readonly string[]): UpstreamHandshake;
  /** What connections that begin now are made with, the same object as long as it is in force. Absent: always the same. */
  current?(): object | null;
}

/** One connection's handshake: remembers the material that it began with, whatever is rotated meanwhile. */
export interface UpstreamHandshake {
  readonly options: tls.ConnectionOptions;
  /** Checks the peer after the handshake: a sentence saying why it is refused, or null. */
  verify(socket: tls.TLSSocket): string | null;
  /** Puts a handshake error into words. */
  explain(error: Error): string;
}

export interface ConnectOptions {
  readonly address: Address;
  /** 0: none. */
  readonly timeoutMs: number;
  readonly tls: UpstreamTlsConnector | null;
  readonly hostname: string;
  /** null: the TLS context decides. */
  readonly server: TlsServerName | null;
  /** What to offer by ALPN where the TLS context names nothing. */
  readonly alpn: readonly string[];
  /** null: any; a network namespace of its own is where the connection is made. */
  readonly localAddress: SourceAddress | null;
  /** Who knows the connections of this process; absent: nobody asks. */
  readonly own?: OwnConnections | undefined;
  readonly keepAlive: { readonly timeS: number | null } | null;
}

export interface ConnectResult {
  onConnected(socket: net.Socket): void;
  onFailed(failure: "connect_failure" | "connect_timeout", detail: string): void;
}

/** Envoy's text for a refused or unreachable peer: with it, logs of both can be searched alike. */
const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "delayed connect error: Connection refused",
  ECONNRESET: "delayed connect error: Connection reset by peer",
  EHOSTUNREACH: "delayed connect error: No route to host",
  ENETUNREACH: "immediate connect error: Network is unreachable",
  ENOENT: "immediate connect error: No such file or directory",
};

/** What is said of a connection that took longer than it may. */
export function tooLate(timeoutMs: number): string {
  return `no connection within ${timeoutMs} ms`;
}

function explainConnect(error: Error & { readonly syscall?: string; readonly address?: string }): string {
  if (error.syscall === "bind" && codeOf(error) === "EADDRNOTAVAIL") {
    return `failed to bind to ${error.address}:0: Cannot assign requested address`;
  }
  return CONNECT_ERRORS[codeOf(error) ?? ""] ?? error.message;
}

/** Begins a connection; the result is called once. Returns the way to give it up. */
export function connect(options: ConnectOptions, wheel: TimerWheel, result: ConnectResult): () => void {
  let done = false;
  let timer: WheelTimer | null = null;
  let handshake: UpstreamHandshake | null = null;
  let raw: net.Socket;
  try {
    raw = openSocket(options);
  } catch (error) {
    // Not from inside this call: the caller has not yet stored the way to give it up.
    queueMicrotask(() => {
      if (!done) result.onFailed("connect_failure", (error as Error).message);
    });
    return () => {
      done = true;
    };
  }
  let socket: net.Socket = raw;

  const fail = (failure: "connect_failure" | "connect_timeout", detail: string): void => {
    if (done) return;
    done = true;
    if (timer) wheel.cancel(timer);
    socket.on("error", ignore);
    socket.destroy();
    raw.destroy();
    result.onFailed(failure, detail);
  };
  const succeed = (): void => {
    if (done) return;
    done = true;
    if (timer) wheel.cancel(timer);
    socket.removeListener("error", onError);
    socket.removeListener("close", onClose);
    result.onConnected(socket);
  };
  const onError = (error: Error): void => {
    fail(
      "connect_failure",
      handshake && raw.remoteAddress !== undefined ? handshake.explain(error) : explainConnect(error),
    );
  };
  const onClose = (): void => fail("connect_failure", "the connection was closed during its handshake");

  if (options.timeoutMs > 0) {
    timer = wheel.after(options.timeoutMs, () => fail("connect_timeout", tooLate(options.timeoutMs)));
  }
  if (options.tls === null) {
    raw.once("connect", succeed);
  } else {
    let secure: tls.TLSSocket;
    try {
      handshake = options.tls.begin(options.hostname, options.server, options.alpn);
      secure = startTls(raw, handshake.options);
    } catch (error) {
      raw.on("error", ignore);
      // Not from inside this call: the caller has not yet stored the way to give it up.
      queueMicrotask(() => fail("connect_failure", `TLS could not be set up: ${(error as Error).message}`));
      return () => {
        done = true;
        if (timer) wheel.cancel(timer);
        raw.destroy();
      };
    }
    socket = secure;
    raw.on("error", onError);
    secure.once("secureConnect", () => {
      const refused = handshake?.verify(secure) ?? null;
      if (refused !== null) fail("connect_failure", refused);
      else succeed();
    });
  }
  socket.on("error", onError);
  socket.on("close", onClose);

  return () => {
    if (done) return;
    done = true;
    if (timer) wheel.cancel(timer);
    socket.on("error", ignore);
    socket.destroy();
    raw.destroy();
  };
}

/** Begins the TCP connection. Throws a UserError where a socket in another network namespace can't be made. */
function openSocket({ address, localAddress, keepAlive, own }: ConnectOptions): net.Socket {
  if (address.kind === "pipe") return net.connect({ path: address.path, allowHalfOpen: true });
  const settings: net.SocketConstructorOpts = {
    noDelay: true,
    allowHalfOpen: true,
    ...(keepAlive ? { keepAlive: true, keepAliveInitialDelay: (keepAlive.timeS ?? 7200) * 1000 } : {}),
  };
  const special = localAddress !== null && (localAddress.networkNamespace !== undefined || localAddress.transparent);
  const socket = new net.Socket(special ? { ...settings, ...systemSocket(localAddress, address.host) } : settings);
  own?.add(socket, address);
  return socket.connect({
    host: address.host,
    port: address.port,
    ...(localAddress === null ? {} : { localAddress: localAddress.host }),
  });
}

/** `manualStart`: there is nothing to read before the connection stands. */
function systemSocket(source: SourceAddress, host: string): net.SocketConstructorOpts & { manualStart: true } {
  const sockets = systemSockets();
  if (sockets === null) {
    throw new UserError(
      "connections in another network namespace, or from another's address, need Linux and the optional package koffi",
    );
  }
  const fd = sockets.open({
    host,
    networkNamespace: source.networkNamespace ?? null,
    transparent: source.transparent === true,
  });
  return { fd, readable: true, writable: true, manualStart: true };
}

/** TLS over a socket that is still being connected. */
function startTls(raw: net.Socket, options: tls.ConnectionOptions): tls.TLSSocket {
  const { session, ...others } = options;
  const own = { socket: raw, rejectUnauthorized: false };
  if (session === undefined || !raw.connecting) return tls.connect({ ...options, ...own });
  const secure: tls.TLSSocket & { setSession?(session: Buffer): void } = tls.connect({ ...others, ...own });
  // As an option Node would parse it twice, and parsing it is a twentieth of what opening a connection costs.
  if (typeof secure.setSession === "function") secure.setSession(session);
  return secure;
}

function ignore(): void {}
