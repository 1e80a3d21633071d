/** gRPC's own interoperability suite, client and server in Go, through two sidecars with mutual TLS between them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { goTool } from "../../scripts/go-tools.ts";
import { compareInterop, INTEROP_CASES, runInterop, startInteropServer } from "../../scripts/grpc-interop.ts";
import { LiveMesh } from "../support/live-mesh.ts";
import { skip } from "../support/tools.ts";

test("every case that passes without sidecars passes through two of them", async (t) => {
  const client = goTool("grpc-interop-client");
  const server = goTool("grpc-interop-server");
  if (client === null || server === null)
    return void skip(t, "gRPC's interop programs could not be built, which needs Go");
  const { direct, broken } = await compareInterop({ client, server });
  assert.equal(broken.map(({ name, output }) => `${name}:\n${output}`).join("\n"), "");
  // All of them pass without sidecars: else this test would show little.
  assert.deepEqual(
    direct.filter(({ passes }) => passes).map(({ name }) => name),
    INTEROP_CASES,
  );
});

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: interop }
spec: { selector: { app: interop }, ports: [{ name: grpc, port: 9000 }] }
`;

test("every case passes through a mesh as its control plane configures it", async (t) => {
  const client = goTool("grpc-interop-client");
  const program = goTool("grpc-interop-server");
  if (client === null || program === null)
    return void skip(t, "gRPC's interop programs could not be built, which needs Go");
  const server = await startInteropServer(program);
  t.after(() => server.stop());
  const mesh = await LiveMesh.start({ service: SERVICE }, [
    { name: "caller", service: "caller", port: 9 },
    { name: "interop", service: "interop", port: server.port },
  ]);
  t.after(() => mesh.stop());
  const outcomes = await runInterop(client, await mesh.addressFor("caller", "interop"));
  const failed = outcomes.filter(({ passes }) => !passes);
  assert.equal(failed.map(({ name, output }) => `${name}:\n${output}`).join("\n"), "");
});
