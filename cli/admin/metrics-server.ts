/** The two ports that a cluster's machinery talks to: metrics for the scraper (15020), readiness for the kubelet (15021). */
import type { Address } from "../../model/address.ts";
import type { AdminSource } from "./admin-source.ts";
import { type AdminResponse, text } from "./handler.ts";
import { type RunningServer, serve } from "./http-server.ts";
import { ready } from "./lifecycle.ts";
import { prometheusPage } from "./stats.ts";

const READY = "/healthz/ready";

/** Serves `/metrics`, `/stats/prometheus` and `/healthz/ready`. Throws `UserError` where `address` cannot be had. */
export function startMetricsServer(address: Address, source: AdminSource): Promise<RunningServer> {
  return serve("metrics", address, async (_request, url) => {
    if (url.pathname === "/metrics" || url.pathname === prometheusPage.path) {
      await source.refresh();
      return prometheusPage.handle({ query: url.searchParams, source });
    }
    return url.pathname === READY ? ready(source) : text("try /metrics\n", 404);
  });
}

/** Answers for the program, at its path and query; null: it knows nothing of that. */
export type OtherHealth = (pathAndQuery: string) => Promise<AdminResponse> | null;

/** Serves `/healthz/ready`, and what `other` knows. Throws `UserError` where `address` cannot be had. */
export function startHealthServer(
  address: Address,
  source: Pick<AdminSource, "state" | "waitingFor">,
  other: OtherHealth = () => null,
): Promise<RunningServer> {
  return serve("health", address, (_request, url) =>
    url.pathname === READY ? ready(source) : (other(`${url.pathname}${url.search}`) ?? text(`try ${READY}\n`, 404)),
  );
}
