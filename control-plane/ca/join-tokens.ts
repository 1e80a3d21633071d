/** Join tokens as a proof: used up by the key that they are shown for. */
import { createHash, type KeyObject } from "node:crypto";
import { JoinTokenError, type JoinTokens } from "../../certs/join-token.ts";
import { spkiSha256 } from "../../certs/key.ts";
import type { Clock } from "../../core/clock.ts";
import type { Identity } from "../../model/identity.ts";
import { AuthenticationError, type TokenAuthenticator } from "./authenticate.ts";

/** How long a used token still answers the same question: an answer that was lost on the way is not the end. */
const REPEAT_MS = 60_000;

interface Redeemed {
  readonly identity: Identity;
  /** SHA-256 of the public key that the token was used for. */
  readonly key: string;
  readonly until: number;
}

export class JoinTokenAuthenticator implements TokenAuthenticator {
  readonly #tokens: JoinTokens;
  readonly #clock: Clock;
  /** By the hash of the token. */
  readonly #redeemed = new Map<string, Redeemed>();

  constructor(tokens: JoinTokens, clock: Clock) {
    this.#tokens = tokens;
    this.#clock = clock;
  }

  /** Whatever nobody else takes: what is malformed is told as a join token's bearer expects it. */
  accepts(): boolean {
    return true;
  }

  /** Uses the token up for `publicKey`; with that key it may be repeated for a minute. */
  async identify(token: string, publicKey: KeyObject): Promise<Identity> {
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
}
