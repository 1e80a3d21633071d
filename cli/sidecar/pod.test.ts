import assert from "node:assert/strict";
import * as fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { parseWorkload } from "../../control-plane/registry/metadata.ts";
import { UserError } from "../../core/errors.ts";
import { podSurroundings } from "./pod.ts";
import { proofOf, workloadLabels } from "./pod-files.ts";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-pod-"));
after(() => fs.rmSync(dir, { recursive: true, force: true }));

test("without interception peers call the first address, and the program calls loopback", () => {
  const surroundings = podSurroundings({ address: ["10.0.0.7", "fd00::7"], appHealth: [] }, null);
  const { address, addresses, inboundPort, outboundPort, httpProxy, interception, loopback } = surroundings;
  assert.deepEqual([address, addresses, inboundPort, interception], ["10.0.0.7", [], 15_006, null]);
  assert.equal(httpProxy, "http://127.0.0.1:15001");
  const metadata = { service: "web", appPort: 80, address, inboundPort, outboundPort, loopback: { ...loopback } };
  assert.equal(parseWorkload("node", { OUTRIGGER: metadata }).ok, true);
});

test("without an address nobody could call it", () => {
  assert.throws(() => podSurroundings({ address: [], appHealth: [] }, null), UserError);
});

test("a pod shows its token each time, to whom the roots vouch for; others a join token", () => {
  const proof = proofOf({ tokenFile: "/t", rootsFile: "/r" }, () => assert.fail());
  assert.equal(proof.tokenAlways, true);
  assert.throws(proof.token, /\/t/);
  const joining = proofOf({}, () => "orj1");
  assert.deepEqual([joining.token(), joining.roots(), joining.tokenAlways], ["orj1", null, undefined]);
  assert.throws(() => proofOf({ tokenFile: "/t" }, () => ""), UserError);
  assert.throws(() => proofOf({ rootsFile: "/r" }, () => ""), UserError);
});

test("labels come from the downward API's file, and flags go before them", () => {
  const file = path.join(dir, "labels");
  fs.writeFileSync(file, 'app="web"\napp.kubernetes.io/part-of="shop"\nempty=""\npod-template-hash="7d4b"');
  assert.deepEqual(workloadLabels({ labelsFile: file, label: ["app=other", "x=a=b"] }), {
    app: "other",
    "app.kubernetes.io/part-of": "shop",
    empty: "",
    "pod-template-hash": "7d4b",
    x: "a=b",
  });
  assert.deepEqual(workloadLabels({ label: [] }), {});
  assert.throws(() => workloadLabels({ labelsFile: path.join(dir, "none"), label: [] }), UserError);
});
