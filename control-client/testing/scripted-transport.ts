/** A control plane without a network: a test opens and breaks its streams, reads requests and answers by hand. */
import type { StreamHandlers, XdsStream, XdsTransport } from "../ads/transport.ts";
import type { ScriptedResponse, SeenRequest, Wire } from "./wire.ts";

export class ScriptedStream implements XdsStream {
  readonly #wire: Wire;
  readonly #handlers: StreamHandlers;
  readonly #requests: SeenRequest[] = [];
  /** Set once the client has ended the stream. */
  cancelled = false;

  constructor(wire: Wire, handlers: StreamHandlers) {
    this.#wire = wire;
    this.#handlers = handlers;
  }

  send(message: Uint8Array): void {
    this.#requests.push(this.#wire.request(message));
  }

  leave(): void {
    this.cancel();
  }

  cancel(): void {
    this.cancelled = true;
  }

  accept(): void {
    this.#handlers.connected();
  }

  /** Every request since the last call. */
  requests(): SeenRequest[] {
    return this.#requests.splice(0);
  }

  respond(response: ScriptedResponse): void {
    this.#handlers.message(this.#wire.response(response));
  }

  raw(bytes: Uint8Array): void {
    this.#handlers.message(bytes);
  }

  break(reason = "connection reset"): void {
    this.#handlers.closed(reason);
  }
}

export class ScriptedTransport implements XdsTransport {
  readonly target = "scripted:1";
  readonly streams: ScriptedStream[] = [];
  readonly #wire: Wire;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  open(handlers: StreamHandlers): XdsStream {
    const stream = new ScriptedStream(this.#wire, handlers);
    this.streams.push(stream);
    return stream;
  }

  /** The newest stream. */
  get stream(): ScriptedStream {
    const stream = this.streams.at(-1);
    if (!stream) throw new Error("no stream was opened");
    return stream;
  }
}
