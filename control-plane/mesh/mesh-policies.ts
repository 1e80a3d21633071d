/**
 * What MeshPolicies say: one holds for the mesh (of several the oldest), others for the workloads of their namespace or
 * behind single Services; where two of these claim the same, the older holds and the younger is told.
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

/**
 * `objects` are given older first. `meshNamespace`: where alone a policy for the whole mesh may be, so that whoever has
 * rights in another namespace does not decide for all; null: anywhere.
 */
export function readMeshPolicies(
  objects: readonly Manifest[],
  definitions: ReadonlyMap<string, ServiceDefinition>,
  meshNamespace: string | null,
  findings: Finding[],
): MeshPolicies {
  const policies = objects.filter((object) => object.kind === "MeshPolicy");
  const forMesh = policies.filter(({ value }) => value.spec.targetRefs.length === 0);
  const [first, ...others] = forMesh.filter((policy) => mayBeForMesh(policy, meshNamespace, findings));
  for (const other of others) {
    const message = `a mesh has one MeshPolicy without targetRefs: ${first && positionOf(first)} is in force`;
    const failure: Failure = { condition: "Accepted", reason: "Conflicted", ref: null };
    findings.push({ key: other.key, source: positionOf(other), message, failure });
  }
  return {
    settings: first ? settings(first) : DEFAULT_SETTINGS,
    mtls: { mesh: modes(first), ...targeted(policies, definitions, findings) },
  };
}

function mayBeForMesh(policy: PolicyManifest, meshNamespace: string | null, findings: Finding[]): boolean {
  const { namespace } = policy.value.metadata;
  if (meshNamespace === null || namespace === meshNamespace) return true;
  const message =
    `without targetRefs it is for the whole mesh, and must be in namespace ${meshNamespace}: ` +
    `for this namespace write targetRefs: [{ kind: Namespace, name: ${namespace} }]`;
  const failure: Failure = { condition: "Accepted", reason: "Invalid", ref: null };
  findings.push({ key: policy.key, source: positionOf(policy), message, failure });
  return false;
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
): Pick<MtlsPolicies, "namespaces" | "services"> {
  const claims = new Map<string, PolicyManifest>();
  const namespaces: (MtlsModes & { readonly namespace: string })[] = [];
  const services: (MtlsModes & { readonly service: string })[] = [];
  for (const policy of policies) {
    const { namespace } = policy.value.metadata;
    const given = modes(policy);
    for (const [ref, { kind, name }] of policy.value.spec.targetRefs.entries()) {
      const tell: Tell = (message, failure) => {
        findings.push({ key: policy.key, source: positionOf(policy), message, ...(failure ? { failure } : {}) });
      };
      const service = serviceKey(namespace, name);
      if (kind === "Namespace" && name !== namespace) {
        const message = `targets Namespace ${name}, but a policy is for its own namespace, which is ${namespace}`;
        tell(message, { condition: "Accepted", reason: "Invalid", ref });
      } else if (kind === "Service" && !definitions.has(service)) {
        tell(`targets Service ${service}, which does not exist`, targetNotFound(ref));
      } else {
        claim(claims, policy, given, kind === "Namespace" ? `Namespace ${name}` : `Service ${service}`, ref, tell);
        if (kind === "Namespace") namespaces.push({ namespace, ...given });
        else services.push({ service, ...given });
      }
    }
  }
  return { namespaces, services };
}

type Tell = (message: string, failure?: Failure) => void;

/** Notes what a policy says of a target, and tells what an older one has said of it. */
function claim(
  claims: Map<string, PolicyManifest>,
  policy: PolicyManifest,
  given: MtlsModes,
  target: string,
  ref: number,
  tell: Tell,
): void {
  const claimed = [...(given.mode === null ? [] : [null]), ...given.ports.map(({ port }) => port)];
  const keyOf = (port: number | null): string => `${target}:${port ?? ""}`;
  const nothingLeft: Failure | undefined = claimed.every((port) => claims.has(keyOf(port)))
    ? { condition: "Accepted", reason: "Conflicted", ref }
    : undefined;
  for (const port of claimed) {
    const older = claims.get(keyOf(port));
    const what = port === null ? "the mode" : `the mode of port ${port}`;
    if (older) tell(`${what} for ${target} is already set by ${older.key} (${positionOf(older)})`, nothingLeft);
    else claims.set(keyOf(port), policy);
  }
}
