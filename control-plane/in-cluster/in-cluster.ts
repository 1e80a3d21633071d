/**
 * A control plane of a cluster, assembled: configuration from the API server, the CA's keys from a Secret, identities by
 * TokenReview, the injector, and of all that only one control plane may write, the one that leads.
 */
import { CertificateAuthority, LONGEST_LIFETIME_MS } from "../../certs/ca.ts";
import { foundAuthority } from "../../certs/founding.ts";
import type { RootRotationPolicy } from "../../certs/root-rotation.ts";
import { sleep } from "../../core/clock.ts";
import { type Logger, logger } from "../../core/log.ts";
import { nextValue } from "../../core/watch.ts";
import { ServiceAccountAuthenticator, tokenReviewBy } from "../ca/token-review.ts";
import { type ControlPlane, startControlPlane } from "../control-plane.ts";
import type { CallCluster } from "../injector/cluster/call.ts";
import { RootsPublisher } from "../injector/cluster/roots.ts";
import { type Injector, startInjector } from "../injector/injector.ts";
import type { ApiCall } from "../kubernetes/api.ts";
import { callWithin } from "../kubernetes/call-within.ts";
import { startElection } from "../kubernetes/leader.ts";
import { KubernetesSource } from "../kubernetes/source.ts";
import { startStatusWriter } from "../kubernetes/status/writer.ts";
import { Readiness } from "../readiness.ts";
import { CaSecret } from "./ca-secret.ts";
import { clusterMetrics, statusWrites } from "./metrics.ts";
import { followNamespaces } from "./namespaces.ts";
import type { InClusterControlPlane, InClusterInjector, InClusterOptions } from "./options.ts";
import { rotateRoots } from "./rotate-roots.ts";
import { serverNames } from "./server-names.ts";
import { SidecarNamespaces } from "./sidecar-namespaces.ts";

/** The key of the roots' ConfigMap that sidecars mount. */
const ROOTS_KEY = "root-cert.pem";
const CALL_MS = 15_000;
/** Reviews are answered within milliseconds. */
const DRAIN_MS = 3000;

/** A rotation that was asked for, where none is due by time: the waits that are safe for everybody. */
const ON_DEMAND: RootRotationPolicy = {
  rotateAfterMs: Number.POSITIVE_INFINITY,
  distributeMs: 3_600_000,
  retireAfterMs: LONGEST_LIFETIME_MS,
};

/**
 * Starts one, and waits for as long as the API server can't be asked. `signal` ends that. Rejects with a `UserError` for
 * what waiting won't mend: a port that is in use, a cluster that is too old.
 */
export async function startInCluster(options: InClusterOptions, signal: AbortSignal): Promise<InClusterControlPlane> {
  const parts: (() => void | Promise<void>)[] = [];
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      for (let part = parts.pop(); part; part = parts.pop()) await part();
    })();
    return closing;
  };
  signal.addEventListener("abort", () => void close());
  try {
    return await assemble(options, parts, close, signal);
  } catch (error) {
    await close();
    throw error;
  }
}

