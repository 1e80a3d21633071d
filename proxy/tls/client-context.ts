/** The client's side of TLS for one cluster (`UpstreamTlsContext`): makes contexts at the first connection, checks servers. */
import { isIP } from "node:net";
import type { SecureContext, TLSSocket } from "node:tls";
import { clockProblem } from "../../certs/workload-certificate.ts";
import type { Clock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { CertificateMaterial, TrustMaterial } from "../../model/secret.ts";
import type { PeerValidation, UpstreamTls } from "../../model/tls.ts";
import type { TlsServerName, UpstreamHandshake, UpstreamTlsConnector } from "../endpoint/connector.ts";
import { peerEvidence } from "./connection.ts";
import type { ContextCache } from "./context-cache.ts";
import { explainHandshake, TlsFailure, type TlsFailureKind } from "./failure.ts";
import { localCertificate } from "./local-certificate.ts";
import { resolveCertificates, resolveTrust } from "./material.ts";
import { compilePeerCheck, type PeerCheck, type PeerEvidence, withTrust } from "./peer-check.ts";
import type { SecretsView } from "./secrets-view.ts";
import { SessionCache } from "./session-cache.ts";
import { withoutPeer } from "./session-state.ts";

const HTTP1 = "http/1.1";

interface ClientMaterial {
  readonly certificates: readonly CertificateMaterial[];
  readonly trust: TrustMaterial | null;
  readonly context: SecureContext;
}

/** Told what came of handshakes with servers. */
export interface ClientTlsObserver {
  onHandshake(version: string, resumed: boolean): void;
  onFailure(kind: TlsFailureKind): void;
}

const UNOBSERVED: ClientTlsObserver = { onHandshake: () => undefined, onFailure: () => undefined };

export class ClientTlsContext implements UpstreamTlsConnector {
  readonly #config: UpstreamTls;
  readonly #secrets: SecretsView;
  readonly #contexts: ContextCache;
  readonly #clock: Clock;
  readonly #sessions: SessionCache;
  readonly #observer: ClientTlsObserver;
  /** By server name with `auto_sni_san_validation`, else one for all (""). */
  readonly #checks = new Map<string, PeerCheck>();
  #last: ClientMaterial | null = null;

  /** Throws on a SAN regex that is not RE2 syntax. Makes no OpenSSL context yet. */
  constructor(
    config: UpstreamTls,
    secrets: SecretsView,
    contexts: ContextCache,
    clock: Clock,
    observer: ClientTlsObserver = UNOBSERVED,
  ) {
    this.#observer = observer;
    this.#config = config;
    this.#secrets = secrets;
    this.#contexts = contexts;
    this.#clock = clock;
    this.#sessions = new SessionCache(config.maxSessionKeys);
    this.#checkFor("", null);
    // The secrets may bring further checks.
    this.#checks.clear();
  }

  /** Throws a TlsFailure `no_material` while a secret is missing or unusable: the connection must not be made then. */
  begin(host: string, server: TlsServerName | null = null, offered: readonly string[] = [HTTP1]): UpstreamHandshake {
    const material = this.#material();
    const { context } = material;
    const serverName = server?.sni ?? this.#serverName(host);
    const san = server?.san ?? null;
    // What was accepted under one name proves nothing about another.
    const sessionName = san === null ? serverName : `${serverName}\n${san}`;
    const session = this.#sessions.find(sessionName, context, this.#clock.wallTime());
    const { alpn } = this.#config;
    return {
      options: {
        secureContext: context,
        rejectUnauthorized: false,
        // Envoy checks names only as far as it is told to: `verify` does.
        checkServerIdentity: () => undefined,
        ...(serverName === "" ? {} : { servername: serverName }),
        // As in Envoy, where the context names no protocol those that can be spoken are offered.
        ALPNProtocols: alpn.length === 0 ? [...offered] : alpn,
        ...(session === undefined ? {} : { session }),
      },
      verify: (socket) => {
        const failure = this.#verify(socket, material, serverName, san, sessionName);
        if (failure === null) this.#observer.onHandshake(socket.getProtocol() ?? "", socket.isSessionReused());
        else this.#observer.onFailure(failure.kind);
        return failure?.message ?? null;
      },
      explain: (error) => this.#explain(error, material),
    };
  }

  /** null while a secret is missing or unusable. */
  current(): object | null {
    try {
      return this.#material();
    } catch {
      return null;
    }
  }

  #verify(
    socket: TLSSocket,
    { context, trust }: ClientMaterial,
    serverName: string,
    san: string | null,
    sessionName: string,
  ): TlsFailure | null {
    // Node shows no certificate for a resumed session. It needs none: sessions are kept only of servers that were
    // accepted, under this very context (and so these roots), and are offered no longer than their certificate lives.
    if (socket.isSessionReused()) return null;
    const evidence = peerEvidence(socket);
    const { failure } = this.#checkFor(serverName, trust)(evidence, trust?.roots ?? "", this.#clock.wallTime());
    if (failure) return failure;
    if (san !== null) {
      const refused = checkSan(evidence, san, trust);
      if (refused !== null) return refused;
    }
    if (this.#config.maxSessionKeys === 0) return null;
    const peerNotAfter = evidence.certificate?.validToDate.getTime() ?? 0;
    const remember = (session: Buffer): void =>
      this.#sessions.add({ session: withoutPeer(session), serverName: sessionName, context, peerNotAfter });
    // TLS 1.3 sends tickets after the handshake, 1.2 within it.
    if (socket.getProtocol() === "TLSv1.3") socket.on("session", remember);
    else remember(socket.getSession() ?? Buffer.alloc(0));
    return null;
  }

  #explain(error: Error, material: ClientMaterial): string {
    const failure = explainHandshake(error, "server");
    this.#observer.onFailure(failure.kind);
    if (failure.kind !== "refused_by_peer") return failure.message;
    // Most refusals are about our certificate, and most of those about time.
    const own = material.certificates[0];
    const info = own === undefined ? undefined : localCertificate(own)?.info;
    const problem = info ? clockProblem(info, this.#clock.wallTime()) : null;
    return problem === null ? failure.message : `${failure.message} (our own: ${problem})`;
  }

  /** `auto_host_sni`: the endpoint's host name; an address is no server name (RFC 6066 section 3). */
  #serverName(host: string): string {
    const { autoHostSni, sni } = this.#config;
    const name = autoHostSni && host !== "" ? host : sni;
    return isIP(name) === 0 ? name : "";
  }

  #checkFor(serverName: string, trust: TrustMaterial | null): PeerCheck {
    const { autoSanValidation } = this.#config;
    const key = autoSanValidation ? serverName : "";
    let check = this.#checks.get(key);
    if (!check) {
      const validation = withTrust(this.#config.validation, trust);
      check = compilePeerCheck(key === "" ? validation : forServer(validation, key), "server", true);
      this.#checks.set(key, check);
    }
    return check;
  }

  #material(): ClientMaterial {
    const { config, last } = { config: this.#config, last: this.#last };
    const certificates = resolveCertificates(config.certificates, this.#secrets);
    const trust = resolveTrust(config.validation, this.#secrets);
    if (last && last.trust === trust && last.certificates.every((item, index) => item === certificates[index]))
      return last;
    let context: SecureContext;
    try {
      context = this.#contexts.get({
        side: "client",
        params: config.params,
        certificates,
        trust,
        sessionTickets: true,
      });
    } catch (error) {
      throw new TlsFailure("no_material", `the cluster's TLS certificate cannot be used: ${messageOf(error)}`, error);
    }
    if (this.#last?.trust !== trust) this.#checks.clear();
    this.#last = { certificates, trust, context };
    return this.#last;
  }
}

/** `auto_sni_san_validation`: the name that was asked for takes the place of configured names. */
function forServer(validation: PeerValidation | null, serverName: string): PeerValidation | null {
  if (validation === null) return null;
  const match = { kind: "exact", value: serverName, ignoreCase: true } as const;
  return { ...validation, subjectAltNames: [{ type: "dns", match }] };
}

/** `auto_san_validation`: the certificate must name the request's host, beside what else is checked. */
function checkSan(evidence: PeerEvidence, san: string, trust: TrustMaterial | null): TlsFailure | null {
  // As in Envoy: a name in a certificate that anyone may have signed proves nothing.
  if (trust === null) {
    return new TlsFailure(
      "untrusted",
      "the server's name cannot be verified without a trusted CA (auto_san_validation)",
    );
  }
  const match = { kind: "exact", value: san, ignoreCase: false } as const;
  const validation: PeerValidation = { ...NAMES_ONLY, subjectAltNames: [{ type: "any", match }] };
  return compilePeerCheck(validation, "server", true)(evidence, "", 0).failure;
}

const NAMES_ONLY: PeerValidation = {
  roots: null,
  subjectAltNames: [],
  certificateHashes: [],
  spkiHashes: [],
  acceptUntrusted: false,
  allowExpired: false,
};
