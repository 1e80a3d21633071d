/**
 * What a person gets for a wrong flag, file, port or key: one clear error on stderr that names the place, an exit code,
 * and no stack trace. Every case runs the command as it is run by hand.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { CERTIFICATE } from "../xds/testing/pem.ts";
import { bootstrapOf, type ProxyConfig } from "./support/running-proxy.ts";

const MAIN = path.join(import.meta.dirname, "..", "cli", "main.ts");
const USAGE = 2;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const env = {
      ...process.env,
      OUTRIGGER_STATE: path.join(dir, "state"),
      NODE_COMPILE_CACHE: path.join(dir, "cache"),
    };
    const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (bytes: Buffer) => {
      stdout += bytes.toString();
    });
    child.stderr.on("data", (bytes: Buffer) => {
      stderr += bytes.toString();
    });
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`still running: ${args.join(" ")}\n${stderr}`));
    }, 15_000);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}

let dir = "";
let occupant: net.Server;
let port = 0;

before(async () => {
  dir = mkdtempSync(path.join(tmpdir(), "outrigger-cli-"));
  occupant = net.createServer();
  await new Promise<void>((resolve) => occupant.listen(0, "127.0.0.1", resolve));
  port = (occupant.address() as net.AddressInfo).port;
});

after(() => {
  occupant.close();
  rmSync(dir, { recursive: true });
});

function file(name: string, text: string): string {
  const full = path.join(dir, name);
  writeFileSync(full, text);
  return full;
}

/** A bootstrap as JSON with one member per line, so that a line tells the member. */
function bootstrap(name: string, config: ProxyConfig, more: object = {}): string {
  return file(name, JSON.stringify({ ...bootstrapOf(config), ...more }, null, 1));
}

/** `FILE:LINE:COLUMN` of the first place in a file where `text` stands. */
function placeOf(name: string, text: string, content: string): string {
  const at = content.indexOf(text);
  const lines = content.slice(0, at).split("\n");
  return `${path.join(dir, name)}:${lines.length}:${(lines.at(-1) ?? "").length + 1}`;
}

/** One error: its first line says what, and nothing of the program's inside shows. */
function assertClear({ stderr }: Outcome, message: string | RegExp): void {
  assert.doesNotMatch(stderr, /^\s+at .*:\d+/m, "a stack trace");
  const lines = stderr.trimEnd().split("\n");
  const errors = lines.filter((line) => /^(outrigger|error): /.test(line));
  assert.equal(errors.length, 1, stderr);
  assert.ok(
    lines.every((line) => line.startsWith("(add --help") || errors.includes(line)),
    stderr,
  );
  const [error = ""] = errors;
  if (typeof message === "string") assert.equal(error, message);
  else assert.match(error, message);
}

interface Case {
  readonly name: string;
  readonly args: () => readonly string[];
  readonly code: number;
  readonly message: () => string | RegExp;
}

const tls = (key: () => string): ProxyConfig => {
  const type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
  const pair = { certificate_chain: { inline_string: CERTIFICATE }, private_key: { filename: key() } };
  const context = { "@type": type, common_tls_context: { tls_certificates: [pair] } };
  return { upstreams: [1], cluster: { transport_socket: { name: "tls", typed_config: context } } };
};

const SERVED = { upstreams: [1] };

