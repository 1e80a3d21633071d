/** The control plane's two gRPC ports: plaintext for this machine, TLS for everybody with a certificate or a token. */
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { parseAltNames } from "../certs/inspect.ts";
import type { Clock } from "../core/clock.ts";
import { messageOf, UserError } from "../core/errors.ts";
import type { Peer } from "./ads/authorize.ts";

const SERVER_OPTIONS = {
  // A sidecar that is gone without a word is noticed within 15 s.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5000,
};

// grpc-js prints to stderr what it also returns as errors: once is enough, and ours says which port.
setLogVerbosity(logVerbosity.NONE);

export interface GrpcService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** A bound gRPC server. */
export interface GrpcPort {
  readonly port: number;
  /** Cuts what there is. */
  close(): void;
  /** Takes no more calls, and answers those that came; what takes longer than two seconds is cut. */
  drain(clock: Clock): Promise<void>;
}

const DRAIN_MS = 2000;

/** Binds `services`. Rejects with a `UserError` when the port can't be had; port 0 takes any. */
export function bindGrpc(
  host: string,
  port: number,
  credentials: ServerCredentials,
  services: readonly GrpcService[],
): Promise<GrpcPort> {
  const server = new Server(SERVER_OPTIONS);
  for (const { definition, implementation } of services) server.addService(definition, implementation);
  const at = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(at, credentials, (error, bound) => {
      if (error) reject(new UserError(`xDS port ${at}: ${messageOf(error)}`));
      else resolve({ port: bound, close: () => server.forceShutdown(), drain: (clock) => drain(server, clock) });
    });
  });
}

function drain(server: Server, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      server.forceShutdown();
      resolve();
    };
    const timer = clock.after(DRAIN_MS, end);
    server.tryShutdown(end);
  });
}

export const plaintext: ServerCredentials = ServerCredentials.createInsecure();

/** The peer of a call on the plaintext port. */
export function plaintextPeer(call: ServerDuplexStream<unknown, unknown>): Peer {
  return { address: call.getPeer(), secure: false, uris: [] };
}

/** The peer of a call on the TLS port; its names count only if its certificate was verified. */
export function tlsPeer(call: ServerDuplexStream<unknown, unknown>): Peer {
  const names = call.getAuthContext().sslPeerCertificate?.subjectaltname ?? "";
  const uris = parseAltNames(names).flatMap(({ type, value }) => (type === "URI" ? [value] : []));
  return { address: call.getPeer(), secure: true, uris };
}
