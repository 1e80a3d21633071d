/**
 * What MeshPolicies say: one holds for the mesh (of several the oldest), others for the workloads behind single Services;
 * where two of these claim the same, the older holds and the younger is told.
 */
import { type Manifest, type ManifestOf, positionOf } from "../manifest/parse.ts";
import {
  DEFAULT_SETTINGS,
  type Failure,
  type Finding,
  type MeshSettings,
  type MtlsModes,
  type MtlsPolicies,
  type ServiceDefinition,
  serviceKey,
  targetNotFound,
} from "./state.ts";

type PolicyManifest = ManifestOf<"MeshPolicy">;

export interface MeshPolicies {
  readonly settings: MeshSettings;
  readonly mtls: MtlsPolicies;
}

/** `objects` are given older first. */
export function readMeshPolicies(
  objects: readonly Manifest[],
  definitions: ReadonlyMap<string, ServiceDefinition>,
  findings: Finding[],
): MeshPolicies {
  const policies = objects.filter((object) => object.kind === "MeshPolicy");
  const [first, ...others] = policies.filter(({ value }) => value.spec.targetRefs.length === 0);
  for (const other of others) {
    const message = `a mesh has one MeshPolicy without targetRefs: ${first && positionOf(first)} is in force`;
    const failure: Failure = { condition: "Accepted", reason: "Conflicted", ref: null };
    findings.push({ key: other.key, source: positionOf(other), message, failure });
  }
  return {
    settings: first ? settings(first) : DEFAULT_SETTINGS,
    mtls: { mesh: modes(first), services: targeted(policies, definitions, findings) },
  };
}

function settings({ value: { spec } }: PolicyManifest): MeshSettings {
  const tracing = spec.telemetry?.tracing ?? null;
  const { detection } = DEFAULT_SETTINGS;
  return {
    tracing:
      tracing === null || tracing.otlp === null
        ? null
        : { samplingPercent: tracing.samplingPercent, endpoint: tracing.otlp.endpoint },
    accessLog: spec.telemetry?.accessLog?.mode ?? DEFAULT_SETTINGS.accessLog,
    egress: spec.egress?.mode ?? DEFAULT_SETTINGS.egress,
    detection: {
      timeoutMs: spec.detection?.timeout ?? detection.timeoutMs,
      serverFirstAfterMs: spec.detection?.serverFirstAfter ?? detection.serverFirstAfterMs,
    },
    reach: spec.reach?.mode ?? DEFAULT_SETTINGS.reach,
  };
}

function modes(policy: PolicyManifest | undefined): MtlsModes {
  const mtls = policy?.value.spec.mtls ?? null;
  return { mode: mtls?.mode ?? null, ports: mtls?.ports ?? [] };
}

function targeted(
  policies: readonly PolicyManifest[],
  definitions: ReadonlyMap<string, ServiceDefinition>,
  findings: Finding[],
): MtlsPolicies["services"] {
  const claims = new Map<string, PolicyManifest>();
  return policies.flatMap((policy) =>
    policy.value.spec.targetRefs.flatMap(({ name }, ref): MtlsPolicies["services"] => {
      const tell = (message: string, failure?: Failure): void => {
        findings.push({ key: policy.key, source: positionOf(policy), message, ...(failure ? { failure } : {}) });
      };
      const service = serviceKey(policy.value.metadata.namespace, name);
      if (!definitions.has(service)) {
        tell(`targets Service ${service}, which does not exist`, targetNotFound(ref));
        return [];
      }
      const given = modes(policy);
      const claimed = [...(given.mode === null ? [] : [null]), ...given.ports.map(({ port }) => port)];
      const isTaken = (port: number | null): boolean => claims.has(`${service}:${port ?? ""}`);
      const failure: Failure = { condition: "Accepted", reason: "Conflicted", ref };
      const nothingLeft = claimed.every(isTaken) ? failure : undefined;
      for (const port of claimed) {
        const claim = `${service}:${port ?? ""}`;
        const older = claims.get(claim);
        const what = port === null ? "the mode" : `the mode of port ${port}`;
        if (older)
          tell(`${what} for Service ${service} is already set by ${older.key} (${positionOf(older)})`, nothingLeft);
        else claims.set(claim, policy);
      }
      return [{ service, ...given }];
    }),
  );
}
