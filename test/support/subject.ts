/**
 * The proxy that a test about hostile peers is about, with its access log: Outrigger in the test's own process, or with
 * `OUTRIGGER_SUBJECT=envoy` the real Envoy on the same configuration, to see whether a test asks for too much.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { envoyBinary } from "../../scripts/envoy-binary.ts";
import { address, any, named } from "../../xds/testing/bootstrap-json.ts";
import { reservePorts } from "../envoy/harness/ports.ts";
import { startProxy as startProcess, untilReady } from "../envoy/harness/proxy.ts";
import { type ClientOptions, connectHttp2, type Http2Wire } from "./http2-wire.ts";
import { bootstrapOf, type ProxyConfig, startProxy } from "./running-proxy.ts";
import { connectTo, until, type Wire } from "./wire.ts";

/** True if the real Envoy is being asked. */
export const ASKING_ENVOY = process.env["OUTRIGGER_SUBJECT"] === "envoy";

const FORMAT = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n";

export class Subject {
  readonly port: number;
  readonly #logFile: string;
  readonly #settled: () => Promise<void>;
  readonly #clients: { destroy(): void }[] = [];

  constructor(port: number, logFile: string, settled: () => Promise<void>) {
    this.port = port;
    this.#logFile = logFile;
    this.#settled = settled;
  }

  /** A caller's plaintext connection. */
  async connect(): Promise<Wire> {
    const wire = await connectTo(this.port);
    this.#clients.push(wire);
    return wire;
  }

  /** A caller's connection that speaks HTTP/2 by hand. */
  async http2(t: TestContext, options?: ClientOptions): Promise<Http2Wire> {
    const wire = await connectHttp2(t, this.port, options);
    this.#clients.push(wire);
    return wire;
  }

  /** Lines of the access log so far: status, flags, details. */
  log(): string[] {
    return readFileSync(this.#logFile, "utf8").split("\n").slice(0, -1);
  }

  /** Line number `index`, waited for. */
  async logged(index = 0): Promise<string> {
    await until(() => this.log().length > index);
    return this.log()[index] as string;
  }

  /** Ends all callers, and checks that nothing of their requests is left, where that can be seen. */
  async settled(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await this.#settled();
  }
}

/** Starts it; ended with the test. */
export async function startSubject(t: TestContext, config: ProxyConfig): Promise<Subject> {
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-subject-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const logFile = path.join(folder, "access.log");
  writeFileSync(logFile, "");
  const fileLog = any("extensions.access_loggers.file.v3.FileAccessLog", {
    path: logFile,
    log_format: { text_format_source: { inline_string: FORMAT } },
  });
  const logging: ProxyConfig = { ...config, manager: { access_log: [named("file", fileLog)], ...config.manager } };
  if (!ASKING_ENVOY) {
    const proxy = await startProxy(t, logging);
    return new Subject(proxy.port, logFile, () => proxy.settled());
  }
  const envoy = envoyBinary();
  if (envoy === null) throw new Error("there is no Envoy on this machine");
  const [port = 0] = await reservePorts(1);
  const bootstrap = bootstrapOf({ ...logging, listener: { ...config.listener, address: address("127.0.0.1", port) } });
  const file = path.join(folder, "bootstrap.json");
  writeFileSync(file, JSON.stringify(bootstrap));
  const running = startProcess("envoy", envoy, file);
  t.after(() => running.stop());
  await untilReady("envoy", running, [port]);
  return new Subject(port, logFile, async () => undefined);
}
