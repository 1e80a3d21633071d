/** `XdsTransport` over gRPC: one channel per stream, so that a new attempt is a new connection (and a new resolution). */
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  connectivityState,
  Metadata,
  status,
} from "@grpc/grpc-js";
import type { Clock, Timer } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { StreamHandlers, XdsStream, XdsTransport } from "./transport.ts";

/** A server to connect to. */
export interface GrpcTarget {
  /** A gRPC target: `dns:///xds.example:15010`, `ipv4:127.0.0.1:15010`, `unix:/run/xds.sock`. */
  readonly address: string;
  /** Called for each connection, so that rotated certificates are used. Throws if there are none yet. */
  credentials(): ChannelCredentials;
  readonly options: ChannelOptions;
}

export interface GrpcTransportOptions {
  readonly clock: Clock;
  /** Tried in turn, asked anew for each attempt. May throw: then the attempt has failed. */
  readonly targets: () => readonly GrpcTarget[];
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly metadata: readonly { readonly key: string; readonly value: string }[];
  /** For the connection to come about, ms. */
  readonly connectTimeoutMs: number;
}

const CHANNEL_OPTIONS: ChannelOptions = {
  // A dead peer is noticed within 40 s, though nothing is being sent.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // A push of a big mesh exceeds gRPC's 4 MB.
  "grpc.max_receive_message_length": -1,
  // `http_proxy` in a sidecar's environment names the sidecar itself.
  "grpc.enable_http_proxy": 0,
  // Reconnection is the session's: no connection of an earlier attempt, with its backoff, is shared.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
};

/** How long a server may take to end its side of a stream that the client has left. */
const GOODBYE_MS = 1000;

export class GrpcTransport implements XdsTransport {
  readonly #options: GrpcTransportOptions;
  #attempts = 0;
  #target = "";

  constructor(options: GrpcTransportOptions) {
    this.#options = options;
  }

  get target(): string {
    return this.#target;
  }

  open(handlers: StreamHandlers): XdsStream {
    const stream = new GrpcStream(this.#options, handlers);
    try {
      const targets = this.#options.targets();
      const target = targets[this.#attempts++ % targets.length];
      if (!target) throw new Error("there is no address for it");
      this.#target = target.address;
      stream.connect(target);
    } catch (error) {
      stream.fail(messageOf(error));
    }
    return stream;
  }
}

class GrpcStream implements XdsStream {
  readonly #options: GrpcTransportOptions;
  readonly #handlers: StreamHandlers;
  #client: Client | null = null;
  #call: ClientDuplexStream<Uint8Array, Uint8Array> | null = null;
  #timeout: Timer | null = null;
  #done = false;

  constructor(options: GrpcTransportOptions, handlers: StreamHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Throws if there are no credentials for the target yet. */
  connect(target: GrpcTarget): void {
    const client = new Client(target.address, target.credentials(), { ...CHANNEL_OPTIONS, ...target.options });
    this.#client = client;
    const { clock, connectTimeoutMs } = this.#options;
    this.#timeout = clock.after(connectTimeoutMs, () => {
      this.#finish(`no connection within ${connectTimeoutMs / 1000} s`);
    });
    this.#awaitConnection(client);
  }

  /** Ends the stream, but not before `open` has returned. */
  fail(reason: string): void {
    setImmediate(() => this.#finish(reason));
  }

  #awaitConnection(client: Client): void {
    if (this.#done) return;
    const channel = client.getChannel();
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) setImmediate(() => this.#begin(client));
    // A call on a channel that has failed fails at once, and tells why.
    else if (state === connectivityState.TRANSIENT_FAILURE) this.#startCall(client);
    else channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#awaitConnection(client));
  }

  #begin(client: Client): void {
    if (this.#done) return;
    this.#timeout?.cancel();
    this.#startCall(client);
    this.#handlers.connected();
  }

  #startCall(client: Client): void {
    const metadata = new Metadata();
    for (const { key, value } of this.#options.metadata) metadata.add(key, value);
    const call = client.makeBidiStreamRequest<Uint8Array, Uint8Array>(
      this.#options.method,
      (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      (bytes) => bytes,
      metadata,
    );
    this.#call = call;
    call.on("data", (bytes: Uint8Array) => {
      if (!this.#done) this.#handlers.message(bytes);
    });
    // A call always ends with a status; `error` comes beside it and must have a listener.
    call.on("error", () => {});
    call.on("status", ({ code, details }) => {
      this.#finish(code === status.OK ? "the server ended the stream" : details || (status[code] ?? `status ${code}`));
    });
  }

  send(message: Uint8Array): void {
    if (!this.#done) this.#call?.write(message);
  }

  cancel(): void {
    if (this.#done) return;
    this.#done = true;
    this.#timeout?.cancel();
    this.#call?.cancel();
    this.#client?.close();
  }

  leave(): void {
    const call = this.#call;
    if (this.#done || call === null) {
      this.cancel();
      return;
    }
    this.#done = true;
    this.#timeout?.cancel();
    const client = this.#client;
    const closed = this.#options.clock.after(GOODBYE_MS, () => {
      call.cancel();
      client?.close();
    });
    call.on("status", () => {
      closed.cancel();
      client?.close();
    });
    // Half-closing is gRPC's way of saying that no more will come.
    call.end();
  }

  #finish(reason: string): void {
    if (this.#done) return;
    this.cancel();
    this.#handlers.closed(reason);
  }
}
