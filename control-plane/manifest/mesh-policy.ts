/**
 * `MeshPolicy`: what holds for the mesh as a whole (mutual TLS, calls that leave it, what sidecars are told of, detection
 * of protocols, tracing, access logs), or for the workloads of a namespace or behind single Services (mutual TLS).
 */
import { objectMeta } from "./object-meta.ts";
import { workloadsTargetRef } from "./references.ts";
import { duration, percent, portNumber } from "./scalars.ts";
import {
  checked,
  list,
  matching,
  object,
  oneOf,
  optional,
  required,
  string,
  type ValueOf,
  withDefault,
} from "./schema.ts";

/** `grpc://host:4317`, or `http://host:4318/v1/traces`. */
const otlpEndpoint = matching(
  /^(grpc|http):\/\/([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(:[1-9][0-9]{0,4})?(\/[!-~]*)?$/,
  2048,
  (value) =>
    value.startsWith("https:")
      ? "an OTLP endpoint over TLS is not carried yet: use a local collector"
      : `"${value}" is not an OTLP endpoint: write grpc://HOST:PORT or http://HOST:PORT/v1/traces`,
);

const tracing = checked(
  object({ samplingPercent: withDefault(percent, 1), otlp: optional(object({ endpoint: required(otlpEndpoint) })) }),
  (value, complain) => {
    if (value.samplingPercent > 0 && value.otlp === null) complain("traces need somewhere to go: give otlp.endpoint");
  },
  [
    {
      rule: "has(self.otlp) || (has(self.samplingPercent) && self.samplingPercent == 0.0)",
      message: "traces need somewhere to go: give otlp.endpoint",
    },
  ],
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
  [
    { rule: "has(self.mode) || has(self.ports)", message: "says nothing: give mode or ports" },
    {
      rule: "!has(self.ports) || self.ports.all(p, self.ports.exists_one(o, o.port == p.port))",
      message: "a port is given twice",
      field: "ports",
    },
  ],
);

const spec = object({
  targetRefs: withDefault(list(workloadsTargetRef, 1, 16), []),
  mtls: optional(mtls),
  egress: optional(object({ mode: required(oneOf("AllowAny", "RegistryOnly")) })),
  reach: optional(object({ mode: required(oneOf("All", "OnDemand")) })),
  detection: optional(object({ timeout: optional(duration()), serverFirstAfter: optional(duration(1)) })),
  telemetry: optional(
    object({
      tracing: optional(tracing),
      accessLog: optional(object({ mode: required(oneOf("On", "Off", "Errors")) })),
    }),
  ),
});

/** Sections that hold for the mesh as a whole. */
const MESH_SECTIONS = ["egress", "reach", "detection", "telemetry"] as const;

export const meshPolicySchema = object({
  apiVersion: required(string()),
  kind: required(string()),
  metadata: required(objectMeta),
  spec: required(
    checked(
      spec,
      (value, complain) => {
        if (value.targetRefs.length === 0) return;
        for (const section of MESH_SECTIONS) {
          if (value[section] !== null) complain("holds for the whole mesh: set it without targetRefs", section);
        }
        if (value.mtls === null) complain("with targetRefs only mtls can be set, and it is not");
      },
      [
        ...MESH_SECTIONS.map((section) => ({
          rule: `!has(self.targetRefs) || !has(self.${section})`,
          message: "holds for the whole mesh: set it without targetRefs",
          field: section,
        })),
        {
          rule: "!has(self.targetRefs) || has(self.mtls)",
          message: "with targetRefs only mtls can be set, and it is not",
        },
      ],
    ),
  ),
});

export type MeshPolicyManifest = ValueOf<typeof meshPolicySchema>;
