import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { targetConfig } from "./containerfile.ts";

const own = readFileSync(path.join(import.meta.dirname, "..", "..", "Containerfile"), "utf8");

test("both targets of the Containerfile are started the same way, as the sidecars' user", () => {
  const config = targetConfig(own, "outrigger");
  assert.equal(config.User, "1337:1337");
  assert.equal(config.WorkingDir, "/app");
  assert.deepEqual(config.Entrypoint, ["/usr/local/bin/node", "/app/dist/launcher.js"]);
  assert.deepEqual(config.Env, ["PATH=/usr/local/bin:/usr/sbin", "OUTRIGGER_STATE=/var/lib/outrigger"]);
  assert.deepEqual(targetConfig(own, "proxy"), config);
});

test("a target that isn't there, or does what only a builder can, is an error", () => {
  assert.throws(() => targetConfig(own, "build"), /no target "build"/);
  assert.throws(() => targetConfig("FROM scratch AS a\nRUN make\n", "a"), /RUN is not understood/);
});

test("a target ends where the next begins, and comments and continued lines are read as builders do", () => {
  const text = 'FROM scratch AS a\n# USER 0\nENV A=1 \\\n  B=2\nFROM scratch AS b\nUSER 5\nENTRYPOINT ["/b"]\n';
  assert.deepEqual(targetConfig(text, "a"), { User: "", Env: ["A=1", "B=2"], Entrypoint: [], WorkingDir: "/" });
  assert.deepEqual(targetConfig(text, "b"), { User: "5", Env: [], Entrypoint: ["/b"], WorkingDir: "/" });
});
