/** A real API server by kubeconfig files, with the ways to say who one is that people's clusters have. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { testAuthority } from "../../control-client/testing/certificates.ts";
import { kubeconfigConnection } from "../../control-plane/kubernetes/connection.ts";
import { HttpApi } from "../../control-plane/kubernetes/http-api.ts";
import { UserError } from "../../core/errors.ts";
import { type KubeApiServer, sharedKubeApi } from "../support/kube-api.ts";
import { KubeClient } from "../support/kube-client.ts";
import { requireKubeconfigPackage } from "../support/kube-config.ts";

const kube = sharedKubeApi();

function folder(t: TestContext): string {
  const created = mkdtempSync(path.join(tmpdir(), "outrigger-kubeconfig-"));
  t.after(() => rmSync(created, { recursive: true, force: true }));
  return created;
}

async function place(t: TestContext): Promise<KubeApiServer | null> {
  const server = kube(t);
  return server !== null && (await requireKubeconfigPackage(t)) ? server : null;
}

/** Who the API server takes the user of a kubeconfig file for. */
async function whoIs(t: TestContext, file: string): Promise<unknown> {
  const api = new HttpApi({ connection: await kubeconfigConnection(file), userAgent: "outrigger-test" });
  t.after(() => api.close());
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const client = new KubeClient(api);
  const { status } = await client.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review);
  return (status as { userInfo: { username: unknown } }).userInfo.username;
}

test("by client certificate", async (t) => {
  const server = await place(t);
  if (server === null) return;
  const { cert, key } = server.clientCertificate("system:masters", "somebody");
  const data = { "client-certificate-data": cert, "client-key-data": key };
  const base64 = Object.fromEntries(
    Object.entries(data).map(([name, pem]) => [name, Buffer.from(pem).toString("base64")]),
  );
  assert.equal(await whoIs(t, server.kubeconfig("data", base64)), "somebody");
  const dir = folder(t);
  writeFileSync(path.join(dir, "client.crt"), cert);
  writeFileSync(path.join(dir, "client.key"), key);
  const files = { "client-certificate": path.join(dir, "client.crt"), "client-key": path.join(dir, "client.key") };
  assert.equal(await whoIs(t, server.kubeconfig("files", files)), "somebody");
});

test("by token, and by a program that gives one", async (t) => {
  const server = await place(t);
  if (server === null) return;
  await server.admin.namespace("tokens");
  const token = await server.admin.token("tokens", "default");
  const name = "system:serviceaccount:tokens:default";
  assert.equal(await whoIs(t, server.kubeconfig("token", { token })), name);
  const dir = folder(t);
  const credential = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status: { token } };
  const program = path.join(dir, "login");
  writeFileSync(program, `#!/bin/sh\ncat <<'END'\n${JSON.stringify(credential)}\nEND\n`);
  chmodSync(program, 0o755);
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: program, interactiveMode: "Never" };
  assert.equal(await whoIs(t, server.kubeconfig("exec", { exec })), name);
});

test("a server whose certificate is of another CA is told nothing", async (t) => {
  const server = await place(t);
  if (server === null) return;
  const file = server.kubeconfig("user", { token: "secret" });
  const other = testAuthority(Date.now()).roots;
  const text = readFileSync(file, "utf8");
  const [, ours = ""] = /"certificate-authority-data":"([^"]+)"/.exec(text) ?? [];
  writeFileSync(file, text.replace(ours, Buffer.from(other).toString("base64")));
  await assert.rejects(whoIs(t, file), /certificate/);
});

test("a file that names no cluster is refused as such", async (t) => {
  if (!(await requireKubeconfigPackage(t))) return;
  const dir = folder(t);
  for (const [name, text] of Object.entries({ empty: "", text: "no: yaml: at all", list: "[]", none: "{}" })) {
    writeFileSync(path.join(dir, name), text);
    await assert.rejects(kubeconfigConnection(path.join(dir, name)), UserError, name);
  }
});
