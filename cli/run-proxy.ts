/** Starts or validates a proxy from an Envoy bootstrap. */
import { loadBootstrap, processDecodeOptions } from "../control-client/bootstrap.ts";
import { formatProblem, UserError } from "../core/errors.ts";
import { logger } from "../core/log.ts";
import type { Address } from "../model/address.ts";
import type { RunningServer } from "./admin/http-server.ts";
import { handleSignals } from "./lifecycle.ts";
import type { ProxyFlags } from "./proxy-command.ts";
import { type ProxyProcess, startProxyProcess } from "./proxy-process.ts";
import { threadsFor } from "./workers/concurrency.ts";

const log = logger("main");

export async function runProxy(flags: ProxyFlags): Promise<void> {
  const decode = processDecodeOptions();
  const { bootstrap, notes } = loadBootstrap({
    ...(flags.configPath === undefined ? {} : { file: flags.configPath }),
    ...(flags.configYaml === undefined ? {} : { configYaml: flags.configYaml }),
    ...(flags.serviceNode === undefined ? {} : { serviceNode: flags.serviceNode }),
    ...(flags.serviceCluster === undefined ? {} : { serviceCluster: flags.serviceCluster }),
    ...(flags.serviceZone === undefined ? {} : { serviceZone: flags.serviceZone }),
    decode,
  });
  if (flags.mode === "validate") {
    for (const note of notes) process.stdout.write(`note: ${formatProblem(note)}\n`);
    process.stdout.write(`configuration '${flags.configPath ?? "--config-yaml"}' OK\n`);
    return;
  }
  for (const note of notes) log.debug({ ...note }, "accepted and ignored");
  const concurrency = threadsFor(flags.concurrency);
  const options = {
    bootstrap,
    client: { decode },
    identity: null,
    workload: bootstrap.node.cluster || "unknown",
    drainMs: flags.drainTimeS * 1000,
    fileFlushIntervalMs: flags.fileFlushIntervalMsec,
  };
  const proxy = await startProxyProcess(options, concurrency);
  const stop = async (): Promise<void> => {
    await proxy.drain(flags.drainTimeS * 1000);
    for (const server of servers) await server.close();
    await proxy.close();
  };
  const servers =
    bootstrap.admin === null ? [] : await serveAdmin(proxy, bootstrap.admin.address, { ...flags, concurrency }, stop);
  handleSignals({ onStop: stop, onReopenLogs: () => proxy.host.reopenLogs() });
  proxy.ready.subscribe((ready) => {
    if (!ready) return;
    // As Envoy: a static listener that can't be bound ends the process; one from a control plane does not.
    if (proxy.problems.length > 0 && bootstrap.dynamic === null) {
      process.stderr.write(`outrigger: ${new UserError(proxy.problems).message}\n`);
      process.exit(1);
    }
    log.info({ revision: proxy.snapshot.revision }, "ready: configuration is in force");
  });
}

/** The admin interface and Node's HTTP server under it are loaded only where a bootstrap asks for them. */
async function serveAdmin(
  proxy: ProxyProcess,
  admin: Address,
  flags: ProxyFlags & { readonly concurrency: number },
  stop: () => Promise<void>,
): Promise<RunningServer[]> {
  const { startServers } = await import("./admin/start-admin.ts");
  return startServers(
    proxy,
    { admin, allowRemote: true, metrics: null, health: null },
    {
      options: {
        config_path: flags.configPath ?? "",
        mode: flags.mode,
        drain_time_s: flags.drainTimeS,
        concurrency: flags.concurrency,
      },
      quit: () => void stop().finally(() => process.exit(0)),
    },
  );
}
