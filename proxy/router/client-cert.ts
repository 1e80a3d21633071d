/** `x-forwarded-client-cert`: which certificates a request came with, hop by hop, as Envoy writes it. */
import type { ForwardClientCert } from "../../model/http.ts";
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import { Group } from "./header-groups.ts";
import { encodeUtf8 } from "./regex.ts";
import type { RequestStage } from "./request-stage.ts";

const NAME = "x-forwarded-client-cert";

/** null for `always_forward_only`, which does nothing. */
export function compileClientCert(config: ForwardClientCert): RequestStage | null {
  switch (config.mode) {
    case "always_forward_only":
      return null;
    case "sanitize":
      return ({ headers }, _info, seen) => {
        if ((seen & Group.clientCert) !== 0) headers.remove(NAME);
      };
    case "forward_only":
      return ({ headers }, info, seen) => {
        if ((seen & Group.clientCert) !== 0 && !hasPeer(info.connection)) headers.remove(NAME);
      };
    case "append_forward":
    case "sanitize_set":
      return compileOwn(config);
  }
}

/** True on mutual TLS: only then is what the header says anybody's word. */
function hasPeer(connection: ConnectionInfo): boolean {
  return connection.tls !== null && connection.tls.peer !== null;
}

function compileOwn(config: ForwardClientCert): RequestStage {
  const elements = new WeakMap<ConnectionInfo, string>();
  const appends = config.mode === "append_forward";
  return ({ headers }, { connection }, seen) => {
    if (!hasPeer(connection)) {
      if ((seen & Group.clientCert) !== 0) headers.remove(NAME);
      return;
    }
    let element = elements.get(connection);
    if (element === undefined) {
      element = encodeUtf8(describeCertificates(config, connection));
      elements.set(connection, element);
    }
    if ((seen & Group.clientCert) === 0) {
      headers.append(NAME, element);
      return;
    }
    const before = appends ? headers.get(NAME) : null;
    headers.set(NAME, before ? `${before},${element}` : element);
  };
}

/** One element of the header: own names, the peer's fingerprint, then what the configuration asks for. */
function describeCertificates(config: ForwardClientCert, { tls }: ConnectionInfo): string {
  if (tls === null || tls.peer === null) return "";
  const { peer } = tls;
  const parts = tls.localUriSans.map((san) => `By=${san}`);
  parts.push(`Hash=${peer.fingerprint256}`);
  if (config.cert) parts.push(`Cert="${encodeURIComponent(peer.pem())}"`);
  if (config.chain) parts.push(`Chain="${encodeURIComponent(peer.chainPem())}"`);
  if (config.subject) parts.push(`Subject="${peer.subject}"`);
  // The keys are there even where the certificate has no such name, except for DNS.
  if (config.uri) parts.push(...(peer.uriSans.length === 0 ? ["URI="] : peer.uriSans.map((san) => `URI=${san}`)));
  if (config.dns) parts.push(...peer.dnsSans.map((san) => `DNS=${san}`));
  return parts.join(";");
}
