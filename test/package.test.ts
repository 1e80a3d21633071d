/** What `npm pack` makes works where it is installed: elsewhere, by the machine's own npm, under the machine's own Node. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, get } from "node:http";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { requireTool, skip } from "./support/tools.ts";

const run = promisify(execFile);
const root = path.dirname(import.meta.dirname);
const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as { version: string };

/** The environment of somebody who has not been here before: nothing of this project's on the PATH, no npm script. */
function strangerEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_)/.test(name));
  const dirs = (process.env["PATH"] ?? "").split(path.delimiter).filter((dir) => !dir.includes("node_modules"));
  return { ...Object.fromEntries(entries), PATH: dirs.join(path.delimiter) };
}

const env = strangerEnvironment();

/** Packs and installs; null where npm can't reach its registry, which the test is then skipped for. */
async function installed(t: TestContext, dir: string): Promise<string | null> {
  await run("npm", ["pack", "--pack-destination", dir], { cwd: root, env });
  const tarball = readdirSync(dir).find((name) => name.endsWith(".tgz"));
  assert.equal(tarball, `outrigger-${version}.tgz`);
  const app = path.join(dir, "app");
  mkdirSync(app);
  writeFileSync(path.join(app, "package.json"), "{}\n");
  try {
    await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", `../${tarball}`], { cwd: app, env });
  } catch (error) {
    const text = String((error as { stderr?: string }).stderr ?? error);
    if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED/.test(text)) throw error;
    skip(t, "npm cannot reach its registry");
    return null;
  }
  return app;
}

function bootstrap(listenPort: number, upstreamPort: number): string {
  return `
static_resources:
  listeners:
    - name: front
      address: { socket_address: { address: 127.0.0.1, port_value: ${listenPort} } }
      filter_chains:
        - filters:
            - name: http
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: front
                http_filters:
                  - name: router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - match: { safe_regex: { regex: "/a+" } }
                          route: { cluster: back }
  clusters:
    - name: back
      load_assignment:
        cluster_name: back
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${upstreamPort} } } }
`;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function answer(port: number, requestPath: string): Promise<string> {
  const request = get({ host: "127.0.0.1", port, path: requestPath, agent: false });
  const [response] = await once(request, "response");
  let body = "";
  for await (const chunk of response) body += chunk;
  return `${response.statusCode} ${body}`;
}

/** Asks until there is an answer: a proxy says nothing to others when it is ready. */
async function firstAnswer(port: number, requestPath: string, alive: () => boolean): Promise<string> {
  for (;;) {
    try {
      return await answer(port, requestPath);
    } catch (error) {
      if (!alive()) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

test("the package, installed elsewhere, runs an Envoy bootstrap", async (t) => {
  if (!requireTool(t, "npm")) return;
  const dir = mkdtempSync(path.join(os.tmpdir(), "outrigger-package-"));
  const upstream = createServer((request, response) => response.end(`upstream saw ${request.url}`));
  try {
    const app = await installed(t, dir);
    if (app === null) return;
    const own = path.join(app, "node_modules", "outrigger");
    assert.ok(existsSync(path.join(own, "LICENSE")) && existsSync(path.join(own, "README.md")), "licence and README");
    for (const name of ["opossum", "pino", "typescript", "@grpc/grpc-js-xds"]) {
      assert.ok(!existsSync(path.join(app, "node_modules", name)), `${name} is not installed beside the bundle`);
    }

    const { stdout } = await run("npx", ["--no-install", "outrigger", "--version"], { cwd: app, env });
    assert.equal(stdout, `${version}\n`);

    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    const port = await freePort();
    const file = path.join(dir, "envoy.yaml");
    writeFileSync(file, bootstrap(port, (upstream.address() as AddressInfo).port));
    const validated = await run("npx", ["--no-install", "outrigger", "proxy", "--mode", "validate", "-c", file], {
      cwd: app,
      env,
    });
    assert.match(validated.stdout, /OK\n$/);

    // The launcher itself, under the machine's own Node, so that a signal has one process to go to.
    const launcher = path.join(own, "dist", "launcher.js");
    // With two workers, which are started from the same bundle.
    const child = spawn("node", [launcher, "proxy", "-c", file, "--concurrency", "2"], {
      cwd: app,
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    child.stderr.on("data", (data) => {
      log += data;
    });
    const exit = once(child, "exit");
    try {
      const alive = (): boolean => child.exitCode === null && child.signalCode === null;
      assert.equal(await firstAnswer(port, "/aaa", alive), "200 upstream saw /aaa", log);
      assert.match(await answer(port, "/b"), /^404 /);
      for (let i = 0; i < 20; i++) assert.equal(await answer(port, "/a"), "200 upstream saw /a");
      assert.ok(!log.includes("a worker has ended"), log);
    } finally {
      child.kill("SIGTERM");
    }
    assert.deepEqual(await exit, [0, null], log);
  } finally {
    upstream.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
