/** What the control plane counts, for Prometheus. */
import { Counter, Gauge, Registry as PrometheusRegistry } from "prom-client";
import type { CertificateAuthority } from "../certs/ca.ts";
import type { Clock } from "../core/clock.ts";
import type { AdsObserver } from "./ads/server.ts";
import type { ResourceCache } from "./cache.ts";
import type { ManifestSet } from "./manifest/merge.ts";
import type { RegistrationStage, Registry } from "./registry/registry.ts";
import { RESOURCE_KINDS } from "./resource.ts";
import type { KindReport } from "./source.ts";

export interface MetricsSources {
  readonly manifests: () => ManifestSet | undefined;
  readonly registry: () => Registry;
  readonly cache: () => ResourceCache;
  readonly kinds: () => readonly KindReport[];
  readonly clock: Clock;
}

const STAGES: readonly RegistrationStage[] = ["joining", "serving", "lost", "restored", "departed"];

export class ControlPlaneMetrics implements AdsObserver {
  readonly registry = new PrometheusRegistry();
  readonly #sources: MetricsSources;
  readonly #connected = new Gauge({
    name: "outrigger_control_plane_sidecars_connected",
    help: "Sidecars with a live configuration stream",
    registers: [this.registry],
  });
  readonly #pushes = new Counter({
    name: "outrigger_control_plane_xds_pushes_total",
    help: "Discovery responses sent",
    labelNames: ["kind", "variant"],
    registers: [this.registry],
  });
  readonly #resources = new Counter({
    name: "outrigger_control_plane_xds_resources_sent_total",
    help: "Resources in discovery responses; removals are counted apart",
    labelNames: ["kind", "action"],
    registers: [this.registry],
  });
  readonly #nacks = new Counter({
    name: "outrigger_control_plane_xds_nacks_total",
    help: "Discovery responses that a sidecar refused",
    labelNames: ["kind"],
    registers: [this.registry],
  });
  readonly #refused = new Counter({
    name: "outrigger_control_plane_streams_refused_total",
    help: "Streams of sidecars that were not admitted",
    registers: [this.registry],
  });

  /** Gauges are read from `sources` when they are collected. */
  constructor(sources: MetricsSources) {
    this.#sources = sources;
    const registers = [this.registry];
    this.#gauge("outrigger_control_plane_manifests", "Objects in force", () => sources.manifests()?.objects.size ?? 0);
    this.#gauge(
      "outrigger_control_plane_manifests_rejected",
      "Documents that are not in force as they are written",
      () => sources.manifests()?.rejections.length ?? 0,
    );
    this.#gauge("outrigger_control_plane_revision", "Changes of configuration since the start", () => {
      return sources.cache().revision;
    });
    new Gauge({
      name: "outrigger_control_plane_workloads",
      help: "Registered workloads by stage",
      labelNames: ["stage"],
      registers,
      collect() {
        const views = sources.registry().views();
        for (const stage of STAGES) this.set({ stage }, views.filter((view) => view.stage === stage).length);
      },
    });
    new Gauge({
      name: "outrigger_control_plane_source_silence_seconds",
      help: "Since the Kubernetes API last sent anything of a kind; a bookmark comes about once a minute",
      labelNames: ["kind"],
      registers,
      collect() {
        for (const { kind, phase, heardAt } of sources.kinds()) {
          if (heardAt === 0 || phase === "missing") this.remove({ kind });
          else this.set({ kind }, (sources.clock.wallTime() - heardAt) / 1000);
        }
      },
    });
    new Counter({
      name: "outrigger_control_plane_translated_total",
      help: "Resources translated, by kind: the cost of changes",
      labelNames: ["kind"],
      registers,
      collect() {
        this.reset();
        for (const kind of RESOURCE_KINDS) this.inc({ kind }, sources.cache().translated[kind]);
      },
    });
  }

  /** What is to be known of the CA once there is one. */
  watchCa(ca: CertificateAuthority): void {
    const { clock } = this.#sources;
    this.#gauge("outrigger_control_plane_ca_expiry_seconds", "Until what signs certificates expires", () => {
      return (ca.signsUntil - clock.wallTime()) / 1000;
    });
    this.#gauge("outrigger_control_plane_ca_roots", "Roots that are trusted: 2 while one replaces another", () => {
      return ca.roots().length;
    });
  }

  connected(count: number): void {
    this.#connected.set(count);
  }

  pushed(kind: string, variant: string, resources: number, removed: number): void {
    this.#pushes.inc({ kind, variant });
    if (resources > 0) this.#resources.inc({ kind, action: "set" }, resources);
    if (removed > 0) this.#resources.inc({ kind, action: "remove" }, removed);
  }

  nacked(kind: string): void {
    this.#nacks.inc({ kind });
  }

  refused(): void {
    this.#refused.inc();
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }
}
