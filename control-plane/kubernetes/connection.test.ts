import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { UserError } from "../../core/errors.ts";
import { inClusterConnection, kubeconfigConnection } from "./connection.ts";

const environment = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

test("a pod's own account is used, and its token read again before it expires", async () => {
  const mount = mkdtempSync(path.join(os.tmpdir(), "outrigger-account-"));
  try {
    writeFileSync(path.join(mount, "ca.crt"), "roots");
    writeFileSync(path.join(mount, "token"), "first\n");
    const clock = new SimulatedClock();
    const connection = inClusterConnection({ environment, clock, mount });
    assert.equal(connection.server.href, "https://10.96.0.1/");
    const authorization = async () => {
      const { headers, ca } = await connection.credentials();
      assert.equal(String(ca), "roots");
      return JSON.stringify(headers);
    };
    assert.match(await authorization(), /Bearer first"/);
    writeFileSync(path.join(mount, "token"), "second");
    assert.match(await authorization(), /Bearer first"/);
    clock.advance(61_000);
    assert.match(await authorization(), /Bearer second"/);
    rmSync(path.join(mount, "token"));
    clock.advance(61_000);
    await assert.rejects(connection.credentials(), /cannot read this pod's service account/);
  } finally {
    rmSync(mount, { recursive: true, force: true });
  }
});

test("an IPv6 address of the API server is one", () => {
  const connection = inClusterConnection({
    environment: { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" },
    clock: new SimulatedClock(),
  });
  assert.equal(connection.server.href, "https://[fd00::1]:6443/");
});

test("outside of a pod it is said what is missing", async () => {
  assert.throws(() => inClusterConnection({ environment: {}, clock: new SimulatedClock() }), UserError);
  await assert.rejects(kubeconfigConnection("/nowhere/kubeconfig"), UserError);
});
