/** `outrigger wait` against a control plane with sidecars: it comes back when they have accepted an object, and says why not. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { credentials } from "@grpc/grpc-js";
import { startControlClient } from "../control-client/client.ts";
import { controlPlaneTarget } from "../control-client/connect.ts";
import { sidecarBootstrap } from "../control-client/sidecar.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { SILENT } from "../control-plane/testing/silent.ts";
import { until } from "../control-plane/testing/until.ts";
import { metadataOf, serviceYaml, workload } from "../control-plane/testing/workloads.ts";
import { sleep, systemClock } from "../core/clock.ts";
import { systemRandom } from "../core/random.ts";
import { WORKLOAD_CERT, WORKLOAD_ROOTS } from "../model/tls.ts";

const LIMIT = { timeout: 60_000 };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Mesh {
  readonly control: ControlPlane;
  readonly stateDir: string;
  readonly write: (manifests: string) => void;
}

async function mesh(): Promise<Mesh> {
  const directory = mkdtempSync(path.join(os.tmpdir(), "outrigger-wait-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  const write = (manifests: string): void => writeFileSync(path.join(directory, "mesh.yaml"), manifests);
  write(serviceYaml("orders"));
  const ports = { xdsPort: 0, xdsTlsPort: 0, statusPort: 0 };
  const stateDir = mkdtempSync(path.join(os.tmpdir(), "outrigger-wait-state-"));
  cleanups.push(() => rmSync(stateDir, { recursive: true, force: true }));
  const control = await startControlPlane({ configDir: directory, stateDir, log: SILENT, ...ports });
  cleanups.push(() => control.close());
  return { control, stateDir, write };
}

function sidecar({ control }: Mesh, service: string): void {
  const given = workload(service);
  const locality = { region: "", zone: "", subZone: "" };
  const client = startControlClient({
    clock: systemClock,
    random: systemRandom,
    log: SILENT,
    version: "test",
    bootstrap: sidecarBootstrap({ id: given.id, cluster: given.service, locality, metadata: metadataOf(given) }),
    decode: { readFile: () => assert.fail("no file is named"), environment: {} },
    adsTargets: [controlPlaneTarget(control.addresses.xds, () => credentials.createInsecure())],
    localSecrets: new Set([WORKLOAD_CERT, WORKLOAD_ROOTS]),
  });
  cleanups.push(() => client.close());
}

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

function wait(...args: readonly string[]): Promise<Outcome> {
  const main = path.join(import.meta.dirname, "..", "cli", "main.ts");
  return new Promise((resolve) => {
    execFile(process.execPath, [main, "wait", ...args], { timeout: 50_000 }, (failure, out, error) => {
      resolve({ code: typeof failure?.code === "number" ? failure.code : failure ? -1 : 0, out, error });
    });
  });
}

const POLICY = `---
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: { name: limits }
spec: { targetRefs: [{ kind: Service, name: orders }], limits: { requests: 7 } }
`;

test("it comes back once every sidecar has what was not there when it was called", LIMIT, async () => {
  const made = await mesh();
  for (const service of ["cart", "shop"]) sidecar(made, service);
  const streams = () => made.control.status().workloads.filter(({ stream }) => stream?.upToDate);
  await until("both sidecars", () => streams().length === 2);
  const waiting = wait("resiliencepolicy/limits", "--control-plane", made.control.addresses.status);
  // It has asked, most likely; it does not matter if not.
  await sleep(systemClock, 300);
  made.write(serviceYaml("orders") + POLICY);
  const { code, out, error } = await waiting;
  assert.equal(error, "");
  assert.equal(code, 0);
  assert.match(
    out,
    /^ResiliencePolicy default\/limits \(revision [0-9a-f]{12}\) is in force at all 2 sidecars that it concerns, of 2\n$/,
  );
});

test("without further words it asks the control plane of this machine", LIMIT, async () => {
  const { control, stateDir } = await mesh();
  // As `outrigger control-plane` leaves it.
  writeFileSync(path.join(stateDir, "control-plane.json"), JSON.stringify(control.addresses));
  const { code, out, error } = await wait("service/orders", "--state", stateDir);
  assert.deepEqual([code, error], [0, ""]);
  assert.match(out, /^Service default\/orders \(revision \w+\) is in force \(it concerns none of the 0 sidecars/);
  const nowhere = await wait("service/orders", "--state", path.join(stateDir, "none"));
  assert.equal(nowhere.code, 2);
  assert.match(nowhere.error, /which control plane\?/);
});

test("at its end it says what is missing or wrong, and fails", LIMIT, async () => {
  const made = await mesh();
  const address = made.control.addresses.status;
  const absent = await wait("HTTPRoute/none", "-n", "shop", "--timeout", "1s", "--control-plane", address);
  assert.equal(absent.code, 1);
  assert.match(absent.error, /HTTPRoute shop\/none is not in force everywhere\n.*no such object is known/);
  made.write(serviceYaml("orders") + POLICY.replace("requests: 7", "requests: many"));
  await until("the refusal", () => made.control.status().manifests.rejected.length === 1);
  const refused = await wait("ResiliencePolicy/limits", "--timeout", "1s", "--control-plane", address);
  assert.equal(refused.code, 1);
  assert.match(refused.error, /mesh\.yaml:\d+:\d+: .*spec\.limits\.requests/);
  const bad = await wait("orders", "--control-plane", address);
  assert.deepEqual([bad.code, bad.error], [2, 'outrigger: "orders" is not KIND/NAME, as in HTTPRoute/orders\n']);
});
