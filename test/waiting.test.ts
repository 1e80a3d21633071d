/** A process whose control plane is away waits for it, as long as it takes, and still ends when it is told to. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";

const MAIN = path.join(import.meta.dirname, "..", "cli", "main.ts");

const BOOTSTRAP = (port: number) => ({
  node: { id: "waiting", cluster: "waiting" },
  dynamic_resources: {
    ads_config: {
      api_type: "GRPC",
      transport_api_version: "V3",
      grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
    },
    lds_config: { ads: {} },
    cds_config: { ads: {} },
  },
  static_resources: {
    clusters: [
      {
        name: "xds",
        http2_protocol_options: {},
        load_assignment: {
          cluster_name: "xds",
          endpoints: [
            {
              lb_endpoints: [{ endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } }],
            },
          ],
        },
      },
    ],
  },
});

/** Counts the connections that come and resets each: a control plane that is there and never answers. */
async function deadEnd(): Promise<{ port: number; attempts: (count: number) => Promise<void>; close: () => void }> {
  let seen = 0;
  const server = net.createServer((socket) => {
    seen++;
    server.emit("attempt");
    socket.resetAndDestroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    attempts: async (count) => {
      while (seen < count) await once(server, "attempt");
    },
    close: () => server.close(),
  };
}

for (const [name, args] of [
  ["proxy", (port: number) => ["proxy", "--config-yaml", JSON.stringify(BOOTSTRAP(port))]],
  ["sidecar", (port: number) => ["sidecar", "--control-plane", `127.0.0.1:${port}`, "--service", "a", "--port", "1"]],
] as const) {
  test(`outrigger ${name} waits for its control plane`, async () => {
    const controlPlane = await deadEnd();
    const state = mkdtempSync(path.join(os.tmpdir(), "outrigger-waiting-"));
    const env = { ...process.env, OUTRIGGER_STATE: state };
    const child = spawn(process.execPath, [MAIN, ...args(controlPlane.port)], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    child.stderr.on("data", (data) => {
      log += data;
    });
    const exit = once(child, "exit");
    try {
      const waited = name === "proxy" ? controlPlane.attempts(4) : logged(child.stderr, "it is tried again", 3);
      assert.equal(await Promise.race([waited, exit]), undefined, `it ended: ${log}`);
    } finally {
      child.kill("SIGTERM");
      await exit;
      controlPlane.close();
      rmSync(state, { recursive: true, force: true });
    }
  });
}

/** Resolves when `text` has come `times` times. */
async function logged(stream: NodeJS.ReadableStream, text: string, times: number): Promise<void> {
  let seen = "";
  while (seen.split(text).length <= times) seen += (await once(stream, "data"))[0];
}
