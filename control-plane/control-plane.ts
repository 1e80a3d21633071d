/** The control plane, assembled: manifests and registrations → state → resources → sidecars. */
import { isIP } from "node:net";
import type { Registry as PrometheusRegistry } from "prom-client";
import { CertificateAuthority } from "../certs/ca.ts";
import type { SubjectAltName } from "../certs/extensions.ts";
import { JoinTokens } from "../certs/join-token.ts";
import { type RootRotationPolicy, startRootRotation } from "../certs/root-rotation.ts";
import type { WorkloadCertificate } from "../certs/workload-certificate.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import { type Logger, logger } from "../core/log.ts";
import { type Random, systemRandom } from "../core/random.ts";
import type { Watch } from "../core/watch.ts";
import { encodeResource } from "../xds/resources.ts";
import { AdsServer } from "./ads/server.ts";
import { adsServerDefinition } from "./ads/service.ts";
import { answerApplied } from "./applied/endpoint.ts";
import { ObjectChanges } from "./applied/object-changes.ts";
import { type AppliedQuery, type AppliedReport, appliedReport } from "./applied/report.ts";
import type { TokenAuthenticator } from "./ca/authenticate.ts";
import { CaService, caServiceDefinition } from "./ca/ca-service.ts";
import { ResourceCache } from "./cache.ts";
import { describeAgain } from "./describe-again.ts";
import { DirectorySource } from "./directory.ts";
import { findingsTeller } from "./findings-log.ts";
import { bindGrpc, type GrpcPort, plaintext, plaintextPeer, tlsPeer } from "./grpc-ports.ts";
import { type ManifestSet, NO_MANIFESTS } from "./manifest/merge.ts";
import { Mesh } from "./mesh/mesh.ts";
import type { Finding } from "./mesh/state.ts";
import { ControlPlaneMetrics } from "./metrics.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { Readiness } from "./readiness.ts";
import { LeaseFile } from "./registry/lease-file.ts";
import { Registry } from "./registry/registry.ts";
import { serverIdentity } from "./server-credentials.ts";
import type { MeshSource } from "./source.ts";
import { type ControlPlaneStatus, controlPlaneStatus } from "./status.ts";
import { StatusServer } from "./status-server.ts";

export interface ControlPlaneOptions {
  /** Directory of manifests; null: none, and every service follows from its workloads, unless `source` is given. */
  readonly configDir: string | null;
  /** Takes the place of `configDir`: where else configuration comes from. */
  readonly source?: MeshSource;
  /** CA, join tokens and registrations are kept here. */
  readonly stateDir: string;
  /** Takes the place of the CA in `stateDir`; whoever gives it rotates its roots. May take as long as it needs. */
  readonly openCa?: () => Promise<CertificateAuthority>;
  /** Default: `cluster.local`. */
  readonly trustDomain?: string;
  /** Where alone a policy for the whole mesh may be. Default: anywhere. */
  readonly meshNamespace?: string;
  /** Plaintext xDS, always on 127.0.0.1. Default: 15010; 0: any free port; null: none. */
  readonly xdsPort?: number | null;
  /** xDS and CA over TLS. Default: 15012; 0: any free port. */
  readonly xdsTlsPort?: number;
  /** Where the TLS port is bound. Default: 127.0.0.1. */
  readonly xdsTlsHost?: string;
  /** Tokens that are taken besides join tokens (a cluster's service accounts). Default: none. */
  readonly tokens?: readonly TokenAuthenticator[];
  /** Names and addresses, besides those of this machine, under which sidecars reach the TLS port. */
  readonly serverNames?: readonly string[];
  /** Status, metrics and probes over HTTP. Default: 15014; 0: any free port. */
  readonly statusPort?: number;
  /** Where that is bound. Default: 127.0.0.1. */
  readonly statusHost?: string;
  /** What else is to be waited for until `/ready` says so. */
  readonly readiness?: Readiness;
  /** What a workload's certificate lives that asks for nothing, ms. Default: the CA's (24 h). */
  readonly certLifetimeMs?: number;
  /** Sign workload certificates with an intermediate under the root. Default: false. */
  readonly intermediate?: boolean;
  /** null: roots are not rotated by time. */
  readonly rootRotation?: RootRotationPolicy | null;
  /** How long a workload whose stream broke stays in its services, ms. Default: 3 s. */
  readonly graceMs?: number;
  /** How long the workloads of the last run have to come back, ms. Default: 60 s. */
  readonly leaseMs?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  /** For all components; default: one each. */
  readonly log?: Logger;
}

