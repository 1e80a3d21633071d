/** A sidecar that starts where rules are missing, or lead to somebody else, says so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { intercept, outrigger, SIDECAR } from "./mesh.ts";
import { Network } from "./network.ts";
import { requirePrograms } from "./pair.ts";

const WARNING = /connections to 10\.77\.0\.2:8080 don't come to the sidecar: were rules made here for its user\?/;

test("a sidecar says whether rules lead to it", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const host = network.host("workload");
  /** What it says until it has looked. There is no control plane. */
  const said = async (): Promise<string> => {
    const flags = ["--control-plane", "127.0.0.1:1", "--service", "workload", "--port", "8080"];
    const command = outrigger("sidecar", ...flags, "--interception", "redirect");
    const launch = { user: SIDECAR, env: { HOME: network.dir } };
    const sidecar = network.daemon(host.space, "sidecar", command, launch);
    await sidecar.until(/waiting for the control plane|cannot be had/);
    await sidecar.end("SIGKILL");
    return sidecar.output;
  };
  assert.match(await said(), WARNING);
  for (const flags of [[], ["--include-inbound-ports", "8080"]]) {
    await intercept(host, ...flags);
    assert.doesNotMatch(await said(), WARNING);
  }
  await intercept(host, "--include-inbound-ports", "9090");
  assert.match(await said(), WARNING);

  const program = ["-e", "require('node:net').createServer().listen(15006)"];
  const other = host.serve("another", process.execPath, ...program);
  await other.untilListening(15_006);
  assert.match(
    await said(),
    /the port 15006, to which rules lead, cannot be had: it is in use: is another sidecar here\?/,
  );
});
