/**
 * Client of Istio's CA API, for `WorkloadIdentity`: the first certificate is asked for with a token, later ones with
 * the certificate that is to be replaced. Each request has its own connection, because a connection goes on showing
 * the certificate that it began with.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ChannelOptions, Client, connectivityState, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { parseJoinToken } from "../../certs/join-token.ts";
import type { IssueCertificate } from "../../certs/rotation.ts";
import type { WorkloadCertificate } from "../../certs/workload-certificate.ts";
import type { Clock } from "../../core/clock.ts";
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from "../../generated/istio/v1/auth/ca_pb.js";
import { controlPlaneCredentials } from "./channel-credentials.ts";
import { fetchPinnedRoots } from "./first-contact.ts";

const METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate";

export interface CaClientOptions {
  readonly host: string;
  readonly port: number;
  /** The control plane's SPIFFE id; null: only its DNS name counts. */
  readonly spiffeId: string | null;
  /** Name to expect in the control plane's certificate and to send as SNI. Default: the host, `localhost` for an IP. */
  readonly serverName?: string;
  /**
   * Called when there is no valid certificate to authenticate with, or (`tokenAlways`) for each request; null: there is
   * no token (any more).
   */
  readonly token: () => string | null;
  /**
   * Each request shows a token: whose right to an identity can end (a pod's) proves it anew for each certificate.
   * Default: false.
   */
  readonly tokenAlways?: boolean;
  /** The mesh's roots if they are known otherwise (the CA's bundle on the same machine); null: the token's pins tell. */
  readonly roots: () => string | null;
  /** The certificate in force. */
  readonly certificate: () => WorkloadCertificate | undefined;
  readonly clock: Clock;
  /** For connecting and for the answer, each, ms. Default: 10 s. */
  readonly timeoutMs?: number;
}

const CHANNEL_OPTIONS: ChannelOptions = {
  // `http_proxy` in a sidecar's environment names the sidecar itself.
  "grpc.enable_http_proxy": 0,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
};

/** Asks the CA; rejects with an Error whose message says who refused and why. */
export function caIssuer(options: CaClientOptions): IssueCertificate {
  return async (csrPem, lifetimeMs) => {
    const { clock, timeoutMs = 10_000, tokenAlways = false } = options;
    const current = options.certificate();
    const renewing = current !== undefined && current.notAfter > clock.wallTime();
    const known = renewing ? current.rootsPem : options.roots();
    // A token made on the spot is made once somebody is there to take it.
    let token = known === null ? options.token() : null;
    const rootsPem = known ?? (await pinnedRoots(options, token, timeoutMs));
    const client = connect(options, rootsPem, renewing ? current : null);
    try {
      const connected = await settled(client, clock.wallTime() + timeoutMs);
      if (connected && (tokenAlways || !renewing)) token ??= options.token();
      const metadata = new Metadata();
      if (token !== null) metadata.set("authorization", `Bearer ${token}`);
      const request = create(IstioCertificateRequestSchema, {
        csr: csrPem,
        validityDuration: BigInt(lifetimeMs === null ? 0 : Math.ceil(lifetimeMs / 1000)),
      });
      const { certChain } = await call(client, request, metadata, clock.wallTime() + timeoutMs, options);
      // Istio's convention: what comes last are the roots.
      return { chain: certChain.slice(0, -1).join(""), roots: certChain.at(-1) ?? "" };
    } finally {
      client.close();
    }
  };
}

async function pinnedRoots(options: CaClientOptions, token: string | null, timeoutMs: number): Promise<string> {
  const join = token === null ? null : parseJoinToken(token);
  if (!join) {
    throw new Error(
      token === null
        ? "there is no valid certificate, and no join token to ask for one with"
        : "the join token is malformed",
    );
  }
  return fetchPinnedRoots(options, join.rootPins, options.clock, timeoutMs);
}

function connect(options: CaClientOptions, rootsPem: string, certificate: WorkloadCertificate | null): Client {
  const { host, port, spiffeId } = options;
  const isAddress = /^[\d.]+$|:/.test(host);
  const name = options.serverName ?? (isAddress ? "localhost" : host);
  const target = host.includes(":") ? `ipv6:[${host}]:${port}` : `${isAddress ? "ipv4:" : "dns:///"}${host}:${port}`;
  const credentials = controlPlaneCredentials({ rootsPem, spiffeId }, certificate);
  return new Client(target, credentials, { ...CHANNEL_OPTIONS, "grpc.ssl_target_name_override": name });
}

/** Whether the channel is connected; false once it has failed or the time is up: a call then says why. */
async function settled(client: Client, deadline: number): Promise<boolean> {
  const channel = client.getChannel();
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return true;
    if (state === connectivityState.TRANSIENT_FAILURE) return false;
    const late = await new Promise<boolean>((resolve) => {
      channel.watchConnectivityState(state, deadline, (error) => resolve(error !== undefined));
    });
    if (late) return false;
  }
}

function call(
  client: Client,
  request: IstioCertificateRequest,
  metadata: Metadata,
  deadline: number,
  { host, port }: CaClientOptions,
): Promise<IstioCertificateResponse> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest<IstioCertificateRequest, IstioCertificateResponse>(
      METHOD,
      (message) => Buffer.from(toBinary(IstioCertificateRequestSchema, message)),
      (bytes) => fromBinary(IstioCertificateResponseSchema, bytes),
      request,
      metadata,
      { deadline },
      (error: ServiceError | null, response) => {
        if (response) resolve(response);
        else reject(new Error(`the control plane at ${host}:${port} ${reasonOf(error)}`, { cause: error }));
      },
    );
  });
}

function reasonOf(error: ServiceError | null): string {
  if (error === null) return "sent no answer";
  const details = error.details || status[error.code] || `gRPC status ${error.code}`;
  return error.code === status.UNAVAILABLE ? `cannot be reached, or cannot answer: ${details}` : `refused: ${details}`;
}
