/** Whether a request is traced, by Envoy's rules for the connection manager's and the route's percentages. */
import type { Random } from "../../core/random.ts";
import type { Tracing } from "../../model/http.ts";
import type { Fraction } from "../../model/matcher.ts";
import type { Route } from "../../model/route.ts";
import type { RequestView } from "../stream-info.ts";

/** Percentages of one connection manager or route. */
export interface SamplingPolicy {
  readonly client: Fraction;
  readonly random: Fraction;
  readonly overall: Fraction;
}

/** A route's own percentages where it gives them, else the connection manager's. */
export function samplingPolicy(tracing: Tracing, route: Route["tracing"] = null): SamplingPolicy {
  return {
    client: route?.clientSampling ?? tracing.clientSampling,
    random: route?.randomSampling ?? tracing.randomSampling,
    overall: route?.overallSampling ?? tracing.overallSampling,
  };
}

const hit = (fraction: Fraction, random: Random): boolean =>
  fraction.numerator >= fraction.denominator || random() * fraction.denominator < fraction.numerator;

/**
 * For a request without a parent that decided: forced by `x-envoy-force-trace`, asked for by `x-client-trace-id`
 * (`client_sampling`), or chosen at random; `overall_sampling` bounds them all.
 */
export function decide(policy: SamplingPolicy, request: RequestView, random: Random): boolean {
  const { headers } = request;
  const wanted =
    headers.has("x-envoy-force-trace") ||
    (headers.has("x-client-trace-id") && hit(policy.client, random)) ||
    hit(policy.random, random);
  return wanted && hit(policy.overall, random);
}
