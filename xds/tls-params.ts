/** TLS versions, ciphers and curves: `TlsParameters` to the model and back. */
import { getCiphers } from "node:tls";
import { create } from "@bufbuild/protobuf";
import {
  type TlsParameters,
  TlsParametersSchema,
  TlsParameters_TlsProtocol as TlsProtocol,
} from "../generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type { TlsParams, TlsVersion } from "../model/tls.ts";
import type { Place } from "./place.ts";
import { numberOf } from "./values.ts";

const VERSIONS: Readonly<Record<number, TlsVersion>> = {
  [TlsProtocol.TLSv1_0]: "TLSv1",
  [TlsProtocol.TLSv1_1]: "TLSv1.1",
  [TlsProtocol.TLSv1_2]: "TLSv1.2",
  [TlsProtocol.TLSv1_3]: "TLSv1.3",
};

const CURVES = new Set(["P-256", "P-384", "P-521", "X25519", "X25519MLKEM768"]);

let ciphers: ReadonlySet<string> | undefined;

export function decodeTlsParams(message: TlsParameters | undefined, at: Place): TlsParams {
  const min = message?.tlsMinimumProtocolVersion ?? TlsProtocol.TLS_AUTO;
  const max = message?.tlsMaximumProtocolVersion ?? TlsProtocol.TLS_AUTO;
  if (max !== TlsProtocol.TLS_AUTO && min > max) {
    at.field("tls_minimum_protocol_version").error("must not be above tls_maximum_protocol_version");
  }
  return {
    minVersion: VERSIONS[min] ?? null,
    maxVersion: VERSIONS[max] ?? null,
    cipherSuites: decodeCiphers(message?.cipherSuites ?? [], at.field("cipher_suites")),
    ecdhCurves: keepKnown(message?.ecdhCurves ?? [], (curve) => CURVES.has(curve), "curve", at.field("ecdh_curves")),
  };
}

/** BoringSSL lets `[A|B]` say that A and B are equally good; OpenSSL takes them in order. */
function decodeCiphers(suites: readonly string[], at: Place): string[] {
  const names = suites.flatMap((suite) => suite.replaceAll(/[[\]]/g, "").split(/[|:]/));
  if (names.length === 0) return [];
  ciphers ??= new Set(getCiphers());
  return keepKnown(names, (name) => ciphers?.has(name.toLowerCase()) ?? false, "cipher", at);
}

/** Control planes send names for every build of Envoy: those that the TLS library lacks are skipped with a note. */
function keepKnown(names: readonly string[], isKnown: (name: string) => boolean, what: string, at: Place): string[] {
  const known = names.filter((name) => {
    if (isKnown(name)) return true;
    at.note(`ignored: there is no ${what} ${JSON.stringify(name)}`);
    return false;
  });
  if (names.length > 0 && known.length === 0) at.error(`none of these is a known ${what}`);
  return known;
}

/** undefined if nothing differs from the defaults. */
export function encodeTlsParams(params: TlsParams): TlsParameters | undefined {
  const { minVersion, maxVersion, cipherSuites, ecdhCurves } = params;
  if (!minVersion && !maxVersion && cipherSuites.length === 0 && ecdhCurves.length === 0) return undefined;
  return create(TlsParametersSchema, {
    tlsMinimumProtocolVersion: minVersion ? numberOf(VERSIONS, minVersion) : TlsProtocol.TLS_AUTO,
    tlsMaximumProtocolVersion: maxVersion ? numberOf(VERSIONS, maxVersion) : TlsProtocol.TLS_AUTO,
    cipherSuites: [...cipherSuites],
    ecdhCurves: [...ecdhCurves],
  });
}
