/** The sidecar of one program: identity first, then configuration, then the program, and a drain at the end. */
import type { ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { constants } from "node:os";
import path from "node:path";
import { credentials } from "@grpc/grpc-js";
import { JoinTokens, readRootPins } from "../../certs/join-token.ts";
import { WorkloadIdentity } from "../../certs/rotation.ts";
import { processDecodeOptions } from "../../control-client/bootstrap.ts";
import { caIssuer } from "../../control-client/ca/ca-client.ts";
import { controlPlaneCredentials } from "../../control-client/ca/channel-credentials.ts";
import { controlPlaneTarget } from "../../control-client/connect.ts";
import { LastGoodFile } from "../../control-client/last-good.ts";
import { sidecarBootstrap } from "../../control-client/sidecar.ts";
import { sleep, stayAlive, systemClock } from "../../core/clock.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import { logger } from "../../core/log.ts";
import { systemRandom } from "../../core/random.ts";
import { nextValue } from "../../core/watch.ts";
import { formatAddress } from "../../model/address.ts";
import type { Bootstrap, JsonValue, NodeIdentity } from "../../model/bootstrap.ts";
import { controlPlaneIdentity, formatIdentity, type Identity } from "../../model/identity.ts";
import { WORKLOAD_CERT } from "../../model/tls.ts";
import { startServers } from "../admin/start-admin.ts";
import { handleSignals } from "../lifecycle.ts";
import { type ProxyOptions, startProxyProcess } from "../proxy-process.ts";
import type { HealthProbe, PodFlags, WorkloadFlags } from "../sidecar-command.ts";
import { defaultStateDir } from "../state-home.ts";
import { VERSION } from "../version.ts";
import { threadsFor } from "../workers/concurrency.ts";
import { type FoundControlPlane, findControlPlane } from "./find-control-plane.ts";
import { followRoots } from "./follow-roots.ts";
import { proofOf, workloadLabels } from "./pod-files.ts";
import { proxyEnvironment, serviceEnvironment } from "./service-environment.ts";
import type { Surroundings } from "./surroundings.ts";

const log = logger("main");

/** A token minted on the spot is redeemed within a handshake. */
const TOKEN_TTL_MS = 60_000;

/** How long the news that this workload leaves may take through the control plane to its callers. */
const FAREWELL_MS = 250;

/** The flags of a sidecar, wherever it stands. */
type Flags = WorkloadFlags & Partial<PodFlags> & { readonly probe?: readonly HealthProbe[] };

/** Runs until the program has ended or a signal came. Rejects with a UserError where it can't begin. */
export async function runSidecar(flags: Flags, command: readonly string[], surroundings: Surroundings): Promise<void> {
  const stateDir = flags.state ?? defaultStateDir();
  // The control plane, and the first certificate, may be long in coming.
  stayAlive();
  const controlPlane = await findControlPlane(flags.controlPlane, stateDir, systemClock);
  const identity: Identity = {
    trustDomain: flags.trustDomain ?? controlPlane.trustDomain ?? "cluster.local",
    namespace: flags.namespace,
    serviceAccount: flags.serviceAccount ?? flags.service,
  };
  const labels = workloadLabels(flags);
  const workload = startIdentity(identity, controlPlane, flags, stateDir);
  const bootstrap = sidecarBootstrap(sidecarNode(flags, identity, surroundings, labels));
  const target = controlPlaneTarget(`${bracket(controlPlane.host)}:${controlPlane.port}`, () => {
    if (!controlPlane.secure) return credentials.createInsecure();
    const current = workload.certificate.get();
    if (current === undefined) throw new Error("the workload certificate has not been issued yet");
    return controlPlaneCredentials({ rootsPem: current.rootsPem, spiffeId: controlPlaneId(identity) }, current);
  });
  await nextValue(workload.certificate);

  // The path of a network namespace means another one, or the machine's own network, the next time.
  const movesAway = (surroundings.interception?.networkNamespace ?? "") !== "";
  const lastGood = movesAway ? null : lastGoodFile(stateDir, bootstrap);
  const concurrency = threadsFor(flags.concurrency);
  const options: ProxyOptions = {
    bootstrap,
    client: {
      decode: processDecodeOptions(),
      adsTargets: [target],
      localSecrets: new Set([WORKLOAD_CERT]),
      ...(lastGood === null ? {} : { lastGood }),
    },
    identity: workload.certificate,
    workload: `${flags.service}.${flags.namespace}`,
    drainMs: flags.drainTimeS * 1000,
    fileFlushIntervalMs: 1000,
  };
  const proxy = await startProxyProcess(options, concurrency);
  surroundings.follow(proxy.client.snapshots);
  followRoots({
    identity: workload,
    snapshots: proxy.client.snapshots,
    file: flags.rootsFile,
    clock: systemClock,
    log,
  });
  let child: ChildProcess | null = null;
  const finish = async (): Promise<void> => {
    workload.stop();
    for (const server of servers) await server.close();
    await proxy.close();
    await surroundings.close();
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    // Callers are told first, and for a moment still served: otherwise the last of them would find the door shut.
    await proxy.leave();
    await sleep(systemClock, FAREWELL_MS);
    await proxy.drain(flags.drainTimeS * 1000);
    if (child !== null) await endChild(child, signal, flags.drainTimeS * 1000);
    await finish();
    // What the program says of its end counts; that the signal ended it is what was asked for.
    if (child?.exitCode) process.exit(child.exitCode);
  };
  const servers = await startServers(proxy, surroundings.servers, {
    options: { service: flags.service, namespace: flags.namespace, control_plane: flags.controlPlane, concurrency },
    quit: () => void stop("SIGTERM").finally(() => process.exit(0)),
  });
  handleSignals({
    onStop: (signal) => stop(signal as NodeJS.Signals),
    onReopenLogs: () => proxy.host.reopenLogs(),
  });

  await nextValue(proxy.ready, (ready) => ready);
  if (proxy.problems.length > 0) throw new UserError(proxy.problems);
  const { admin } = surroundings.servers;
  log.info(
    { address: surroundings.address, admin: admin && formatAddress(admin) },
    "ready: configuration and certificate are in force",
  );
  const [program, ...args] = command;
  if (program === undefined) return;
  child = surroundings.start(program, args, {
    ...process.env,
    ...serviceEnvironment(proxy.client.snapshots.get()?.listeners.values() ?? [], flags.namespace),
    ...(surroundings.httpProxy === null ? {} : proxyEnvironment(surroundings.httpProxy)),
  });
  child.once("error", (error) => {
    process.stderr.write(`outrigger: cannot run ${program}: ${messageOf(error)}\n`);
    process.exit(127);
  });
  child.once("exit", (code, signal) => {
    if (proxy.draining) return;
    log.info({ program, code, signal }, "the program has ended, and its sidecar with it");
    void proxy
      .drain(1000)
      .then(finish)
      .finally(() => process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

function controlPlaneId(identity: Identity): string {
  return formatIdentity(controlPlaneIdentity(identity.trustDomain));
}

function bracket(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function startIdentity(
  identity: Identity,
  { ca }: FoundControlPlane,
  flags: Flags,
  stateDir: string,
): WorkloadIdentity {
  const workload: WorkloadIdentity = new WorkloadIdentity({
    identity,
    clock: systemClock,
    random: systemRandom,
    lifetimeMs: flags.certLifetime === undefined ? null : flags.certLifetime * 1000,
    issue: caIssuer({
      ...ca,
      spiffeId: controlPlaneId(identity),
      ...proofOf(flags, () => flags.joinToken ?? mintToken(identity, stateDir)),
      certificate: () => workload.certificate.get(),
      clock: systemClock,
    }),
    onError: (error) => log.warn({ error: error.message }, "no certificate yet; it is tried again"),
  });
  workload.start();
  return workload;
}

/** Being able to write to the control plane's state directory is what entitles its own user to any identity. */
function mintToken(identity: Identity, stateDir: string): string {
  try {
    return new JoinTokens(stateDir, systemClock).mint(identity, TOKEN_TTL_MS, readRootPins(stateDir));
  } catch (error) {
    throw new Error(`no --join-token was given, and none can be made in ${stateDir}: ${messageOf(error)}`);
  }
}

function sidecarNode(
  flags: Flags,
  identity: Identity,
  surroundings: Surroundings,
  labels: Readonly<Record<string, string>>,
): NodeIdentity {
  const { service, namespace, port, pod, probe = [] } = flags;
  const { address, addresses, inboundPort, outboundPort, loopback, interception } = surroundings;
  const workload: Record<string, JsonValue> = {
    service,
    namespace,
    serviceAccount: identity.serviceAccount,
    trustDomain: identity.trustDomain,
    appPort: port,
    address,
    inboundPort,
    outboundPort,
    httpProxyPort: outboundPort,
    labels,
  };
  if (pod !== undefined) workload["pod"] = pod;
  if (addresses.length > 0) workload["addresses"] = [...addresses];
  if (loopback !== null) workload["loopback"] = { ...loopback };
  if (interception !== null) workload["interception"] = { ...interception };
  // A program in a network of its own finds services by names that are written from what its sidecar was told of.
  if ((interception?.networkNamespace ?? "") === "") workload["onDemand"] = true;
  if (probe.length > 0) workload["probes"] = probe.map((one) => ({ ...one }));
  return {
    id: `${service}.${namespace}~${address}~${inboundPort}`,
    cluster: service,
    locality: { region: "", zone: "", subZone: "" },
    metadata: { OUTRIGGER: workload },
  };
}

/** null where nothing can be written: then the sidecar waits for its control plane whenever it starts. */
function lastGoodFile(stateDir: string, bootstrap: Bootstrap): LastGoodFile | null {
  const dir = path.join(stateDir, "sidecars");
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    log.warn({ error: messageOf(error) }, "the last good configuration is not kept (--state names another directory)");
    return null;
  }
  return new LastGoodFile({
    file: path.join(dir, `${bootstrap.node.id}.json`),
    owner: bootstrap.node.id,
    build: VERSION,
    includePrivateKeys: false,
    clock: systemClock,
    log: logger("xds"),
  });
}

async function endChild(child: ChildProcess, signal: NodeJS.Signals, deadlineMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const timer = systemClock.after(deadlineMs, () => child.kill("SIGKILL"));
    child.once("exit", () => {
      timer.cancel();
      resolve();
    });
    child.kill(signal);
  });
}
