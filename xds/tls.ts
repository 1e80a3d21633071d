/** TLS contexts of listeners and clusters: `envoy.extensions.transport_sockets.tls.v3` to the model and back. */
import { create } from "@bufbuild/protobuf";
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  type DownstreamTlsContext,
  DownstreamTlsContext_OcspStaplePolicy,
  DownstreamTlsContextSchema,
  type UpstreamTlsContext,
  UpstreamTlsContextSchema,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { CertificateRef, DownstreamTls, PeerValidation, UpstreamTls } from "../model/tls.ts";
import { decodeConfigSource, encodeConfigSource } from "./config-source.ts";
import type { Place } from "./place.ts";
import { decodeCertificate, encodeCertificate } from "./secret.ts";
import { decodeTlsParams, encodeTlsParams } from "./tls-params.ts";
import { decodeValidation, encodeValidation } from "./tls-validation.ts";

const MAX_SESSION_KEYS = 1;

interface CommonTls {
  readonly params: UpstreamTls["params"];
  readonly certificates: readonly CertificateRef[];
  readonly validation: PeerValidation | null;
  readonly alpn: readonly string[];
}

/** TLS of a listener's filter chain, which needs a certificate. */
export function decodeDownstreamTls(message: DownstreamTlsContext, at: Place): DownstreamTls {
  const common = decodeCommon(message.commonTlsContext, at.field("common_tls_context"));
  if (common.certificates.length === 0) at.field("common_tls_context").error("a TLS server needs a certificate");
  if (message.ocspStaplePolicy !== DownstreamTlsContext_OcspStaplePolicy.LENIENT_STAPLING) {
    at.field("ocsp_staple_policy").error("OCSP stapling is not supported");
  }
  const tickets = message.sessionTicketKeysType;
  return {
    ...common,
    requireClientCertificate: message.requireClientCertificate ?? false,
    requireSni: message.requireSni ?? false,
    sessionTickets: !(tickets.case === "disableStatelessSessionResumption" && tickets.value),
  };
}

export function encodeDownstreamTls(tls: DownstreamTls): DownstreamTlsContext {
  return create(DownstreamTlsContextSchema, {
    commonTlsContext: encodeCommon(tls),
    ...(tls.requireClientCertificate ? { requireClientCertificate: true } : {}),
    ...(tls.requireSni ? { requireSni: true } : {}),
    ...(tls.sessionTickets
      ? {}
      : { sessionTicketKeysType: { case: "disableStatelessSessionResumption", value: true } }),
  });
}

/** TLS to a cluster's endpoints. */
export function decodeUpstreamTls(message: UpstreamTlsContext, at: Place): UpstreamTls {
  const common = decodeCommon(message.commonTlsContext, at.field("common_tls_context"));
  if (common.certificates.length > 1) {
    at.field("common_tls_context").error("a TLS client can have only one certificate");
  }
  if (message.autoSniSanValidation && !common.validation?.roots) {
    at.field("auto_sni_san_validation").error("needs a validation context with a trusted CA");
  }
  return {
    ...common,
    sni: message.sni,
    autoHostSni: message.autoHostSni,
    autoSanValidation: message.autoSniSanValidation,
    maxSessionKeys: message.maxSessionKeys ?? MAX_SESSION_KEYS,
  };
}

export function encodeUpstreamTls(tls: UpstreamTls): UpstreamTlsContext {
  return create(UpstreamTlsContextSchema, {
    commonTlsContext: encodeCommon(tls),
    sni: tls.sni,
    autoHostSni: tls.autoHostSni,
    autoSniSanValidation: tls.autoSanValidation,
    ...(tls.maxSessionKeys === MAX_SESSION_KEYS ? {} : { maxSessionKeys: tls.maxSessionKeys }),
  });
}

function decodeCommon(message: CommonTlsContext | undefined, at: Place): CommonTls {
  return {
    params: decodeTlsParams(message?.tlsParams, at.field("tls_params")),
    certificates: message ? decodeCertificates(message, at) : [],
    validation: message ? decodeContext(message, at) : null,
    alpn: message?.alpnProtocols ?? [],
  };
}

/** Certificates in place come before those by SDS, as in Envoy: where both are given the latter are not used. */
function decodeCertificates(message: CommonTlsContext, at: Place): CertificateRef[] {
  if (message.tlsCertificates.length > 0) {
    return message.tlsCertificates.map((certificate, i) => ({
      kind: "inline",
      material: decodeCertificate(certificate, at.item("tls_certificates", i)),
    }));
  }
  return message.tlsCertificateSdsSecretConfigs.map((config, i) =>
    decodeSds(config, at.item("tls_certificate_sds_secret_configs", i)),
  );
}

function decodeContext(message: CommonTlsContext, at: Place): PeerValidation | null {
  const context = message.validationContextType;
  switch (context.case) {
    case "validationContext":
      return decodeValidation(context.value, null, at.field("validation_context"));
    case "validationContextSdsSecretConfig":
      return decodeValidation(
        undefined,
        decodeSds(context.value, at.field("validation_context_sds_secret_config")),
        at,
      );
    case "combinedValidationContext": {
      const place = at.field("combined_validation_context");
      const { defaultValidationContext: checks, validationContextSdsSecretConfig: sds } = context.value;
      if (!checks) place.field("default_validation_context").error("is required");
      if (!sds) place.field("validation_context_sds_secret_config").error("is required");
      const roots = sds ? decodeSds(sds, place.field("validation_context_sds_secret_config")) : null;
      return decodeValidation(checks, roots, place.field("default_validation_context"));
    }
    default:
      return null;
  }
}

type SdsRef = Extract<CertificateRef, { kind: "sds" }>;

function decodeSds(message: SdsSecretConfig, at: Place): SdsRef {
  if (message.name === "") at.field("name").error("is required");
  const source = message.sdsConfig && decodeConfigSource(message.sdsConfig, at.field("sds_config"));
  return { kind: "sds", name: message.name, ...(source ? { source } : {}) };
}

function encodeSds(ref: SdsRef): SdsSecretConfig {
  return create(SdsSecretConfigSchema, {
    name: ref.name,
    ...(ref.source ? { sdsConfig: encodeConfigSource(ref.source) } : {}),
  });
}

function encodeCommon(tls: CommonTls): CommonTlsContext {
  const tlsParams = encodeTlsParams(tls.params);
  const { validation } = tls;
  const message = create(CommonTlsContextSchema, {
    alpnProtocols: [...tls.alpn],
    tlsCertificates: tls.certificates.flatMap((ref) =>
      ref.kind === "inline" ? [encodeCertificate(ref.material)] : [],
    ),
    tlsCertificateSdsSecretConfigs: tls.certificates.flatMap((ref) => (ref.kind === "sds" ? [encodeSds(ref)] : [])),
    ...(tlsParams ? { tlsParams } : {}),
  });
  if (validation?.roots?.kind === "sds") {
    message.validationContextType = {
      case: "combinedValidationContext",
      value: {
        $typeName: "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext",
        defaultValidationContext: encodeValidation(validation),
        validationContextSdsSecretConfig: encodeSds(validation.roots),
      },
    };
  } else if (validation) {
    message.validationContextType = { case: "validationContext", value: encodeValidation(validation) };
  }
  return message;
}
