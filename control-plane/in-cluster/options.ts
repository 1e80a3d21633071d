/** What a control plane of a cluster is told at its start, and what it is once it has started. */
import type { RootRotationPolicy } from "../../certs/root-rotation.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { InjectorSettings } from "../injector/settings.ts";
import type { KubernetesApi } from "../kubernetes/api.ts";

export interface InClusterOptions {
  /** Closed with the control plane. */
  readonly api: KubernetesApi;
  /** Of the control plane: Secret, Lease and Service are there. */
  readonly namespace: string;
  /** Name of this control plane among several of one mesh. */
  readonly revision: string;
  /** The Service that leads to it, and to its like. */
  readonly service: string;
  readonly clusterDomain: string;
  /** Of this process alone. */
  readonly instance: string;
  readonly version: string;
  readonly trustDomain: string;
  readonly stateDir: string;
  readonly host: string;
  /** 0: any free port. */
  readonly xdsTlsPort: number;
  /** null: no plaintext. */
  readonly xdsPort: number | null;
  readonly statusHost: string;
  readonly statusPort: number;
  readonly lease: string;
  readonly caSecret: string;
  readonly rootsConfigMap: string;
  readonly tokenAudience: string;
  readonly certLifetimeMs?: number;
  readonly intermediate: boolean;
  /** null: only when the Secret's annotation asks for it. */
  readonly rootRotation: RootRotationPolicy | null;
  /** null: pods get their sidecars otherwise. */
  readonly injector: InClusterInjector | null;
  readonly clock: Clock;
  readonly random: Random;
  /** For all components; default: one each. */
  readonly log?: Logger;
}

export interface InClusterInjector {
  readonly settings: InjectorSettings;
  /** 0: any free port. */
  readonly port: number;
  /** Name of the MutatingWebhookConfiguration. */
  readonly configuration: string;
}

export interface InClusterControlPlane extends ControlPlane {
  /** 0: there is no injector. */
  readonly webhookPort: number;
  readonly isLeader: boolean;
}