async function assemble(
  options: InClusterOptions,
  parts: (() => void | Promise<void>)[],
  close: () => Promise<void>,
  signal: AbortSignal,
): Promise<InClusterControlPlane> {
  const { api, namespace, trustDomain, clock, random } = options;
  const logOf = (component: string): Logger => options.log ?? logger(component);
  const log = logOf("cluster");
  const common = { api, clock, random, log };
  const ended = new AbortController();
  parts.push(() => ended.abort(new Error("the control plane is stopping")));
  const call: CallCluster = (one) =>
    callWithin(api.call.bind(api), one as ApiCall, { clock, limitMs: CALL_MS, signal: ended.signal });

  const readiness = new Readiness(clock, logOf("control-plane"));
  const allUp = readiness.expect(options.injector ? "its webhook" : "its start");

  const settings = {
    trustDomain,
    clock,
    intermediate: options.intermediate,
    ...(options.certLifetimeMs === undefined ? {} : { defaultLifetimeMs: options.certLifetimeMs }),
  };
  const secret = new CaSecret({
    ...common,
    namespace,
    name: options.caSecret,
    trustDomain,
    found: () => foundAuthority(trustDomain, clock.wallTime()),
  });
  parts.push(() => secret.close());
  secret.start();

  const source = new KubernetesSource({ api, clock, random, log: logOf("kubernetes") });
  const names = new SidecarNamespaces();
  const namespaces = followNamespaces({ ...common, onAsking: (asking) => names.asking(asking) });
  parts.push(() => namespaces.close());
  parts.push(source.content.subscribe((content) => names.apply(content)));

  const plane = await startControlPlane({
    configDir: null,
    source,
    openCa: async () => {
      const { content } = await Promise.race([nextValue(secret.state), aborted(signal)]);
      const ca = new CertificateAuthority({ ...settings, content });
      parts.push(secret.state.subscribe((state) => ca.adopt(state.content)));
      return ca;
    },
    stateDir: options.stateDir,
    trustDomain,
    meshNamespace: options.namespace,
    xdsPort: options.xdsPort,
    xdsTlsPort: options.xdsTlsPort,
    xdsTlsHost: options.host,
    statusHost: options.statusHost,
    statusPort: options.statusPort,
    readiness,
    tokens: [
      new ServiceAccountAuthenticator({
        trustDomain,
        audiences: [options.tokenAudience],
        create: tokenReviewBy(call),
        clock,
      }),
    ],
    serverNames: serverNames(options),
    clock,
    random,
    ...(options.log ? { log: options.log } : {}),
  });
  parts.push(() => plane.close());

  const injector =
    options.injector &&
    (await openInjector(options, options.injector, { plane, call, namespaces, names, log: logOf("injector") }));
  // Reviews that came are answered; a connection that an API server keeps open is not waited for.
  if (injector) parts.push(() => Promise.race([injector.close(), sleep(clock, DRAIN_MS)]));
  // Without the injector in this control plane sidecars need their roots all the same.
  const publisher =
    injector === null
      ? new RootsPublisher({
          call,
          roots: plane.ca.bundle,
          namespaces: names.names,
          name: options.rootsConfigMap,
          key: ROOTS_KEY,
          clock,
          random,
          log,
        })
      : null;

  const onWrite = statusWrites(plane.metrics);
  const election = startElection({
    call: api.call.bind(api),
    namespace,
    name: options.lease,
    identity: options.instance,
    clock,
    random,
    log: logOf("leader"),
    onLead: () => {
      publisher?.start();
      const tasks = [
        startStatusWriter({
          source,
          findings: plane.findings,
          call: api.call.bind(api),
          onWrite,
          clock,
          random,
          log: logOf("status"),
        }),
        rotateRoots({
          secret,
          ca: plane.ca,
          policy: options.rootRotation ?? ON_DEMAND,
          clock,
          random,
          log: logOf("ca"),
        }),
        injector?.lead() ?? (() => publisher?.stop()),
      ];
      return () => {
        for (const stop of tasks) stop();
      };
    },
  });
  parts.push(() => election.close());
  parts.push(() => readiness.stop());
  clusterMetrics(plane.metrics, {
    version: options.version,
    revision: options.revision,
    isLeader: () => election.isLeader,
    secretInForce: () => secret.problem === "",
  });
  allUp();
  return {
    ...plane,
    webhookPort: injector?.port ?? 0,
    get isLeader() {
      return election.isLeader;
    },
    close,
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = (): void => reject(new Error("the control plane was stopped before it had started"));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end);
  });
}

interface InjectorParts {
  readonly plane: ControlPlane;
  readonly call: CallCluster;
  readonly namespaces: ReturnType<typeof followNamespaces>;
  readonly names: SidecarNamespaces;
  readonly log: Logger;
}

function openInjector(
  { host, rootsConfigMap, instance, clock, random }: InClusterOptions,
  { settings, port, configuration }: InClusterInjector,
  { plane, call, namespaces, names, log }: InjectorParts,
): Promise<Injector> {
  return startInjector({
    settings: { ...settings, rootsConfigMap, rootsKey: ROOTS_KEY },
    host,
    port,
    // The control plane's own has the Service's names, and is renewed for as long as it runs.
    certificate: plane.certificate,
    roots: plane.ca.bundle,
    call,
    knownNamespace: namespaces.asking,
    namespaces: names.names,
    configuration,
    instance,
    clock,
    random,
    log,
    metrics: plane.metrics,
  });
}