export interface ControlPlane {
  /** `host:port` of each port; "" for a plaintext one that there is not. */
  readonly addresses: { readonly xds: string; readonly xdsTls: string; readonly status: string };
  readonly ca: CertificateAuthority;
  /** The certificate of the TLS port, and of other servers of the same names. */
  readonly certificate: Watch<WorkloadCertificate>;
  readonly metrics: PrometheusRegistry;
  /** What was found about objects that are in force. */
  findings(): readonly Finding[];
  readonly joinTokens: JoinTokens;
  /** What `/status` answers. */
  status(): ControlPlaneStatus;
  /** Reads the manifests again without waiting for an event. */
  rescan(): Promise<void>;
  /** Ends the streams (sidecars go on with what they have) and frees the ports. */
  close(): Promise<void>;
}

const LOOPBACK = "127.0.0.1";

/** Starts a control plane. Rejects with a `UserError` for a bad directory, a damaged state or a port that is in use. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const cleanups: (() => void | Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop()) await cleanup();
  };
  try {
    return await assemble(options, cleanups, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function assemble(
  options: ControlPlaneOptions,
  cleanups: (() => void | Promise<void>)[],
  close: () => Promise<void>,
): Promise<ControlPlane> {
  const { clock = systemClock, random = systemRandom, stateDir } = options;
  const logOf = (component: string): Logger => options.log ?? logger(component);
  const log = logOf("control-plane");
  const trustDomain = options.trustDomain ?? "cluster.local";

  const readiness = options.readiness ?? new Readiness(clock, log);
  cleanups.push(() => readiness.stop());
  const portsBound = readiness.expect("its ports");

  const mesh = new Mesh(trustDomain, options.meshNamespace ?? null);
  const cache = new ResourceCache(encodeResource, mesh.state);
  const refresh = (): void => cache.update(mesh.state);
  const objectChanges = new ObjectChanges(cache);
  const registry = new Registry({
    clock,
    log: logOf("registry"),
    file: new LeaseFile(stateDir, clock, log),
    ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
    ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
  });
  const source =
    options.source ??
    (options.configDir === null
      ? null
      : new DirectorySource({ directory: options.configDir, clock, log: logOf("manifests") }));
  if (source) cleanups.push(() => source.close());
  const manifests = (): ManifestSet => source?.content.get()?.manifests ?? NO_MANIFESTS;
  const metrics = new ControlPlaneMetrics({
    manifests,
    registry: () => registry,
    cache: () => cache,
    kinds: () => source?.report() ?? [],
    clock,
  });
  registerProcessMetrics(metrics.registry, clock);
  const ads = new AdsServer({
    cache,
    registry,
    trustDomain,
    clock,
    log: logOf("ads"),
    observer: metrics,
    ...(source ? { describe: (workload) => source.describe(workload) } : {}),
  });

  const status = (): ControlPlaneStatus =>
    controlPlaneStatus({
      state: mesh.state,
      manifests: manifests(),
      registry,
      cache,
      sessions: ads.sessions(),
      source: source?.report() ?? [],
    });
  const applied = (query: AppliedQuery): AppliedReport =>
    appliedReport(query, {
      manifests: manifests(),
      source,
      findings: mesh.state.findings,
      changesOf: (key) => objectChanges.of(key),
      sessions: ads.sessions(),
      workloadOf: (node) => registry.get(node)?.workload,
    });
  // Before anything is waited for: it tells what.
  const statusHost = options.statusHost ?? LOOPBACK;
  const statusServer = new StatusServer({
    host: statusHost,
    port: options.statusPort ?? 15_014,
    status,
    applied: (parameters, isGone) => answerApplied(parameters, applied, clock, isGone),
    metrics: metrics.registry,
    readiness,
  });
  const statusPort = await statusServer.listen();
  cleanups.push(() => statusServer.close());

  const contentRead = readiness.expect("its configuration");
  const caOpened = readiness.expect("its CA");
  const [ca] = await Promise.all([
    openCa(options, trustDomain, clock).then((opened) => {
      caOpened();
      return opened;
    }),
    source?.start(),
  ]);
  contentRead();
  metrics.watchCa(ca);
  const joinTokens = new JoinTokens(stateDir, clock);
  if (options.rootRotation) {
    const rotation = startRootRotation(
      ca,
      options.rootRotation,
      clock,
      (step) => log.info({ step }, "root rotation"),
      (error) => log.error({ error: messageOf(error) }, "root rotation failed; it is tried again"),
    );
    cleanups.push(() => rotation.stop());
  }
  cleanups.push(ca.bundle.subscribe((roots) => cache.setRoots(roots)));

  for (const { workload } of registry.views()) mesh.setRegistration(workload.id, registry.get(workload.id));
  registry.subscribe((id) => {
    mesh.setRegistration(id, registry.get(id));
    refresh();
  });
  if (source) {
    const tell = findingsTeller(log);
    source.content.subscribe((content) => {
      objectChanges.take(content, () => {
        mesh.apply(content);
        describeAgain(source, content, registry, cache);
        refresh();
        return mesh.state.findings;
      });
      tell(mesh.state.findings);
    });
  }
  refresh();

  const identity = await serverIdentity(ca, clock, random, log, (options.serverNames ?? []).map(altName));
  cleanups.push(() => identity.stop());

  // Last to open and first to close: a stream that ends from here on is our doing, and its workload stays registered.
  const tlsHost = options.xdsTlsHost ?? LOOPBACK;
  const caService = new CaService({ ca, joinTokens, tokens: options.tokens ?? [], clock, log: logOf("ca") });
  const adsFor = (peerOf: typeof tlsPeer) => ({
    definition: adsServerDefinition,
    implementation: ads.implementation(peerOf),
  });
  // Join tokens do not travel in plaintext.
  const secureServices = [
    adsFor(tlsPeer),
    { definition: caServiceDefinition, implementation: caService.implementation },
  ];
  const open = async (host: string, port: number, secure: boolean): Promise<GrpcPort> => {
    const credentials = secure ? identity.credentials : plaintext;
    const bound = await bindGrpc(host, port, credentials, secure ? secureServices : [adsFor(plaintextPeer)]);
    cleanups.push(() => bound.drain(clock));
    return bound;
  };
  const { xdsPort = 15_010 } = options;
  const xds = xdsPort === null ? null : await open(LOOPBACK, xdsPort, false);
  const xdsTls = await open(tlsHost, options.xdsTlsPort ?? 15_012, true);
  cleanups.push(() => {
    readiness.stop();
    registry.close();
    ads.close();
  });
  portsBound();

  const addresses = {
    xds: xds === null ? "" : `${LOOPBACK}:${xds.port}`,
    xdsTls: joined(tlsHost, xdsTls.port),
    status: joined(statusHost, statusPort),
  };
  log.info({ ...addresses, trustDomain, services: mesh.state.services.size }, "control plane is up");
  return {
    addresses,
    ca,
    certificate: identity.certificate,
    metrics: metrics.registry,
    joinTokens,
    findings: () => mesh.state.findings,
    status,
    rescan: async () => source?.rescan(),
    close,
  };
}

async function openCa(options: ControlPlaneOptions, trustDomain: string, clock: Clock): Promise<CertificateAuthority> {
  if (options.openCa) return options.openCa();
  return new CertificateAuthority({
    stateDir: options.stateDir,
    trustDomain,
    clock,
    intermediate: options.intermediate ?? false,
    ...(options.certLifetimeMs === undefined ? {} : { defaultLifetimeMs: options.certLifetimeMs }),
  });
}

function joined(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function altName(value: string): SubjectAltName {
  return { type: isIP(value) === 0 ? "dns" : "ip", value };
}
