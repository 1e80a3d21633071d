/**
 * Kubernetes service-account tokens as a proof: the API server says whose a token is (TokenReview,
 * `authentication.k8s.io/v1`). Only tokens that were made for the mesh's CA (audience) and for a pod (bound) count, so
 * that neither a token for the API server nor one that somebody took along makes anybody a workload. The API server
 * itself refuses tokens of pods and service accounts that are gone.
 */
import type { Clock } from "../../core/clock.ts";
import type { Identity } from "../../model/identity.ts";
import { type JsonObject, type JsonValue, listOf, objectOf } from "../json.ts";
import { AuthenticationError, AuthenticationUnavailable, type TokenAuthenticator } from "./authenticate.ts";

/** `POST /apis/authentication.k8s.io/v1/tokenreviews`: resolves with what the API server made of the review. */
export type CreateTokenReview = (review: TokenReview) => Promise<unknown>;

export interface TokenReview {
  readonly apiVersion: "authentication.k8s.io/v1";
  readonly kind: "TokenReview";
  readonly spec: { readonly token: string; readonly audiences: readonly string[] };
}

export interface TokenReviewOptions {
  readonly trustDomain: string;
  /** Of the CA; one of them must be the token's. */
  readonly audiences: readonly string[];
  readonly create: CreateTokenReview;
  readonly clock: Clock;
  /** For the API server's answer, ms. Default: 5 s. */
  readonly timeoutMs?: number;
}

/** Asks by the API server's own call. */
export function tokenReviewBy(
  call: (call: { readonly method: "POST"; readonly path: string; readonly body: TokenReview }) => Promise<unknown>,
): CreateTokenReview {
  return (body) => call({ method: "POST", path: "/apis/authentication.k8s.io/v1/tokenreviews", body });
}

/** A JWT: three parts in base64url, of which the first is a JSON object. Kubernetes' own are about one kilobyte long. */
const JWT = /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/;
const LONGEST_TOKEN = 16_384;

const SERVICE_ACCOUNT = /^system:serviceaccount:([a-z0-9][-a-z0-9]{0,62}):([a-z0-9][-a-z0-9.]{0,252})$/;
const POD_NAME = "authentication.kubernetes.io/pod-name";
const POD_UID = "authentication.kubernetes.io/pod-uid";

export class ServiceAccountAuthenticator implements TokenAuthenticator {
  readonly #options: TokenReviewOptions;

  constructor(options: TokenReviewOptions) {
    this.#options = options;
  }

  accepts(token: string): boolean {
    return token.length <= LONGEST_TOKEN && JWT.test(token);
  }

  async identify(token: string): Promise<Identity> {
    const { trustDomain, audiences } = this.#options;
    const status = objectOf(objectOf(await this.#review(token))["status"]);
    if (status["authenticated"] !== true) throw new AuthenticationError(notAuthenticated(status, audiences));
    // An API server that knows nothing of audiences leaves the list empty: then the token may be for anybody.
    if (!listOf(status["audiences"]).some((one) => typeof one === "string" && audiences.includes(one))) {
      throw new AuthenticationError(`the token is not for the mesh's CA (audience ${audiences.join(" or ")})`);
    }
    const user = objectOf(status["user"]);
    const username = user["username"];
    const [, namespace, serviceAccount] = SERVICE_ACCOUNT.exec(typeof username === "string" ? username : "") ?? [];
    if (namespace === undefined || serviceAccount === undefined) {
      throw new AuthenticationError(`the token is ${JSON.stringify(username ?? null)}'s, who is no service account`);
    }
    const extra = objectOf(user["extra"]);
    if ([POD_NAME, POD_UID].some((name) => listOf(extra[name]).length === 0)) {
      throw new AuthenticationError("the token is not bound to a pod: it must come from a projected volume of its pod");
    }
    return { trustDomain, namespace, serviceAccount };
  }

  async #review(token: string): Promise<JsonValue | undefined> {
    const { audiences, create, clock, timeoutMs = 5000 } = this.#options;
    const review: TokenReview = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token, audiences },
    };
    let late: { cancel(): void } | undefined;
    try {
      const timeout = new Promise<never>((_, reject) => {
        late = clock.after(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
      });
      return (await Promise.race([create(review), timeout])) as JsonValue | undefined;
    } catch (error) {
      throw new AuthenticationUnavailable("the API server cannot be asked about the token at present", error);
    } finally {
      late?.cancel();
    }
  }
}

function notAuthenticated(status: JsonObject, audiences: readonly string[]): string {
  const error = status["error"];
  const why = typeof error === "string" && error !== "" ? `: ${error}` : "";
  return (
    `the API server does not accept the token${why} (it must be in force, of a pod that exists, and for the audience ` +
    `${audiences.join(" or ")})`
  );
}
