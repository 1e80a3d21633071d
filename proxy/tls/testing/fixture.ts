/** A CA, a TLS server on an accepted raw socket, and a client, for the tests of this folder. */
import * as fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import { type CaOptions, CertificateAuthority } from "../../../certs/ca.ts";
import type { SubjectAltName } from "../../../certs/extensions.ts";
import { generateKeyPair, privateKeyToPem } from "../../../certs/key.ts";
import { type Clock, systemClock } from "../../../core/clock.ts";
import type { CertificateMaterial } from "../../../model/secret.ts";
import { EMPTY_SNAPSHOT } from "../../../model/snapshot.ts";
import type { DownstreamTls, PeerValidation, UpstreamTls } from "../../../model/tls.ts";
import type { ConnectionTls } from "../../../telemetry/stream-info.ts";
import { acceptTls } from "../accept.ts";
import type { ClientTlsContext } from "../client-context.ts";
import type { TlsFailure } from "../failure.ts";
import { secretsView } from "../secrets-view.ts";
import type { ServerTlsContext } from "../server-context.ts";

const PARAMS = { minVersion: null, maxVersion: null, cipherSuites: [], ecdhCurves: [] };

export const NO_SECRETS = secretsView({ get: () => EMPTY_SNAPSHOT }, null);

export function withCa<T>(run: (ca: CertificateAuthority) => T, more: Partial<CaOptions> = {}): T {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-tls-"));
  try {
    return run(new CertificateAuthority({ stateDir: dir, trustDomain: "mesh.test", clock: systemClock, ...more }));
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** A certificate for a service account of namespace `shop`, or for the given names. */
export function certify(
  ca: CertificateAuthority,
  account: string,
  names: readonly SubjectAltName[] = [{ type: "uri", value: `spiffe://mesh.test/ns/shop/sa/${account}` }],
): CertificateMaterial {
  const keys = generateKeyPair();
  return {
    certificateChain: ca.issue(keys.publicKey, names, 3_600_000).chainPem,
    privateKey: privateKeyToPem(keys.privateKey),
    password: "",
  };
}

export function trusting(ca: CertificateAuthority, more: Partial<PeerValidation> = {}): PeerValidation {
  return {
    roots: { kind: "inline", material: { roots: ca.bundle.get() ?? "", crl: "" } },
    subjectAltNames: [],
    certificateHashes: [],
    spkiHashes: [],
    acceptUntrusted: false,
    allowExpired: false,
    ...more,
  };
}

export function downstream(certificate: CertificateMaterial, more: Partial<DownstreamTls> = {}): DownstreamTls {
  return {
    params: PARAMS,
    certificates: [{ kind: "inline", material: certificate }],
    validation: null,
    requireClientCertificate: false,
    alpn: [],
    requireSni: false,
    sessionTickets: true,
    ...more,
  };
}

export function upstream(certificate: CertificateMaterial | null, more: Partial<UpstreamTls> = {}): UpstreamTls {
  return {
    params: PARAMS,
    certificates: certificate ? [{ kind: "inline", material: certificate }] : [],
    validation: null,
    alpn: [],
    sni: "",
    autoHostSni: false,
    autoSanValidation: false,
    maxSessionKeys: 1,
    ...more,
  };
}

export interface ServerOutcome {
  readonly tls: ConnectionTls | null;
  readonly failure: TlsFailure | null;
}

/** Accepts connections, reads the first bytes, then performs the handshake and echoes. */
export class EchoServer implements AsyncDisposable {
  readonly outcomes: ServerOutcome[] = [];
  readonly sockets = new Set<net.Socket>();
  /** Settable: later connections use the new one. */
  context: ServerTlsContext;
  readonly #server: net.Server;
  readonly #clock: Clock;
  #waiting: (() => void) | null = null;

  private constructor(context: ServerTlsContext, clock: Clock, hello: { serverName: string; alpn: readonly string[] }) {
    this.context = context;
    this.#clock = clock;
    this.#server = net.createServer({ allowHalfOpen: true }, (raw) => {
      this.sockets.add(raw);
      const onFirst = (head: Buffer): void => {
        acceptTls(raw, head, hello, this.context, this.#clock, {
          onAccepted: (socket, info) => {
            this.sockets.add(socket);
            socket.on("error", () => undefined);
            socket.pipe(socket);
            this.#report({ tls: info, failure: null });
          },
          onFailed: (failure) => this.#report({ tls: null, failure }),
        });
      };
      raw.once("data", onFirst);
    });
  }

  static async start(
    context: ServerTlsContext,
    hello: { serverName: string; alpn: readonly string[] } = { serverName: "", alpn: [] },
    clock: Clock = systemClock,
  ): Promise<EchoServer> {
    const server = new EchoServer(context, clock, hello);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** The outcome of the next handshake. */
  async next(): Promise<ServerOutcome> {
    if (this.outcomes.length === 0) await new Promise<void>((resolve) => (this.#waiting = resolve));
    const outcome = this.outcomes.shift();
    if (!outcome) throw new Error("woken without an outcome");
    return outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #report(outcome: ServerOutcome): void {
    this.outcomes.push(outcome);
    this.#waiting?.();
    this.#waiting = null;
  }
}

export interface ClientOutcome {
  /** null: accepted. */
  readonly refused: string | null;
  readonly reused: boolean;
  readonly alpn: string;
  readonly echoed: string;
}

/** Connects as a cluster's pool does, sends `ping` and reads the echo. */
export function callServer(context: ClientTlsContext, port: number, host = "127.0.0.1"): Promise<ClientOutcome> {
  return new Promise((resolve) => {
    const handshake = context.begin(host);
    const raw = net.connect({ port, host: "127.0.0.1" });
    const socket = tls.connect({ ...handshake.options, socket: raw });
    let echoed = "";
    let settled = false;
    const settle = (refused: string | null): void => {
      if (settled) return;
      settled = true;
      const alpn = socket.alpnProtocol || "";
      resolve({ refused, reused: socket.isSessionReused(), alpn, echoed });
      socket.destroy();
    };
    socket.on("error", (error) => settle(handshake.explain(error)));
    socket.on("close", () => settle("closed without an answer"));
    socket.once("secureConnect", () => {
      const refused = handshake.verify(socket);
      if (refused !== null) return settle(refused);
      socket.write("ping");
      socket.on("data", (data) => {
        echoed += data.toString();
        if (echoed === "ping") settle(null);
      });
    });
  });
}