const CASES: readonly Case[] = [
  {
    name: "an unknown command",
    args: () => ["fly"],
    code: USAGE,
    message: () => "error: unknown command 'fly'",
  },
  {
    name: "an unknown flag",
    args: () => ["proxy", "--wings"],
    code: USAGE,
    message: () => "error: unknown option '--wings'",
  },
  {
    name: "a flag without its value",
    args: () => ["proxy", "-c"],
    code: USAGE,
    message: () => /'-c, --config-path <file>' argument missing/,
  },
  {
    name: "no configuration",
    args: () => ["proxy"],
    code: USAGE,
    message: () => "outrigger: a configuration is needed: -c FILE or --config-yaml YAML",
  },
  {
    name: "a number that is none",
    args: () => ["proxy", "--drain-time-s", "soon", "-c", "x"],
    code: USAGE,
    message: () => /'--drain-time-s <seconds>' argument 'soon' is invalid/,
  },
  {
    name: "an unknown log level",
    args: () => ["proxy", "-l", "loud", "-c", "x"],
    code: USAGE,
    message: () => /'-l, --log-level <level>' argument 'loud' is invalid/,
  },
  {
    name: "an unknown level of a component",
    args: () => ["proxy", "--component-log-level", "xds:loud", "-c", "x"],
    code: USAGE,
    message: () => /--component-log-level: "loud" is none of trace, /,
  },
  {
    name: "a file that is not there",
    args: () => ["proxy", "-c", path.join(dir, "none.yaml")],
    code: 1,
    message: () => `outrigger: ${path.join(dir, "none.yaml")}: there is no such file`,
  },
  {
    name: "a file that is a directory",
    args: () => ["proxy", "-c", dir],
    code: 1,
    message: () => new RegExp(`^outrigger: ${dir}: cannot be read: EISDIR`),
  },
  {
    name: "YAML that is none",
    args: () => ["proxy", "-c", file("broken.yaml", "static_resources:\n  listeners: [\n  clusters: 1\n")],
    code: 1,
    message: () => new RegExp(`^outrigger: ${path.join(dir, "broken.yaml")}:\\d+:\\d+: `),
  },
  {
    name: "JSON that is none",
    args: () => ["proxy", "-c", file("broken.json", '{\n "static_resources": {,}\n}\n')],
    code: 1,
    message: () => new RegExp(`^outrigger: ${path.join(dir, "broken.json")}:2:\\d+: `),
  },
  {
    name: "an unknown field",
    args: () => ["proxy", "-c", bootstrap("field.json", { ...SERVED, manager: { stat_prefix: "p", wings: 2 } })],
    code: 1,
    message: () => {
      const content = JSON.stringify(bootstrapOf({ ...SERVED, manager: { stat_prefix: "p", wings: 2 } }), null, 1);
      const place = placeOf("field.json", '"wings"', content);
      return new RegExp(`^outrigger: ${place}: listener "main": .*typed_config.wings: .* has no field "wings"$`);
    },
  },
  {
    name: "a route to nowhere, in validation too",
    args: () => [
      "proxy",
      "--mode",
      "validate",
      "-c",
      bootstrap("route.json", { ...SERVED, action: { cluster: "no" } }),
    ],
    code: 1,
    message: () => {
      const content = JSON.stringify(bootstrapOf({ ...SERVED, action: { cluster: "no" } }), null, 1);
      const place = placeOf("route.json", '"cluster": "no"', content);
      return new RegExp(`^outrigger: ${place}: listener "main": .*route.cluster: there is no cluster "no"$`);
    },
  },
  {
    name: "a listener's port in use",
    args: () => {
      const address = { socket_address: { address: "127.0.0.1", port_value: port } };
      return ["proxy", "-c", bootstrap("port.json", { ...SERVED, listener: { address } })];
    },
    code: 1,
    message: () =>
      `outrigger: listener "main": cannot bind 127.0.0.1:${port}: the address is in use by another process`,
  },
  {
    name: "an address that is not this machine's",
    args: () => {
      const address = { socket_address: { address: "192.0.2.1", port_value: 0 } };
      return ["proxy", "-c", bootstrap("address.json", { ...SERVED, listener: { address } })];
    },
    code: 1,
    message: () => 'outrigger: listener "main": cannot bind 192.0.2.1:0: this machine does not have that address',
  },
  {
    name: "the admin port in use",
    args: () => {
      const admin = { address: { socket_address: { address: "127.0.0.1", port_value: port } } };
      return ["proxy", "-c", bootstrap("admin.json", SERVED, { admin })];
    },
    code: 1,
    message: () => `outrigger: admin: cannot listen on 127.0.0.1:${port}: the port is in use`,
  },
  {
    name: "a key that is not there",
    args: () => [
      "proxy",
      "-c",
      bootstrap(
        "nokey.json",
        tls(() => path.join(dir, "none.pem")),
      ),
    ],
    code: 1,
    message: () => /nokey.json:\d+:\d+: cluster "up": .*private_key.filename: cannot read ".*none.pem"/,
  },
  {
    name: "a key that is unreadable",
    args: () => [
      "proxy",
      "-c",
      bootstrap(
        "badkey.json",
        tls(() => file("garbage.pem", "garbage")),
      ),
    ],
    code: 1,
    message: () => /badkey.json:\d+:\d+: cluster "up": .*private_key: is not a valid PEM private key/,
  },
  {
    name: "an access log that can't be opened",
    args: () => {
      const type = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";
      const log = { name: "file", typed_config: { "@type": type, path: path.join(dir, "no", "log") } };
      return ["proxy", "-c", bootstrap("log.json", { ...SERVED, manager: { access_log: [log] } })];
    },
    code: 1,
    message: () =>
      new RegExp(`^outrigger: listener "main": access log ${path.join(dir, "no", "log")} cannot be opened: ENOENT`),
  },
  {
    name: "a control plane's address that is none",
    args: () => ["sidecar", "--control-plane", "nowhere", "--service", "a", "--port", "80"],
    code: USAGE,
    message: () => 'outrigger: "nowhere" is no HOST:PORT',
  },
  {
    name: "a directory of manifests that is not there",
    args: () => ["control-plane", "--config", path.join(dir, "none"), "--xds-port", "0"],
    code: 1,
    message: () => `outrigger: manifest directory ${path.join(dir, "none")}: does not exist`,
  },
  {
    name: "a state directory that can't be made",
    args: () => ["control-plane", "--state", path.join(file("a-file", ""), "state")],
    code: 1,
    message: () => /^outrigger: the state directory .* cannot be made: ENOTDIR/,
  },
  {
    name: "the control plane's port in use",
    args: () => ["control-plane", "--xds-port", String(port), "--xds-tls-port", "0", "--status-port", "0"],
    code: 1,
    message: () => new RegExp(`^outrigger: .*127.0.0.1:${port}.*in use`),
  },
  {
    name: "a token without a control plane's state",
    args: () => ["token", "--service", "a", "--state", path.join(dir, "nothing")],
    code: 1,
    message: () => /^outrigger: .*nothing.*bundle.pem: cannot read the trust bundle: it does not exist/,
  },
];

