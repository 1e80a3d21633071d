/** A Kubernetes source beside the API server that it follows: what it holds, in words that both can be asked for. */
import assert from "node:assert/strict";
import net from "node:net";
import type { TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { JsonObject, KubernetesApi } from "../../control-plane/kubernetes/api.ts";
import { nameOf } from "../../control-plane/kubernetes/decode.ts";
import { objectAt, objectsAt, textAt } from "../../control-plane/kubernetes/objects/fields.ts";
import { KubernetesSource } from "../../control-plane/kubernetes/source.ts";
import type { KindReport, MeshContent } from "../../control-plane/source.ts";
import { SILENT } from "../../control-plane/testing/silent.ts";
import { systemClock } from "../../core/clock.ts";
import { systemRandom } from "../../core/random.ts";
import type { KubeClient } from "./kube-client.ts";

const PATIENCE_MS = 30_000;

export interface Followed {
  readonly source: KubernetesSource;
  /** Facts of each content that was given out, in order. */
  readonly history: ReadonlySet<string>[];
  content(): MeshContent;
  report(kind: string): KindReport;
}

/** Starts a source and resolves with its first content; it ends with the test. */
export async function followKube(t: TestContext, api: KubernetesApi): Promise<Followed> {
  const source = new KubernetesSource({ api, clock: systemClock, random: systemRandom, log: SILENT });
  t.after(() => source.close());
  const history: ReadonlySet<string>[] = [];
  source.content.subscribe((content) => history.push(factsOf(content)));
  await source.start();
  return {
    source,
    history,
    content: () => source.content.get() ?? assert.fail("there is no content"),
    report: (kind) => source.report().find((one) => one.kind === kind) ?? assert.fail(`${kind} is not followed`),
  };
}

/** A line for each thing that the source knows of the kinds that `truth` asks for. */
export function factsOf({ manifests, cluster }: MeshContent): ReadonlySet<string> {
  const facts = new Set<string>();
  for (const [key, manifest] of manifests.objects) {
    if (manifest.kind === "EndpointSlice") {
      const addresses = manifest.value.endpoints.flatMap((endpoint) => endpoint.addresses);
      facts.add(`${key} ${addresses.join()}`);
    } else if (manifest.kind === "Service") {
      facts.add(`${key} ${manifest.value.spec.ports.map(({ port }) => port).join()}`);
    }
  }
  for (const [name, { addresses }] of cluster?.pods ?? []) facts.add(`Pod/${name} ${addresses.join()}`);
  for (const name of cluster?.serviceAccounts ?? []) facts.add(`ServiceAccount/${name}`);
  return facts;
}

/** The same lines, of what the API server has in a namespace. */
async function truth(client: KubeClient, namespace: string): Promise<ReadonlySet<string>> {
  const list = async (group: string, plural: string): Promise<readonly JsonObject[]> =>
    objectsAt(await client.call("GET", `${group}/namespaces/${namespace}/${plural}`), "items");
  const [services, slices, pods, accounts] = await Promise.all([
    list("/api/v1", "services"),
    list("/apis/discovery.k8s.io/v1", "endpointslices"),
    list("/api/v1", "pods"),
    list("/api/v1", "serviceaccounts"),
  ]);
  const ports = (one: JsonObject) => objectsAt(objectAt(one, "spec"), "ports").map(({ port }) => port);
  const addresses = (one: JsonObject) =>
    objectsAt(one, "endpoints").flatMap((endpoint) => endpoint["addresses"] as readonly string[]);
  const podIp = (one: JsonObject) => textAt(objectAt(one, "status"), "podIP");
  return new Set([
    ...services.map((one) => `Service/${nameOf(one)} ${ports(one).join()}`),
    ...slices.map((one) => `EndpointSlice/${nameOf(one)} ${addresses(one).join()}`),
    ...pods.map((one) => `Pod/${nameOf(one)} ${podIp(one)}`),
    ...accounts.map((one) => `ServiceAccount/${nameOf(one)}`),
  ]);
}

/** Waits until the source knows what the API server has in a namespace, and nothing else. */
export async function agrees(followed: Followed, client: KubeClient, namespace: string): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const wanted = await truth(client, namespace);
    const held = new Set([...factsOf(followed.content())].filter((fact) => fact.includes(`/${namespace}/`)));
    const missing = wanted.difference(held);
    const tooMuch = held.difference(wanted);
    if (missing.size + tooMuch.size === 0) return;
    const difference = { missing: [...missing].slice(0, 10), tooMuch: [...tooMuch].slice(0, 10) };
    if (performance.now() > until)
      assert.fail(JSON.stringify({ ...difference, report: followed.source.report() }, null, 2));
    await wait(50);
  }
}

/** Runs `work` on each, eight at a time. */
export async function each<T>(items: Iterable<T>, work: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items].values();
  const run = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: 8 }, run));
}

/** Bytes to and from a server, until they are cut. */
export class Relay {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #open = true;

  private constructor(to: number) {
    this.#server = net.createServer((socket) => {
      if (!this.#open) return void socket.destroy();
      const upstream = net.connect(to, "127.0.0.1");
      for (const [one, other] of [
        [socket, upstream],
        [upstream, socket],
      ] as const) {
        this.#sockets.add(one);
        one.on("error", () => undefined);
        one.on("close", () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  /** Ends with the test. */
  static async start(t: TestContext, to: number): Promise<Relay> {
    const relay = new Relay(to);
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      relay.close();
      relay.#server.close();
    });
    return relay;
  }

  get url(): URL {
    return new URL(`https://127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`);
  }

  /** Resets all connections that there are. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Cuts, and lets nobody in until `open`. */
  close(): void {
    this.#open = false;
    this.cut();
  }

  open(): void {
    this.#open = true;
  }
}
