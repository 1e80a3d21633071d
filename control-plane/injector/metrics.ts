/** What the injector counts, for Prometheus. */
import { Counter, Histogram, type Registry } from "prom-client";
import type { ReviewOutcome } from "./webhook.ts";

/** For the webhook's `onReview`. */
export function injectorMetrics(registry: Registry): (outcome: ReviewOutcome, seconds: number) => void {
  const reviews = new Counter({
    name: "outrigger_injector_reviews_total",
    help: "Reviews of pods by how they ended: injected, unchanged, not-wanted, refused, invalid, malformed, failed",
    labelNames: ["outcome"],
    registers: [registry],
  });
  const duration = new Histogram({
    name: "outrigger_injector_review_duration_seconds",
    help: "From a review's first line to its answer",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [registry],
  });
  return (outcome, seconds) => {
    reviews.inc({ outcome });
    duration.observe(seconds);
  };
}
