/** Starts the admin, metrics and health servers of a running proxy. */
import type { Address } from "../../model/address.ts";
import { registerCertificateMetrics } from "../../telemetry/certificate-metrics.ts";
import { registerClusterMetrics } from "../../telemetry/cluster-metrics.ts";
import { registerProtocolMetrics } from "../../telemetry/protocol-metrics.ts";
import type { ProxyProcess } from "../proxy-process.ts";
import { startAdminServer } from "./admin-server.ts";
import type { AdminSource } from "./admin-source.ts";
import type { RunningServer } from "./http-server.ts";
import { type OtherHealth, startHealthServer, startMetricsServer } from "./metrics-server.ts";
import {
  certificatesInUse,
  clusterSource,
  type ProcessControls,
  processSource,
  protocolSource,
} from "./process-source.ts";

export interface AdminAddresses {
  /** null: no admin interface. */
  readonly admin: Address | null;
  /** True where a bootstrap names the admin address itself: it need not be loopback. */
  readonly allowRemote: boolean;
  readonly metrics: Address | null;
  readonly health: Address | null;
  /** What the health server answers besides. Default: nothing. */
  readonly appHealth?: OtherHealth;
}

/** Rejects with a UserError where an address can't be had. */
export async function startServers(
  proxy: ProxyProcess,
  addresses: AdminAddresses,
  controls: ProcessControls,
): Promise<RunningServer[]> {
  const source: AdminSource = processSource(proxy, controls);
  registerClusterMetrics(proxy.registry, clusterSource(proxy));
  // Workers have theirs in their own registries.
  if (proxy.workers === null) registerProtocolMetrics(proxy.registry, protocolSource(proxy));
  registerCertificateMetrics(proxy.registry, proxy.clock, () => certificatesInUse(proxy));
  const servers: RunningServer[] = [];
  if (addresses.admin !== null) {
    servers.push(
      await startAdminServer({
        address: addresses.admin,
        allowRemote: addresses.allowRemote,
        source,
        now: () => proxy.clock.wallTime(),
      }),
    );
  }
  if (addresses.metrics !== null) servers.push(await startMetricsServer(addresses.metrics, source));
  if (addresses.health !== null) servers.push(await startHealthServer(addresses.health, source, addresses.appHealth));
  return servers;
}