describe("a wrong command line or configuration", { concurrency: 2 }, () => {
  for (const { name, args, code, message } of CASES) {
    test(name, async () => {
      const outcome = await run(args());
      assertClear(outcome, message());
      assert.equal(outcome.code, code, outcome.stderr);
      assert.equal(outcome.stdout, "");
    });
  }

  test("all that is wrong with a file is told at once", async () => {
    const config = { ...SERVED, manager: { wings: 1, stat_prefix: "p" }, cluster: { connect_timeout: "soon" } };
    const { code, stderr } = await run(["proxy", "--mode", "validate", "-c", bootstrap("two.json", config)]);
    assert.equal(code, 1);
    assert.match(stderr, /has no field "wings"/);
    assert.match(stderr, /connect_timeout/);
    assert.equal(stderr.trimEnd().split("\n").length, 2, stderr);
  });

  test("manifests are validated without being served: refusals are errors, findings are notes", async () => {
    const manifests = path.join(dir, "manifests");
    mkdirSync(manifests, { recursive: true });
    const file = path.join(manifests, "m.yaml");
    const validate = () => run(["control-plane", "--mode", "validate", "--config", manifests]);
    const service = (ports: string) =>
      `apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { ports: [${ports}] }\n`;
    writeFileSync(file, service("{ name: grpc, port: 80, appProtocol: tcp }"));
    const noted = await validate();
    assert.deepEqual([noted.code, noted.stderr], [0, ""]);
    assert.match(noted.stdout, /^note: m\.yaml:1: Service\/default\/a: port 80 is named "grpc".*\nmanifests in .* OK/);
    writeFileSync(file, service("{ port: 0 }"));
    const refused = await validate();
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^outrigger: m\.yaml:4:\d+: Service default\/a: spec\.ports\[0\]\.port: /);
  });

  test("--help and --version are no errors", async () => {
    for (const flag of ["--help", "--version"]) {
      const outcome = await run([flag]);
      assert.deepEqual([outcome.code, outcome.stderr], [0, ""]);
      assert.notEqual(outcome.stdout, "");
    }
  });
});
