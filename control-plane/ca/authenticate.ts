/** Who asks for a certificate: the bearer of a join token, or the holder of a certificate of this mesh that renews it. */
import { createHash, type KeyObject } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { parseAltNames } from "../../certs/inspect.ts";
import { JoinTokenError, type JoinTokens } from "../../certs/join-token.ts";
import { spkiSha256 } from "../../certs/key.ts";
import type { Clock } from "../../core/clock.ts";
import { type Identity, parseIdentity } from "../../model/identity.ts";

/** Why nobody could be recognized; safe to tell the caller. */
export class AuthenticationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "AuthenticationError";
  }
}

export interface Credentials {
  /** The token of `authorization: Bearer …`, null for none. */
  readonly bearer: string | null;
  /** The client's certificate if its chain was verified, null otherwise. */
  readonly certificate: PeerCertificate | null;
}

/** How long a used token still answers the same question: an answer that was lost on the way is not the end. */
const REPEAT_MS = 60_000;

interface Redeemed {
  readonly identity: Identity;
  /** SHA-256 of the public key that the token was used for. */
  readonly key: string;
  readonly until: number;
}

export class Authenticator {
  readonly #trustDomain: string;
  readonly #tokens: JoinTokens;
  readonly #clock: Clock;
  /** By the hash of the token. */
  readonly #redeemed = new Map<string, Redeemed>();

  constructor(trustDomain: string, tokens: JoinTokens, clock: Clock) {
    this.#trustDomain = trustDomain;
    this.#tokens = tokens;
    this.#clock = clock;
  }

  /**
   * The caller's identity. `publicKey` is the key to be certified: a token is used up for that key, and may be repeated
   * with it for a minute. Throws an AuthenticationError.
   */
  identify({ bearer, certificate }: Credentials, publicKey: KeyObject): Identity {
    if (bearer !== null) return this.#inTrustDomain(this.#redeem(bearer, publicKey));
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

  #redeem(token: string, publicKey: KeyObject): Identity {
    const now = this.#clock.wallTime();
    const hash = createHash("sha256").update(token.trim()).digest("hex");
    const key = spkiSha256(publicKey).toString("hex");
    const repeated = this.#redeemed.get(hash);
    if (repeated && repeated.until > now && repeated.key === key) return repeated.identity;
    try {
      const identity = this.#tokens.redeem(token);
      for (const [old, { until }] of this.#redeemed) if (until <= now) this.#redeemed.delete(old);
      this.#redeemed.set(hash, { identity, key, until: now + REPEAT_MS });
      return identity;
    } catch (error) {
      if (error instanceof JoinTokenError) throw new AuthenticationError(error.message);
      throw error;
    }
  }

  #inTrustDomain(identity: Identity): Identity {
    if (identity.trustDomain === this.#trustDomain) return identity;
    const message = `the caller belongs to trust domain "${identity.trustDomain}", this mesh is "${this.#trustDomain}"`;
    throw new AuthenticationError(message);
  }
}
