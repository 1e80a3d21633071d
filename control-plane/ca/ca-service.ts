/** Istio's CA API (`istio.v1.auth.IstioCertificateService`): signs a workload's CSR for the identity that it has proved. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Metadata,
  type MethodDefinition,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { CertificateAuthority, IssuedCertificate } from "../../certs/ca.ts";
import { type Csr, parseCsr } from "../../certs/csr.ts";
import type { JoinTokens } from "../../certs/join-token.ts";
import type { Clock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from "../../generated/istio/v1/auth/ca_pb.js";
import { formatIdentity } from "../../model/identity.ts";
import {
  AuthenticationError,
  AuthenticationUnavailable,
  Authenticator,
  type Credentials,
  type TokenAuthenticator,
} from "./authenticate.ts";
import { JoinTokenAuthenticator } from "./join-tokens.ts";

const createCertificate: MethodDefinition<IstioCertificateRequest, IstioCertificateResponse> = {
  path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
  requestStream: false,
  responseStream: false,
  requestSerialize: (message) => Buffer.from(toBinary(IstioCertificateRequestSchema, message)),
  requestDeserialize: (bytes) => fromBinary(IstioCertificateRequestSchema, bytes),
  responseSerialize: (message) => Buffer.from(toBinary(IstioCertificateResponseSchema, message)),
  responseDeserialize: (bytes) => fromBinary(IstioCertificateResponseSchema, bytes),
};

export const caServiceDefinition = { createCertificate };

export interface CaServiceOptions {
  readonly ca: CertificateAuthority;
  readonly joinTokens: JoinTokens;
  /** Tokens of other kinds (a cluster's service accounts). Default: none. */
  readonly tokens?: readonly TokenAuthenticator[];
  readonly clock: Clock;
  readonly log: Logger;
}

type Call = ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>;

/** An answer other than a certificate. */
class Refusal extends Error {
  readonly code: status;

  constructor(code: status, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

const SWEEP_EVERY_MS = 60_000;

export class CaService {
  readonly #options: CaServiceOptions;
  readonly #authenticator: Authenticator;
  #sweptAt = 0;

  constructor(options: CaServiceOptions) {
    this.#options = options;
    const { ca, tokens = [], joinTokens, clock } = options;
    this.#authenticator = new Authenticator(ca.trustDomain, [...tokens, new JoinTokenAuthenticator(joinTokens, clock)]);
  }

  get implementation(): UntypedServiceImplementation {
    const answer = (call: Call, callback: sendUnaryData<IstioCertificateResponse>): void =>
      void this.#answer(call, callback);
    return { createCertificate: answer };
  }

  async #answer(call: Call, callback: sendUnaryData<IstioCertificateResponse>): Promise<void> {
    const { log } = this.#options;
    try {
      callback(null, await this.#sign(call.request, credentialsOf(call), call.getPeer()));
    } catch (error) {
      const known = error instanceof Refusal;
      const details = known ? error.message : "the control plane could not sign the certificate: its log says why";
      const why = known && error.cause !== undefined ? { cause: messageOf(error.cause) } : {};
      if (known) log.warn({ peer: call.getPeer(), ...why }, `certificate refused: ${details}`);
      else log.error({ peer: call.getPeer(), error: messageOf(error) }, "signing failed");
      callback({ code: known ? error.code : status.INTERNAL, details });
    }
    this.#sweep();
  }

  async #sign(
    request: IstioCertificateRequest,
    credentials: Credentials,
    peer: string,
  ): Promise<IstioCertificateResponse> {
    const { ca, log } = this.#options;
    if (credentials.bearer === null && credentials.certificate === null) {
      throw new Refusal(status.UNAUTHENTICATED, "a join token or a valid certificate of this mesh is required");
    }
    // Before the token is used up: a malformed request can be corrected and sent again.
    const csr = readCsr(request.csr);
    const spiffeId = await this.#identify(credentials, csr);
    const other = csr.uris.find((uri) => uri !== spiffeId);
    if (other !== undefined) {
      throw new Refusal(
        status.PERMISSION_DENIED,
        `the certificate request asks for ${other}, the caller is ${spiffeId}`,
      );
    }
    const seconds = Number(request.validityDuration);
    const issued = ca.issue(csr.publicKey, [{ type: "uri", value: spiffeId }], seconds > 0 ? seconds * 1000 : null);
    log.info({ spiffeId, peer, notAfter: new Date(issued.notAfter).toISOString() }, "certificate issued");
    return create(IstioCertificateResponseSchema, { certChain: chainOf(issued, ca.bundle.get() ?? issued.rootPem) });
  }

  async #identify(credentials: Credentials, csr: Csr): Promise<string> {
    try {
      return formatIdentity(await this.#authenticator.identify(credentials, csr.publicKey));
    } catch (error) {
      if (error instanceof AuthenticationError) throw new Refusal(status.UNAUTHENTICATED, error.message);
      if (error instanceof AuthenticationUnavailable) {
        throw new Refusal(status.UNAVAILABLE, error.message, error.cause);
      }
      throw error;
    }
  }

  #sweep(): void {
    const now = this.#options.clock.now();
    if (now - this.#sweptAt < SWEEP_EVERY_MS) return;
    this.#sweptAt = now;
    try {
      this.#options.joinTokens.sweep();
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, "expired join tokens could not be removed");
    }
  }
}

/** Istio's convention: the root comes last. During a rotation that element holds the whole bundle, as Istio's does. */
function chainOf(issued: IssuedCertificate, bundle: string): string[] {
  return [issued.leafPem, ...issued.intermediatesPem, bundle];
}

function readCsr(pem: string): Csr {
  try {
    return parseCsr(pem);
  } catch (error) {
    throw new Refusal(status.INVALID_ARGUMENT, messageOf(error));
  }
}

function credentialsOf(call: Call): Credentials {
  // Only certificates whose chain was verified against the mesh's roots are shown here.
  const certificate = call.getAuthContext().sslPeerCertificate ?? null;
  return { bearer: bearerOf(call.metadata), certificate };
}

function bearerOf(metadata: Metadata): string | null {
  const value = metadata.get("authorization")[0];
  const match = typeof value === "string" ? /^Bearer +(\S+)$/i.exec(value) : null;
  return match?.[1] ?? null;
}
