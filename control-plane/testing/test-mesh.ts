/** A control plane in miniature for tests: everything from registrations to the gRPC port, manifests from a string. */
import { type Clock, SimulatedClock, systemClock } from "../../core/clock.ts";
import { encodeResource } from "../../xds/resources.ts";
import { type AdsObserver, AdsServer } from "../ads/server.ts";
import { adsServerDefinition } from "../ads/service.ts";
import { ResourceCache } from "../cache.ts";
import { bindGrpc, type GrpcPort, plaintext, plaintextPeer } from "../grpc-ports.ts";
import { Mesh } from "../mesh/mesh.ts";
import type { LeaseFile } from "../registry/lease-file.ts";
import { Registry } from "../registry/registry.ts";
import { SILENT } from "./silent.ts";
import { objectsOf } from "./workloads.ts";

export { SILENT };

export class TestMesh {
  readonly mesh = new Mesh("cluster.local");
  readonly cache = new ResourceCache(encodeResource, this.mesh.state);
  /** Moves the registry's time. */
  readonly clock: SimulatedClock;
  readonly registry: Registry;
  readonly ads: AdsServer;
  readonly counts = { pushes: 0, nacks: 0, refused: 0, connected: 0 };
  #port: GrpcPort | null = null;

  constructor(options: { readonly clock?: SimulatedClock; readonly adsClock?: Clock; readonly file?: LeaseFile } = {}) {
    this.clock = options.clock ?? new SimulatedClock();
    this.registry = new Registry({ clock: this.clock, file: options.file ?? null, log: SILENT });
    for (const { workload } of this.registry.views()) {
      this.mesh.setRegistration(workload.id, this.registry.get(workload.id));
    }
    this.registry.subscribe((id) => {
      this.mesh.setRegistration(id, this.registry.get(id));
      this.cache.update(this.mesh.state);
    });
    this.cache.update(this.mesh.state);
    const counts = this.counts;
    const observer: AdsObserver = {
      connected: (count) => void (counts.connected = count),
      pushed: () => void counts.pushes++,
      nacked: () => void counts.nacks++,
      refused: () => void counts.refused++,
    };
    this.ads = new AdsServer({
      cache: this.cache,
      registry: this.registry,
      trustDomain: "cluster.local",
      clock: options.adsClock ?? systemClock,
      log: SILENT,
      observer,
      debounceMs: 1,
    });
  }

  apply(manifests: string): void {
    this.mesh.setManifests(objectsOf(manifests));
    this.cache.update(this.mesh.state);
  }

  /** `host:port` of the plaintext port. */
  async listen(port = 0): Promise<string> {
    this.#port = await bindGrpc("127.0.0.1", port, plaintext, [
      { definition: adsServerDefinition, implementation: this.ads.implementation(plaintextPeer) },
    ]);
    return `127.0.0.1:${this.#port.port}`;
  }

  close(): void {
    this.registry.close();
    this.ads.close();
    this.#port?.close();
  }
}
