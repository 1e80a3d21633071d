import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { ApiError } from "../../control-plane/kubernetes/api.ts";
import { hasKubectl, kubectlApi } from "./kubectl.ts";

const { signal } = new AbortController();
const LIMIT = { timeout: 60_000 };

/** A program that says what kubectl would. */
function program(t: { after(cleanup: () => void): void }, script: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "outrigger-kubectl-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, "kubectl");
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

test("an object is what kubectl prints of its path", LIMIT, async (t) => {
  const kubectl = program(t, `printf '{"args":"%s"}' "$*"`);
  assert.equal(await hasKubectl(kubectl), true);
  const answer = await kubectlApi(kubectl).call({ method: "GET", path: "/api/v1/pods?a=b" }, signal);
  assert.deepEqual(answer, { args: "get --raw /api/v1/pods?a=b" });
});

test("what kubectl complains of is an error with the server's reason", LIMIT, async (t) => {
  const kubectl = program(t, `echo 'Error from server (NotFound): pods "x" not found' >&2; exit 1`);
  await assert.rejects(kubectlApi(kubectl).call({ method: "GET", path: "/x" }, signal), (error: ApiError) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.reason], [404, "NotFound"]);
    assert.match(error.message, /pods "x" not found/);
    return true;
  });
  const broken = program(t, "echo 'error: no context' >&2; exit 1");
  await assert.rejects(kubectlApi(broken).call({ method: "GET", path: "/x" }, signal), /no context/);
});

test("a kubectl that hangs is ended", LIMIT, async (t) => {
  const kubectl = program(t, "exec sleep 50");
  const abort = new AbortController();
  const asked = kubectlApi(kubectl).call({ method: "GET", path: "/x" }, abort.signal);
  abort.abort(new Error("no answer within 5 ms"));
  await assert.rejects(asked, /no answer within 5 ms/);
});

test("no kubectl is no kubectl", async () => {
  assert.equal(await hasKubectl("/nowhere/kubectl"), false);
});
