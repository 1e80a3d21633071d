/**
 * Envoy's CORS filter: answers preflights of allowed origins and tells browsers what their pages may read (the Fetch
 * standard's CORS protocol). It never refuses a call: browsers do.
 */
import type { HeaderMap } from "../../core/header-map.ts";
import type { Random } from "../../core/random.ts";
import type { CorsPolicy } from "../../model/cors.ts";
import { compileStringMatch, drawInteger, inFraction, type StringTest } from "../router/compile-matcher.ts";
import type { FilterContext, FilterStage } from "./filter.ts";

/** A stage for a route's policies, the most specific first; null where there are none. */
export function compileCors(policies: readonly CorsPolicy[], random: Random): FilterStage | null {
  const [first] = policies;
  return first === undefined ? null : new Cors(first, policies, random);
}

type Switch = "allowCredentials" | "allowPrivateNetworkAccess" | "forwardNotMatchingPreflights";
type Text = "allowMethods" | "allowHeaders" | "exposeHeaders" | "maxAge";

class Cors implements FilterStage {
  readonly #random: Random;
  readonly #enabled: CorsPolicy["enabled"];
  readonly #origins: readonly StringTest[];
  readonly #methods: string;
  readonly #headers: string;
  readonly #exposed: string;
  readonly #maxAge: string;
  readonly #credentials: boolean;
  readonly #privateNetwork: boolean;
  readonly #forwards: boolean;

  constructor(first: CorsPolicy, policies: readonly CorsPolicy[], random: Random) {
    const text = (name: Text): string => policies.find((policy) => policy[name] !== "")?.[name] ?? "";
    const flag = (name: Switch, usual: boolean): boolean =>
      policies.find((policy) => policy[name] !== null)?.[name] ?? usual;
    this.#random = random;
    this.#enabled = first.enabled;
    const origins = policies.find(({ allowOrigins }) => allowOrigins.length > 0)?.allowOrigins ?? [];
    this.#origins = origins.map(compileStringMatch);
    this.#methods = text("allowMethods");
    this.#headers = text("allowHeaders");
    this.#exposed = text("exposeHeaders");
    this.#maxAge = text("maxAge");
    this.#credentials = flag("allowCredentials", false);
    this.#privateNetwork = flag("allowPrivateNetworkAccess", false);
    this.#forwards = flag("forwardNotMatchingPreflights", true);
  }

  onRequest(context: FilterContext): boolean {
    const { headers, method } = context.request;
    const origin = headers.get("origin");
    if (!origin || !this.#isEnabled()) return true;
    const allowed = this.#allows(origin);
    if (allowed) context.onResponse((response) => this.#tell(response, origin));
    const asked = headers.get("access-control-request-method");
    if (method !== "OPTIONS" || !asked || (!allowed && this.#forwards)) return true;
    context.answer(200, "cors_response", (response) => this.#answer(response, headers, asked));
    return false;
  }

  #isEnabled(): boolean {
    return this.#enabled === null || inFraction(this.#enabled, drawInteger(this.#random));
  }

  /** A matcher that takes `*` takes every origin. */
  #allows(origin: string): boolean {
    return this.#origins.some((test) => test("*") || test(origin));
  }

  #answer(response: HeaderMap, request: HeaderMap, asked: string): void {
    if (this.#credentials) response.set("access-control-allow-credentials", "true");
    if (this.#methods !== "")
      response.set("access-control-allow-methods", this.#methods === "*" ? asked : this.#methods);
    if (this.#headers !== "") {
      const wanted = request.get("access-control-request-headers") ?? "";
      response.set("access-control-allow-headers", this.#headers === "*" ? wanted : this.#headers);
    }
    if (this.#maxAge !== "") response.set("access-control-max-age", this.#maxAge);
    if (this.#privateNetwork && request.get("access-control-request-private-network") === "true") {
      response.set("access-control-allow-private-network", "true");
    }
  }

  /** What every response to an allowed origin says, whoever gives it. */
  #tell(response: HeaderMap, origin: string): void {
    response.set("access-control-allow-origin", origin);
    if (this.#credentials) response.set("access-control-allow-credentials", "true");
    if (this.#exposed !== "") response.set("access-control-expose-headers", this.#exposed);
  }
}
