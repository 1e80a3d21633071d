/**
 * OpenSSL contexts, made at first use and shared by equal content: with roots each costs about 37 KB and 0.2 ms, so a
 * thousand clusters that name the same certificate must share one.
 */
import { createHash, hkdfSync } from "node:crypto";
import tls from "node:tls";
import type { CertificateMaterial, TrustMaterial } from "../../model/secret.ts";
import type { TlsParams } from "../../model/tls.ts";
import { secureOptions } from "./params.ts";

export interface ContextContent {
  readonly side: "server" | "client";
  readonly params: TlsParams;
  /** Each of another key type. */
  readonly certificates: readonly CertificateMaterial[];
  readonly trust: TrustMaterial | null;
  readonly sessionTickets: boolean;
}

/** Bytes that OpenSSL wants for a ticket's name and its two keys. */
const TICKET_KEY_BYTES = 48;

export class ContextCache {
  readonly #ticketSecret: Uint8Array | null;
  readonly #contexts = new Map<string, WeakRef<tls.SecureContext>>();
  readonly #gone = new FinalizationRegistry<string>((key) => {
    if (this.#contexts.get(key)?.deref() === undefined) this.#contexts.delete(key);
  });

  /** `ticketSecret`: contexts of the same content take each other's session tickets wherever it is the same; null: its own. */
  constructor(ticketSecret: Uint8Array | null = null) {
    this.#ticketSecret = ticketSecret;
  }

  /** How many distinct contexts are alive. */
  get size(): number {
    return this.#contexts.size;
  }

  /** The context for this content. Throws what OpenSSL says about material that it cannot use. */
  get(content: ContextContent): tls.SecureContext {
    const key = keyOf(content);
    const known = this.#contexts.get(key)?.deref();
    if (known) return known;
    const context = create(content, key, this.#ticketSecret);
    this.#contexts.set(key, new WeakRef(context));
    this.#gone.register(context, key);
    return context;
  }
}

function create(content: ContextContent, key: string, ticketSecret: Uint8Array | null): tls.SecureContext {
  const { side, params, certificates, trust, sessionTickets } = content;
  const options: tls.SecureContextOptions = {
    ...secureOptions(params, side, sessionTickets),
    // Without it Node loads the system's roots, which no configuration has named.
    ca: trust === null ? [] : [trust.roots],
    // Envoy sets X509_V_FLAG_PARTIAL_CHAIN: an intermediate among the roots is an anchor as well.
    allowPartialTrustChain: true,
    cert: certificates.map((material) => material.certificateChain),
    key: certificates.map(({ privateKey, password }) => ({
      pem: privateKey,
      ...(password ? { passphrase: password } : {}),
    })),
  };
  if (trust !== null && trust.crl !== "")
    options.crl = trust.crl.match(/-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----/g) ?? [];
  // OpenSSL resumes a session with a client certificate only in the context that it was made in.
  if (side === "server") {
    options.sessionIdContext = key.slice(0, 32);
    if (sessionTickets && ticketSecret !== null)
      options.ticketKeys = Buffer.from(hkdfSync("sha256", ticketSecret, "", key, TICKET_KEY_BYTES));
  }
  return tls.createSecureContext(options);
}

const digests = new WeakMap<object, string>();

function keyOf({ side, params, certificates, trust, sessionTickets }: ContextContent): string {
  const parts = [side, sessionTickets, params, certificates.map(digestOf), trust === null ? null : digestOf(trust)];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

function digestOf(material: CertificateMaterial | TrustMaterial): string {
  let digest = digests.get(material);
  if (digest === undefined) {
    digest = createHash("sha256")
      .update(JSON.stringify(Object.entries(material).sort()))
      .digest("base64");
    digests.set(material, digest);
  }
  return digest;
}
