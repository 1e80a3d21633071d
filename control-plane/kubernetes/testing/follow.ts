/** A source that follows a fake API server, with the mesh that is made of it. */
import { SimulatedClock } from "../../../core/clock.ts";
import { seededRandom } from "../../../core/random.ts";
import { Mesh } from "../../mesh/mesh.ts";
import type { MeshEndpoint } from "../../mesh/state.ts";
import type { MeshContent } from "../../source.ts";
import { SILENT } from "../../testing/test-mesh.ts";
import { KubernetesSource } from "../source.ts";
import { FakeApi } from "./fake-api.ts";
import { node, pod, service, slice } from "./objects.ts";

const cleanups: (() => Promise<void>)[] = [];

/** To be called after each test. */
export async function closeAll(): Promise<void> {
  for (const cleanup of cleanups.splice(0)) await cleanup();
}

export interface Fixture {
  readonly api: FakeApi;
  readonly clock: SimulatedClock;
  readonly source: KubernetesSource;
  readonly mesh: Mesh;
  readonly contents: MeshContent[];
  readonly endpoints: (of: string) => readonly MeshEndpoint[];
}

/** A source that follows `api`, and the mesh that is made of it; `closeAll` ends it. */
export function follow(api = new FakeApi(), clock = new SimulatedClock()): Fixture {
  const source = new KubernetesSource({ api, clock, random: seededRandom(7), log: SILENT });
  cleanups.push(() => source.close());
  const mesh = new Mesh("cluster.local");
  const contents: MeshContent[] = [];
  source.content.subscribe((content) => {
    contents.push(content);
    mesh.apply(content);
  });
  void source.start();
  const endpoints = (of: string) => mesh.state.services.get(`shop/${of}`)?.endpoints.get(80) ?? [];
  return { api, clock, source, mesh, contents, endpoints };
}

export function shop(api: FakeApi): void {
  api.put("Node", node("node-1", "zone-a"));
  api.put("Service", service("orders"));
  api.put("Pod", pod("orders-1", "10.1.0.1", true));
  api.put("Pod", pod("orders-2", "10.1.0.2", false));
  api.put(
    "EndpointSlice",
    slice("orders-x", "orders", [
      { pod: "orders-1", address: "10.1.0.1" },
      { pod: "orders-2", address: "10.1.0.2" },
    ]),
  );
}
