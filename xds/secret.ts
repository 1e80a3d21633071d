/** TLS material: `envoy.extensions.transport_sockets.tls.v3.Secret`, `TlsCertificate` and the trust in a context. */
import { create } from "@bufbuild/protobuf";
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  type TlsCertificate,
  TlsCertificateSchema,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  type Secret as SecretMessage,
  SecretSchema,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { CertificateMaterial, Secret, TrustMaterial } from "../model/secret.ts";
import type { Codec } from "./codec.ts";
import { decodeMaterial, decodeText, encodeText } from "./data-source.ts";
import { asksNothing, decodeChecks, encodeChecks } from "./peer-checks.ts";
import { checkCertificates, checkKeyPair } from "./pem.ts";
import type { Place } from "./place.ts";

export const secretCodec: Codec<typeof SecretSchema, Secret> = {
  schema: SecretSchema,
  label: "secret",
  nameOf: (message) => message.name,
  decode: decodeSecret,
  encode: encodeSecret,
};

function decodeSecret(message: SecretMessage, at: Place): Secret {
  const { name, type } = message;
  if (name === "") at.field("name").error("is required");
  switch (type.case) {
    case "tlsCertificate":
      return { kind: "certificate", name, material: decodeCertificate(type.value, at.field("tls_certificate")) };
    case "validationContext": {
      const place = at.field("validation_context");
      if (!type.value.trustedCa) place.field("trusted_ca").error("is required");
      return { kind: "trust", name, material: decodeTrustWithChecks(type.value, place) };
    }
    case "sessionTicketKeys":
      at.field("session_ticket_keys").error("is not supported");
      break;
    default:
      at.error("one of tls_certificate, validation_context is required");
  }
  return { kind: "trust", name, material: { roots: "", crl: "" } };
}

/** A certificate chain with its key; both are required and must belong together. */
export function decodeCertificate(message: TlsCertificate, at: Place): CertificateMaterial {
  const chainPlace = at.field("certificate_chain");
  const keyPlace = at.field("private_key");
  if (!message.certificateChain) chainPlace.error("is required");
  if (!message.privateKey) keyPlace.error("is required");
  const material = {
    certificateChain: decodeMaterial(message.certificateChain, chainPlace),
    privateKey: decodeMaterial(message.privateKey, keyPlace),
    password: decodeText(message.password, at.field("password")),
  };
  if (material.certificateChain && material.privateKey) checkKeyPair(material, chainPlace, keyPlace);
  return material;
}

export function encodeCertificate(material: CertificateMaterial): TlsCertificate {
  const [certificateChain, privateKey, password] = [
    encodeText(material.certificateChain),
    encodeText(material.privateKey),
    encodeText(material.password),
  ];
  return create(TlsCertificateSchema, {
    ...(certificateChain ? { certificateChain } : {}),
    ...(privateKey ? { privateKey } : {}),
    ...(password ? { password } : {}),
  });
}

/** The roots and revocation list of a validation context; its other fields are not looked at. */
export function decodeTrust(message: CertificateValidationContext, at: Place): TrustMaterial {
  const roots = decodeMaterial(message.trustedCa, at.field("trusted_ca"));
  const crl = decodeMaterial(message.crl, at.field("crl"));
  if (roots) checkCertificates(roots, at.field("trusted_ca"));
  if (crl && !crl.includes("-----BEGIN X509 CRL-----")) at.field("crl").error("is not a PEM revocation list");
  return { roots, crl };
}

export function encodeTrust(material: TrustMaterial): CertificateValidationContext {
  const [trustedCa, crl] = [encodeText(material.roots), encodeText(material.crl)];
  return create(CertificateValidationContextSchema, { ...(trustedCa ? { trustedCa } : {}), ...(crl ? { crl } : {}) });
}

/** A secret's trust brings its own checks, which count beside those of the context that uses it. */
function decodeTrustWithChecks(message: CertificateValidationContext, at: Place): TrustMaterial {
  const checks = decodeChecks(message, at);
  return { ...decodeTrust(message, at), ...(asksNothing(checks) ? {} : { checks }) };
}

function encodeTrustWithChecks(material: TrustMaterial): CertificateValidationContext {
  const message = encodeTrust(material);
  if (material.checks) encodeChecks(material.checks, message);
  return message;
}

function encodeSecret(secret: Secret): SecretMessage {
  return create(SecretSchema, {
    name: secret.name,
    type:
      secret.kind === "certificate"
        ? { case: "tlsCertificate", value: encodeCertificate(secret.material) }
        : { case: "validationContext", value: encodeTrustWithChecks(secret.material) },
  });
}
