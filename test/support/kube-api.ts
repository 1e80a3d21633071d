/** One Kubernetes API for the tests of a file, where its programs are built; and CRDs in it. */
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, type TestContext } from "node:test";
import { parseAllDocuments } from "yaml";
import type { JsonObject } from "../../control-plane/kubernetes/api.ts";
import { objectAt, objectsAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { crd, OWN_KINDS, type OwnKind } from "../../scripts/crds.ts";
import { type KubeApiParts, kubeApiParts } from "../../scripts/kube-api.ts";
import { KubeApiServer } from "./kube-api-server.ts";
import { type KubeClient, refOf } from "./kube-client.ts";
import { eventually } from "./running-workers.ts";
import { skip } from "./tools.ts";

export type { KubeApiServer } from "./kube-api-server.ts";

const OWN = Object.keys(OWN_KINDS) as OwnKind[];

/**
 * To be called at the top of a file. Gives how its tests come to the API server, which runs from before the first until
 * after the last; null where its programs are not built, for which the test is skipped.
 */
export function sharedKubeApi(): (t: TestContext) => KubeApiServer | null {
  let server: KubeApiServer | null = null;
  let parts: KubeApiParts | null = null;
  before(async () => {
    parts = kubeApiParts();
    if (parts !== null) server = await KubeApiServer.start(parts);
  });
  after(() => server?.close());
  return (t) => {
    if (server !== null) return server;
    skip(t, "a Kubernetes API is not built: node scripts/kube-api.ts does it");
    return null;
  };
}

/** Outrigger's own kinds, as the chart has them. */
export function installOwnCrds(client: KubeClient): Promise<void> {
  return installCrds(
    client,
    OWN.map((kind) => crd(kind) as JsonObject),
  );
}

/** Gateway API's kinds, of the standard channel. */
export function installGatewayCrds(client: KubeClient): Promise<void> {
  const folder = kubeApiParts()?.gatewayCrds ?? "";
  const objects = globSync("*.yaml", { cwd: folder }).flatMap((file) =>
    parseAllDocuments(readFileSync(path.join(folder, file), "utf8")).map((document) => document.toJS() as JsonObject),
  );
  const followed = /^((http|grpc|tls|tcp)routes|referencegrants)\./;
  return installCrds(
    client,
    objects.filter((object) => followed.test(String(objectAt(object, "metadata")["name"]))),
  );
}

/** Resolves when the API server takes objects of them. */
export async function installCrds(client: KubeClient, crds: readonly JsonObject[]): Promise<void> {
  await Promise.all(
    crds.map(async (one) => {
      await client.apply(one);
      await eventually(async () => conditionsOf(await client.get(refOf(one)))["Established"] === "True");
      const spec = objectAt(one, "spec");
      const served = objectsAt(spec, "versions").filter((version) => version["served"] === true);
      for (const { name } of served) {
        const { plural } = objectAt(spec, "names");
        await eventually(async () => (await client.status("GET", `/apis/${spec["group"]}/${name}/${plural}`)) === 200);
      }
    }),
  );
}

/** Status by type. */
export function conditionsOf(object: JsonObject): Readonly<Record<string, string>> {
  const conditions = objectsAt(objectAt(object, "status"), "conditions");
  return Object.fromEntries(conditions.map(({ type, status }) => [String(type), String(status)]));
}
