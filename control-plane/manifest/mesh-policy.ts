/**
 * `MeshPolicy`: what holds for the mesh as a whole (mutual TLS, calls that leave it, detection of protocols, tracing,
 * access logs), or for the workloads behind single Services (mutual TLS).
 */
import { objectMeta } from "./object-meta.ts";
import { serviceTargetRef } from "./references.ts";
import { duration, percent, portNumber } from "./scalars.ts";
import { checked, list, object, oneOf, optional, required, string, type ValueOf, withDefault } from "./schema.ts";

/** `grpc://host:4317`, or `http://host:4318/v1/traces`. */
const otlpEndpoint = string((value) => {
  const wrong = `"${value}" is not an OTLP endpoint: write grpc://HOST:PORT or http://HOST:PORT/v1/traces`;
  if (!URL.canParse(value)) return wrong;
  const url = new URL(value);
  if (url.protocol === "https:") return "an OTLP endpoint over TLS is not carried yet: use a local collector";
  return (url.protocol === "grpc:" || url.protocol === "http:") && url.hostname !== "" ? null : wrong;
});

const tracing = checked(
  object({ samplingPercent: withDefault(percent, 1), otlp: optional(object({ endpoint: required(otlpEndpoint) })) }),
  (value, complain) => {
    if (value.samplingPercent > 0 && value.otlp === null) complain("traces need somewhere to go: give otlp.endpoint");
  },
);

const mtlsMode = oneOf("STRICT", "PERMISSIVE", "DISABLE");

const mtls = checked(
  object({
    mode: optional(mtlsMode),
    ports: withDefault(list(object({ port: required(portNumber), mode: required(mtlsMode) }), 1, 64), []),
  }),
  ({ mode, ports }, complain) => {
    if (mode === null && ports.length === 0) complain("says nothing: give mode or ports");
    if (new Set(ports.map(({ port }) => port)).size !== ports.length) complain("a port is given twice", "ports");
  },
);

const spec = object({
  targetRefs: withDefault(list(serviceTargetRef, 1, 16), []),
  mtls: optional(mtls),
  egress: optional(object({ mode: required(oneOf("AllowAny", "RegistryOnly")) })),
  detection: optional(object({ timeout: optional(duration()), serverFirstAfter: optional(duration(1)) })),
  telemetry: optional(
    object({
      tracing: optional(tracing),
      accessLog: optional(object({ mode: required(oneOf("On", "Off", "Errors")) })),
    }),
  ),
});

/** Sections that hold for the mesh as a whole. */
const MESH_SECTIONS = ["egress", "detection", "telemetry"] as const;

export const meshPolicySchema = object({
  apiVersion: required(string()),
  kind: required(string()),
  metadata: required(objectMeta),
  spec: required(
    checked(spec, (value, complain) => {
      if (value.targetRefs.length === 0) return;
      for (const section of MESH_SECTIONS) {
        if (value[section] !== null) complain("holds for the whole mesh: set it without targetRefs", section);
      }
      if (value.mtls === null) complain("with targetRefs only mtls can be set, and it is not");
    }),
  ),
});

export type MeshPolicyManifest = ValueOf<typeof meshPolicySchema>;
