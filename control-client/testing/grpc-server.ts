/** A real gRPC server that a test scripts: it takes streams of one variant, shows their requests and sends answers. */
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { FACTS, KINDS } from "../resources.ts";
import type { ScriptedResponse, SeenRequest, Wire } from "./wire.ts";

type Call = ServerDuplexStream<Uint8Array, Uint8Array>;

export class ServerStream {
  readonly #call: Call;
  readonly #wire: Wire;
  readonly #requests: SeenRequest[] = [];
  readonly #readers: ((request: SeenRequest) => void)[] = [];
  /** `/package.Service/Method` */
  readonly path: string;
  readonly ended: Promise<void>;

  constructor(call: Call, wire: Wire) {
    this.#call = call;
    this.#wire = wire;
    this.path = call.getPath();
    call.on("data", (bytes: Uint8Array) => {
      const request = wire.request(bytes);
      const reader = this.#readers.shift();
      if (reader) reader(request);
      else this.#requests.push(request);
    });
    call.on("error", () => {});
    this.ended = new Promise((resolve) => {
      call.once("end", resolve);
      call.once("cancelled", resolve);
    });
  }

  get metadata(): Metadata {
    return this.#call.metadata;
  }

  /** The next request, when it comes. */
  next(): Promise<SeenRequest> {
    const request = this.#requests.shift();
    return request ? Promise.resolve(request) : new Promise((resolve) => this.#readers.push(resolve));
  }

  /** The next request for which `accept` holds; those before it are dropped. */
  async find(accept: (request: SeenRequest) => boolean): Promise<SeenRequest> {
    for (;;) {
      const request = await this.next();
      if (accept(request)) return request;
    }
  }

  respond(response: ScriptedResponse): void {
    this.#call.write(this.#wire.response(response));
  }

  end(): void {
    this.#call.end();
  }
}

export class ScriptedServer {
  readonly #server = new Server({ "grpc.max_receive_message_length": -1 });
  readonly #streams: ServerStream[] = [];
  readonly #waiting: ((stream: ServerStream) => void)[] = [];
  port = 0;

  private constructor(wire: Wire) {
    const handler = (call: Call): void => {
      const stream = new ServerStream(call, wire);
      const waiting = this.#waiting.shift();
      if (waiting) waiting(stream);
      else this.#streams.push(stream);
    };
    const names = [
      ["envoy.service.discovery.v3.AggregatedDiscoveryService", "AggregatedResources"] as const,
      ...KINDS.map((kind) => [FACTS[kind].service.name, FACTS[kind].service.delta.replace("Delta", "")] as const),
    ];
    for (const [service, suffix] of names) {
      const method = `${wire.name === "delta" ? "Delta" : "Stream"}${suffix}`;
      const identity = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
      const definition = {
        path: `/${service}/${method}`,
        requestStream: true,
        responseStream: true,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      };
      const implementation: UntypedServiceImplementation = { [method]: handler };
      this.#server.addService({ [method]: definition }, implementation);
    }
  }

  /** Listens on `address` (`127.0.0.1:0` gives an ephemeral `port`). */
  static async start(
    wire: Wire,
    address = "127.0.0.1:0",
    credentials = ServerCredentials.createInsecure(),
  ): Promise<ScriptedServer> {
    const server = new ScriptedServer(wire);
    server.port = await new Promise<number>((resolve, reject) => {
      server.#server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)));
    });
    return server;
  }

  /** The next stream, when it comes. */
  stream(): Promise<ServerStream> {
    const stream = this.#streams.shift();
    return stream ? Promise.resolve(stream) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Breaks every connection and stops listening. */
  stop(): void {
    this.#server.forceShutdown();
  }
}
