/** `MeshPolicy`: what holds for the mesh as a whole: mutual TLS, tracing, access logs. */
import { objectMeta } from "./object-meta.ts";
import { percent } from "./scalars.ts";
import { checked, object, oneOf, optional, refused, required, string, type ValueOf, withDefault } from "./schema.ts";

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

export const meshPolicySchema = object({
  apiVersion: required(string()),
  kind: required(string()),
  metadata: required(objectMeta),
  spec: required(
    object({
      mtls: withDefault(
        object({
          mode: withDefault(
            string((value) =>
              value === "STRICT"
                ? null
                : `mode ${value} is not offered yet: without interception every call is mutual TLS (STRICT)`,
            ),
            "STRICT",
          ),
        }),
        { mode: "STRICT" },
      ),
      egress: optional(refused("egress rules are not offered yet: calls that leave the mesh do not pass the sidecar")),
      telemetry: optional(
        object({
          tracing: optional(tracing),
          accessLog: optional(object({ mode: required(oneOf("On", "Off", "Errors")) })),
        }),
      ),
    }),
  ),
});

export type MeshPolicyManifest = ValueOf<typeof meshPolicySchema>;
