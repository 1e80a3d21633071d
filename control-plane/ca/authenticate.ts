/**
 * Who asks for a certificate: the bearer of a token, of one of the kinds that the control plane takes, or the holder of a
 * certificate of this mesh that renews it.
 */
import type { KeyObject } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { parseAltNames } from "../../certs/inspect.ts";
import { type Identity, parseIdentity } from "../../model/identity.ts";

/** Why nobody could be recognized; safe to tell the caller. */
export class AuthenticationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "AuthenticationError";
  }
}

/** Whoever knows the answer cannot be asked at present: the same request may succeed later. Safe to tell the caller. */
export class AuthenticationUnavailable extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = "AuthenticationUnavailable";
  }
}

export interface Credentials {
  /** The token of `authorization: Bearer …`, null for none. */
  readonly bearer: string | null;
  /** The client's certificate if its chain was verified, null otherwise. */
  readonly certificate: PeerCertificate | null;
}

/** Recognizes the bearers of one kind of token. */
export interface TokenAuthenticator {
  /** Whether a token looks like this kind; the first that says so is asked. */
  accepts(token: string): boolean;
  /**
   * The bearer's identity. `publicKey` is the key to be certified. Rejects with an AuthenticationError, or an
   * AuthenticationUnavailable.
   */
  identify(token: string, publicKey: KeyObject): Promise<Identity>;
}

export class Authenticator {
  readonly #trustDomain: string;
  readonly #tokens: readonly TokenAuthenticator[];

  constructor(trustDomain: string, tokens: readonly TokenAuthenticator[]) {
    this.#trustDomain = trustDomain;
    this.#tokens = tokens;
  }

  /** The caller's identity. `publicKey` is the key to be certified. Rejects as a TokenAuthenticator does. */
  async identify({ bearer, certificate }: Credentials, publicKey: KeyObject): Promise<Identity> {
    if (bearer !== null) {
      const authenticator = this.#tokens.find((one) => one.accepts(bearer));
      if (!authenticator) throw new AuthenticationError("the token is of no kind that this control plane takes");
      return this.#inTrustDomain(await authenticator.identify(bearer, publicKey));
    }
    if (certificate === null)
      throw new AuthenticationError("a join token or a valid certificate of this mesh is required");
    const uris = parseAltNames(certificate.subjectaltname ?? "").flatMap(({ type, value }) =>
      type === "URI" ? [value] : [],
    );
    const identity = uris.length === 1 ? parseIdentity(uris[0] ?? "") : null;
    if (!identity)
      throw new AuthenticationError("the client certificate does not hold exactly one SPIFFE id of a workload");
    return this.#inTrustDomain(identity);
  }

  #inTrustDomain(identity: Identity): Identity {
    if (identity.trustDomain === this.#trustDomain) return identity;
    const message = `the caller belongs to trust domain "${identity.trustDomain}", this mesh is "${this.#trustDomain}"`;
    throw new AuthenticationError(message);
  }
}
