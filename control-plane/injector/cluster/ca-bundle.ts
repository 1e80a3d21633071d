/** Keeps the roots by which the API server knows the webhook (`caBundle`) in its MutatingWebhookConfiguration. */
import type { Clock } from "../../../core/clock.ts";
import type { Logger } from "../../../core/log.ts";
import type { Random } from "../../../core/random.ts";
import type { Watch } from "../../../core/watch.ts";
import { isObject, type JsonValue, objectOf, objectsOf } from "../../json.ts";
import type { PatchOperation } from "../json-patch.ts";
import type { CallCluster } from "./call.ts";
import { Keeper } from "./keeper.ts";

export interface CaBundleOptions {
  readonly call: CallCluster;
  /** Name of the MutatingWebhookConfiguration. */
  readonly configuration: string;
  /** PEM; of those that vouch for the webhook's certificate. */
  readonly roots: Watch<string>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A configuration that was made anew has no bundle, and its webhook cannot be called until it has. */
const LOOK_EVERY_MS = 10_000;

/** Starts; returns the way to stop. */
export function keepCaBundle({ call, configuration, roots, clock, random, log }: CaBundleOptions): () => void {
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${configuration}`;
  const make = async (): Promise<void> => {
    const pem = roots.get();
    if (pem === undefined) return;
    const body = caBundlePatch((await call({ method: "GET", path })) as JsonValue, pem);
    if (body.length === 0 || !keeper.running) return;
    await call({ method: "PATCH", path, body, contentType: "application/json-patch+json" });
    log.info({ configuration }, "the webhook's configuration has the mesh's roots");
  };
  const keeper = new Keeper({ what: "the webhook's CA bundle", make, everyMs: LOOK_EVERY_MS, clock, random, log });
  keeper.start();
  const stopFollowing = roots.subscribe(() => keeper.poke());
  return () => {
    stopFollowing();
    keeper.stop();
  };
}

/** What is to be changed of a MutatingWebhookConfiguration; nothing where all of its webhooks have the bundle. */
export function caBundlePatch(
  configuration: JsonValue,
  pem: string,
): readonly (PatchOperation | { readonly op: "test"; readonly path: string; readonly value: JsonValue })[] {
  if (!isObject(configuration)) return [];
  const caBundle = Buffer.from(pem).toString("base64");
  const changes = objectsOf(configuration["webhooks"]).flatMap(({ clientConfig }, i): readonly PatchOperation[] => {
    if (objectOf(clientConfig)["caBundle"] === caBundle) return [];
    return [{ op: "add", path: `/webhooks/${i}/clientConfig/caBundle`, value: caBundle }];
  });
  if (changes.length === 0) return [];
  // Indices hold for this version alone; for another the patch is refused, and made again.
  const version = objectOf(configuration["metadata"])["resourceVersion"] ?? "";
  return [{ op: "test", path: "/metadata/resourceVersion", value: version }, ...changes];
}
