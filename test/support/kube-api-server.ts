/**
 * A real Kubernetes API: etcd and kube-apiserver as processes, with certificates, service accounts and RBAC as a cluster has
 * them, and nothing else of a cluster: no controllers, no nodes. They end with the process that started them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { sign } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https, { type RequestOptions } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { signCertificate } from "../../certs/certificate.ts";
import { generateKeyPair, type KeyPair, privateKeyToPem } from "../../certs/key.ts";
import { HttpApi } from "../../control-plane/kubernetes/http-api.ts";
import type { KubeApiParts } from "../../scripts/kube-api.ts";
import { reservePorts } from "../envoy/harness/ports.ts";
import { KubeClient } from "./kube-client.ts";
import { findTool } from "./tools.ts";

const START_MS = 60_000;
const DAY_MS = 86_400_000;
const ISSUER = "https://kubernetes.default.svc.cluster.local";

/** A client certificate and its key, PEM. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

export class KubeApiServer {
  /** `https://127.0.0.1:PORT`, the same through restarts. */
  readonly url: URL;
  /** Of the API server's certificate, PEM. */
  readonly ca: string;
  /** Of the group `system:masters`, who may do everything. */
  readonly admin: KubeClient;
  readonly #parts: KubeApiParts;
  readonly #folder: string;
  readonly #etcdPorts: readonly [client: number, peer: number];
  readonly #caKeys = generateKeyPair();
  readonly #accountKeys = generateKeyPair();
  readonly #adminCertificate: ClientCertificate;
  readonly #clients: HttpApi[] = [];
  #etcd: ChildProcess | null = null;
  #apiServer: ChildProcess | null = null;
  #inUse = false;

  private constructor(parts: KubeApiParts, ports: readonly number[]) {
    const [port = 0, etcd = 0, peer = 0] = ports;
    this.#parts = parts;
    this.#folder = mkdtempSync(path.join(tmpdir(), "outrigger-kube-api-"));
    this.#etcdPorts = [etcd, peer];
    this.url = new URL(`https://127.0.0.1:${port}`);
    this.ca = this.#sign("ca", null, this.#caKeys);
    this.#adminCertificate = this.clientCertificate("system:masters", "admin");
    this.admin = this.client(this.#credentialsOf(this.#adminCertificate));
    this.#writeFiles();
  }

  /** Resolves when the API server is ready, after some seconds. */
  static async start(parts: KubeApiParts): Promise<KubeApiServer> {
    // A test runner that has waited too long; without a handler nobody would be told. It may say so twice.
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => process.exit(1));
    for (let attempt = 1; ; attempt++) {
      const server = new KubeApiServer(parts, await reservePorts(3));
      process.once("exit", () => server.#kill());
      try {
        server.#startEtcd();
        await server.startApiServer();
        return server;
      } catch (error) {
        await server.close();
        // Somebody may have taken a port since it was found to be free.
        if (attempt === 3 || !server.#inUse) throw error;
      }
    }
  }

  /** Starts it again after `stopApiServer`; resolves when it is ready. */
  async startApiServer(): Promise<void> {
    const [port] = this.#etcdPorts;
    const file = (name: string): string => path.join(this.#folder, name);
    this.#apiServer = this.#spawn("kube-apiserver", this.#parts.apiServer, [
      ...[`--etcd-servers=http://127.0.0.1:${port}`, "--etcd-compaction-interval=0"],
      ...["--bind-address=127.0.0.1", `--secure-port=${this.url.port}`, "--advertise-address=127.0.0.1"],
      ...[`--tls-cert-file=${file("server.crt")}`, `--tls-private-key-file=${file("server.key")}`],
      ...[`--client-ca-file=${file("ca.crt")}`, `--cert-dir=${file("certs")}`],
      ...[`--service-account-issuer=${ISSUER}`, `--service-account-key-file=${file("accounts.pub")}`],
      ...[`--service-account-signing-key-file=${file("accounts.key")}`, `--api-audiences=${ISSUER}`],
      ...["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"],
      ...["--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true", "--profiling=false"],
      // There is one, and it is not to be found by its Service.
      ...["--endpoint-reconciler-type=none", "--shutdown-delay-duration=0s"],
      // Else it would wait a minute for those who watch.
      "--shutdown-watch-termination-grace-period=5s",
    ]);
    await this.#ready(this.#apiServer);
  }

  /** Ends it, as a crash does (`SIGKILL`) or in order. */
  async stopApiServer(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const child = this.#apiServer;
    this.#apiServer = null;
    await ended(child, signal);
  }

  /** Who asks by a bearer token. */
  withToken(token: string): KubeClient {
    return this.client({ ca: this.ca, headers: { authorization: `Bearer ${token}` } });
  }

  /** Who asks with these TLS settings and headers. It is closed with the server. */
  client(credentials: RequestOptions): KubeClient {
    return new KubeClient(this.httpApi(credentials));
  }

  /** The control plane's own client, the admin's if nothing is said. It is closed with the server. */
  httpApi(credentials = this.#credentialsOf(this.#adminCertificate), server = this.url): HttpApi {
    const connection = { server, credentials: async () => credentials };
    const api = new HttpApi({ connection, userAgent: "outrigger-test" });
    this.#clients.push(api);
    return api;
  }

  /** A kubeconfig file of the user, in the server's own folder. */
  kubeconfig(name: string, user: Readonly<Record<string, unknown>>): string {
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const cluster = { server: this.url.origin, "certificate-authority-data": base64(this.ca) };
    const file = path.join(this.#folder, `${name}.kubeconfig`);
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster }],
      users: [{ name, user }],
      contexts: [{ name: "test", context: { cluster: "test", user: name } }],
      "current-context": "test",
    };
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    return file;
  }

  clientCertificate(organization: string, commonName: string): ClientCertificate {
    const keys = generateKeyPair();
    return { cert: this.#sign(commonName, organization, keys), key: privateKeyToPem(keys.privateKey) };
  }

  /** What the admin gets of a path, by content negotiation, say, whatever it is. */
  get(at: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const options = { ...this.#credentialsOf(this.#adminCertificate), agent: false, headers };
      const request = https.get(new URL(at, this.url), options, (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          text += chunk;
        });
        answer.on("error", reject);
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      });
      request.on("error", reject);
    });
  }

  /** A service account's token with other claims, signed as the API server itself signs. */
  resigned(token: string, claims: Readonly<Record<string, unknown>>, key = this.#accountKeys.privateKey): string {
    const [header = "", payload = ""] = token.split(".");
    const all = { ...JSON.parse(Buffer.from(payload, "base64url").toString()), ...claims };
    const text = `${header}.${Buffer.from(JSON.stringify(all)).toString("base64url")}`;
    return `${text}.${sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  }

  /** Has etcd forget everything before the present revision. */
  async compact(): Promise<void> {
    const { header } = (await this.#askEtcd("/v3/kv/range", { key: "AA==" })) as { header: { revision: string } };
    await this.#askEtcd("/v3/kv/compaction", { revision: header.revision, physical: true });
  }

  /** What etcd and the API server have written to standard error, the end of each. */
  log(): string {
    const end = (name: string): string => readFileSync(path.join(this.#folder, `${name}.log`), "utf8").slice(-3000);
    return ["etcd", "kube-apiserver"].map(end).join("\n");
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all([ended(this.#apiServer, "SIGKILL"), ended(this.#etcd, "SIGKILL")]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #kill(): void {
    this.#apiServer?.kill("SIGKILL");
    this.#etcd?.kill("SIGKILL");
    // Nothing can be waited for at a process's end; and until they are gone they write.
    for (let attempt = 0; attempt < 20; attempt++) {
      try {
        rmSync(this.#folder, { recursive: true, force: true });
        return;
      } catch {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      }
    }
  }

  #startEtcd(): void {
    const [client, peer] = this.#etcdPorts.map((port) => `http://127.0.0.1:${port}`);
    this.#etcd = this.#spawn("etcd", this.#parts.etcd, [
      ...["--name=test", `--data-dir=${path.join(this.#folder, "etcd")}`, "--unsafe-no-fsync", "--log-level=warn"],
      // As clusters have it, but sooner: a quiet kind's version moves on by this.
      "--watch-progress-notify-interval=1s",
      ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
      ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`, `--initial-cluster=test=${peer}`],
    ]);
  }

  #spawn(name: string, program: string, args: readonly string[]): ChildProcess {
    const log = openSync(path.join(this.#folder, `${name}.log`), "a");
    // Where util-linux is, the kernel ends them also when this process is killed.
    const guard = findTool("setpriv");
    const command = guard === null ? [program, ...args] : [guard, "--pdeathsig", "KILL", program, ...args];
    const [file = "", ...rest] = command;
    const child = spawn(file, rest, { cwd: this.#folder, stdio: ["ignore", log, log] });
    closeSync(log);
    return child;
  }

  async #ready(child: ChildProcess): Promise<void> {
    const until = performance.now() + START_MS;
    for (;;) {
      const { status } = await this.get("/readyz").catch(() => ({ status: 0 }));
      if (status === 200) return;
      const gone = [child, this.#etcd].some((one) => one?.exitCode !== null || one.signalCode !== null);
      if (gone || performance.now() > until) {
        const log = this.log();
        this.#inUse = log.includes("address already in use");
        throw new Error(`kube-apiserver is not ready:\n${log}`);
      }
      await wait(50);
    }
  }

  async #askEtcd(call: string, body: object): Promise<unknown> {
    const url = `http://127.0.0.1:${this.#etcdPorts[0]}${call}`;
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd answered ${answer.status}: ${await answer.text()}`);
    return answer.json();
  }

  #credentialsOf({ cert, key }: ClientCertificate): RequestOptions {
    return { ca: this.ca, cert, key };
  }

  #writeFiles(): void {
    const server = generateKeyPair();
    mkdirSync(path.join(this.#folder, "certs"));
    const files = {
      "ca.crt": this.ca,
      "server.crt": this.#sign("kube-apiserver", null, server),
      "server.key": privateKeyToPem(server.privateKey),
      "accounts.key": privateKeyToPem(this.#accountKeys.privateKey),
      "accounts.pub": this.#accountKeys.publicKey.export({ type: "spki", format: "pem" }).toString(),
    };
    for (const [name, text] of Object.entries(files))
      writeFileSync(path.join(this.#folder, name), text, { mode: 0o600 });
  }

  #sign(commonName: string, organization: string | null, keys: KeyPair): string {
    const now = Date.now();
    const ca = keys === this.#caKeys;
    return signCertificate(
      {
        subject: { commonName, ...(organization === null ? {} : { organization }) },
        publicKey: keys.publicKey,
        notBefore: now - 60_000,
        notAfter: now + DAY_MS,
        names: ca || organization !== null ? [] : [{ type: "ip", value: "127.0.0.1" }],
        ca: ca ? { pathLength: 0 } : null,
      },
      { subject: { commonName: "ca" }, ...this.#caKeys },
    );
  }
}

async function ended(child: ChildProcess | null, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill(signal);
  await exit;
}
