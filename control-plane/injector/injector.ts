/** The injector, assembled: webhook, what it needs in the cluster, and what of that only one control plane does at a time. */
import type { Registry } from "prom-client";
import type { Clock } from "../../core/clock.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import type { Watch } from "../../core/watch.ts";
import { isObject, type JsonObject, type JsonValue } from "../json.ts";
import { keepCaBundle } from "./cluster/ca-bundle.ts";
import type { CallCluster } from "./cluster/call.ts";
import { eventWriter } from "./cluster/events.ts";
import { RootsPublisher } from "./cluster/roots.ts";
import { requireNativeSidecars } from "./cluster/version.ts";
import { injectorMetrics } from "./metrics.ts";
import type { InjectorSettings } from "./settings.ts";
import { type ServingCertificate, startWebhook } from "./webhook.ts";

export interface InjectorOptions {
  readonly settings: InjectorSettings;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Of the name that the API server calls: the Service's, `NAME.NAMESPACE.svc`. */
  readonly certificate: Watch<ServingCertificate>;
  /** The mesh's roots, PEM, which also vouch for `certificate`. */
  readonly roots: Watch<string>;
  readonly call: CallCluster;
  /** A Namespace object that is known already; null: the API server is asked. */
  readonly knownNamespace: (name: string) => JsonObject | null;
  /** Namespaces that are to have the roots: those that ask for sidecars, and those whose pods have some. */
  readonly namespaces: Watch<ReadonlySet<string>>;
  /** Name of the MutatingWebhookConfiguration. */
  readonly configuration: string;
  /** This control plane's own name, for events. */
  readonly instance: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Registry;
}

export interface Injector {
  readonly port: number;
  /** Writes into the cluster from now on; returns the way to stop. Only for the control plane that leads. */
  lead(): () => void;
  /** Answers what is being asked, and takes no more. */
  close(): Promise<void>;
}

/** Rejects with a UserError where the webhook's port cannot be had, or the cluster is too old. */
export async function startInjector(options: InjectorOptions): Promise<Injector> {
  const { settings, call, roots, namespaces, configuration, clock, random, log } = options;
  await requireNativeSidecars(call).catch((error: unknown) => {
    if (error instanceof UserError) throw error;
    // It will be asked for more than this, and be waited for then.
    log.warn(
      { error: messageOf(error) },
      "the cluster's version is not known: native sidecars (1.29) are taken for granted",
    );
  });
  const publisher = new RootsPublisher({
    call,
    roots,
    namespaces,
    name: settings.rootsConfigMap,
    key: settings.rootsKey,
    clock,
    random,
    log,
  });
  const webhook = await startWebhook({
    settings,
    host: options.host,
    port: options.port,
    certificate: options.certificate,
    clock,
    log,
    namespace: async (name) => options.knownNamespace(name) ?? readNamespace(call, name),
    onReview: injectorMetrics(options.metrics),
    onEvent: eventWriter(call, clock, options.instance),
    onInjected: (namespace) => publisher.want(namespace),
  });
  return {
    port: webhook.port,
    lead() {
      publisher.start();
      const stop = keepCaBundle({ call, configuration, roots, clock, random, log });
      return () => {
        stop();
        publisher.stop();
      };
    },
    close: () => webhook.close(),
  };
}

/** Rejects where it cannot be read. */
async function readNamespace(call: CallCluster, name: string): Promise<JsonObject | null> {
  const answer = (await call({ method: "GET", path: `/api/v1/namespaces/${encodeURIComponent(name)}` })) as JsonValue;
  return isObject(answer) ? answer : null;
}
