/** The server's side of TLS for one filter chain (`DownstreamTlsContext`): which certificate, which ALPN, which peers. */
import type { SecureContext } from "node:tls";
import { messageOf } from "../../core/errors.ts";
import type { CertificateMaterial, TrustMaterial } from "../../model/secret.ts";
import type { DownstreamTls } from "../../model/tls.ts";
import type { ContextCache } from "./context-cache.ts";
import { TlsFailure } from "./failure.ts";
import { chooseCertificates } from "./local-certificate.ts";
import { resolveCertificates, resolveTrust } from "./material.ts";
import { certificateIsMandatory, compilePeerCheck, type PeerCheck, withTrust } from "./peer-check.ts";
import type { SecretsView } from "./secrets-view.ts";

/** What a handshake that begins now uses. */
export interface ServerMaterial {
  readonly context: SecureContext;
  readonly rootsPem: string;
  readonly certificate: CertificateMaterial | undefined;
  /** The configuration's checks and those of the secret that the roots came in. */
  readonly check: PeerCheck;
  /** Whether clients must show a certificate; whether they are asked for one follows from `config.validation`. */
  readonly certificateIsMandatory: boolean;
}

export class ServerTlsContext {
  readonly config: DownstreamTls;
  readonly #secrets: SecretsView;
  readonly #contexts: ContextCache;
  #last: {
    certificates: readonly CertificateMaterial[];
    trust: TrustMaterial | null;
    material: ServerMaterial;
  } | null = null;

  /** Throws on a SAN regex that is not RE2 syntax. Makes no OpenSSL context yet. */
  constructor(config: DownstreamTls, secrets: SecretsView, contexts: ContextCache) {
    this.config = config;
    this.#secrets = secrets;
    this.#contexts = contexts;
    compilePeerCheck(config.validation, "client", config.requireClientCertificate);
  }

  /**
   * The newest material for a client that asked for `serverName`; rebuilt when a secret has changed, so connections made
   * before keep theirs. Throws a TlsFailure `no_material` while a secret is missing or unusable.
   */
  material(serverName: string): ServerMaterial {
    const all = resolveCertificates(this.config.certificates, this.#secrets);
    const certificates = chooseCertificates(all, serverName);
    const trust = resolveTrust(this.config.validation, this.#secrets);
    const last = this.#last;
    if (last && last.trust === trust && sameItems(last.certificates, certificates)) return last.material;
    const { params, requireClientCertificate } = this.config;
    const validation = withTrust(this.config.validation, trust);
    // A resumed session lacks the intermediates without which an expired chain cannot be judged.
    const sessionTickets = this.config.sessionTickets && validation?.allowExpired !== true;
    let context: SecureContext;
    try {
      context = this.#contexts.get({ side: "server", params, certificates, trust, sessionTickets });
    } catch (error) {
      throw new TlsFailure("no_material", `the listener's TLS certificate cannot be used: ${messageOf(error)}`, error);
    }
    const material = {
      context,
      rootsPem: trust?.roots ?? "",
      certificate: certificates[0],
      check: compilePeerCheck(validation, "client", requireClientCertificate),
      certificateIsMandatory: certificateIsMandatory(validation, requireClientCertificate),
    };
    this.#last = { certificates, trust, material };
    return material;
  }

  /**
   * The protocol to negotiate: the first of ours that the client offers, as BoringSSL selects it; null when there is
   * none, and then ALPN must be left out altogether: Node would abort the handshake where Envoy goes on without.
   */
  selectAlpn(offered: readonly string[]): string | null {
    return this.config.alpn.find((protocol) => offered.includes(protocol)) ?? null;
  }
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
