/** What is to be known of one control plane among several of a cluster, for Prometheus. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { WriteOutcome } from "../kubernetes/status/writer.ts";

export interface ClusterFacts {
  readonly version: string;
  readonly revision: string;
  readonly isLeader: () => boolean;
  /** Whether the CA's Secret says what is in force. */
  readonly secretInForce: () => boolean;
}

/** Counts what is written into objects' status. */
export function statusWrites(registry: Registry): (outcome: WriteOutcome) => void {
  const counter = new Counter({
    name: "outrigger_control_plane_status_writes_total",
    help: "Writes of the status of routes and policies: written, conflict (somebody else was quicker), failed",
    labelNames: ["outcome"],
    registers: [registry],
  });
  for (const outcome of ["written", "conflict", "failed"] satisfies WriteOutcome[]) counter.inc({ outcome }, 0);
  return (outcome) => counter.inc({ outcome });
}

export function clusterMetrics(registry: Registry, facts: ClusterFacts): void {
  const registers = [registry];
  const { version, revision } = facts;
  new Gauge({
    name: "outrigger_control_plane_info",
    help: "1; which control plane it is",
    labelNames: ["version", "revision"],
    registers,
  }).set({ version, revision }, 1);
  new Gauge({
    name: "outrigger_control_plane_leader",
    help: "1 where it leads: writes status, rotates roots, keeps the webhook's configuration",
    registers,
    collect() {
      this.set(facts.isLeader() ? 1 : 0);
    },
  });
  new Gauge({
    name: "outrigger_control_plane_ca_secret_in_force",
    help: "0 where the CA's Secret can't be used and what was good last is held",
    registers,
    collect() {
      this.set(facts.secretInForce() ? 1 : 0);
    },
  });
}
