/** Workloads and manifests for tests. */
import { mergeManifests, NO_MANIFESTS } from "../manifest/merge.ts";
import { type Manifest, parseManifests } from "../manifest/parse.ts";
import type { Workload } from "../mesh/workload.ts";

/** The `index`-th workload of a service, named `service-index`. */
export function workload(service: string, index = 1, parts: Partial<Workload> = {}): Workload {
  const octet = 10 + (hashOf(service) % 200);
  return {
    id: `${service}-${index}`,
    service,
    namespace: "default",
    serviceAccount: service,
    trustDomain: "cluster.local",
    appAddress: "127.0.0.1",
    appPort: 8080,
    address: `127.${octet}.${index}.1`,
    addresses: [],
    inboundPort: 15006,
    outboundPort: 15001,
    httpProxyPort: 15001,
    loopback: { kind: "subnet", base: `127.${octet}.0.0`, prefixLength: 16 },
    interception: null,
    probes: [],
    labels: {},
    pod: null,
    namedPorts: {},
    ...parts,
  };
}

/** The `index`-th workload of a service whose connections are intercepted. */
export function intercepted(service: string, index = 1, parts: Partial<Workload> = {}): Workload {
  return workload(service, index, {
    address: `10.${10 + (hashOf(service) % 200)}.${index}.1`,
    loopback: null,
    interception: { inbound: "redirect", networkNamespace: "", ipv6: true },
    ...parts,
  });
}

/** Node metadata that registers a workload. */
export function metadataOf(given: Workload): Record<string, never> {
  const { loopback } = given;
  const base = loopback?.kind === "subnet" ? `${loopback.base}/${loopback.prefixLength}` : "";
  const own = { ...given, loopback: loopback?.kind === "subnet" ? { kind: "subnet", base } : loopback };
  return { OUTRIGGER: own } as unknown as Record<string, never>;
}

/** The objects of a manifest text. Throws for a document that is refused. */
export function objectsOf(text: string): ReadonlyMap<string, Manifest> {
  const documents = parseManifests("test.yaml", text);
  const set = mergeManifests([{ file: "test.yaml", documents }], NO_MANIFESTS);
  if (set.rejections.length > 0) throw new Error(JSON.stringify(set.rejections));
  return set.objects;
}

/** A `Service` manifest with one port, of HTTP unless its name says otherwise. */
export function serviceYaml(name: string, port = 80, portName = "http"): string {
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { ports: [{ name: ${portName}, port: ${port} }] }\n`;
}

function hashOf(text: string): number {
  return [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7);
}
