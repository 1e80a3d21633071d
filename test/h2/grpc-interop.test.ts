/** gRPC's own interoperability suite, client and server in Go, through two sidecars with mutual TLS between them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { goTool } from "../../scripts/go-tools.ts";
import { compareInterop, INTEROP_CASES } from "../../scripts/grpc-interop.ts";
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
