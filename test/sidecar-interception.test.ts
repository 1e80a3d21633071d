/** `outrigger sidecar --interception`: what it says where something is missing, by which ports it is reached, whom it starts. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { Mesh, outrigger, SIDECAR } from "./interception/mesh.ts";
import { NETWORK, Network, NOBODY } from "./interception/network.ts";
import { requirePrograms, serviceAddress, serviceManifest } from "./interception/pair.ts";

/** Answers HTTP requests with whom it takes for the caller. */
const SERVER = `
require("http").createServer((request, response) => response.end(request.socket.remoteAddress)).listen(8080, "::");
`;

async function token(network: Network, service: string): Promise<string> {
  const [node = "", ...args] = outrigger(
    "token",
    "--service",
    service,
    "--state",
    path.join(network.dir, "control-plane"),
  );
  return (await promisify(execFile)(node, args)).stdout.trim();
}

test("a sidecar says where there are no rules for it, and is reached by its usual ports", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [ruled, bare] = [network.host("ruled"), network.host("bare")];
  const mesh = await Mesh.start(network, {});
  const withRules = { host: ruled, service: "ruled", port: 8080 };
  const without = { host: bare, service: "bare", port: 8080 };
  const { code, stderr } = await ruled.space.exec(outrigger("init"));
  assert.equal(code, 0, stderr);
  const [one, other] = await Promise.all([mesh.sidecar(withRules), mesh.sidecar(without)]);
  await mesh.untilServing([withRules, without]);
  const address = bare.addresses.mesh[4];
  const warning = `connections to ${address}:8080 don't come to the sidecar`;
  assert.ok(other.output.includes(warning), other.output);
  assert.match(other.output, /outrigger init --proxy-uid 1337\)/);
  assert.doesNotMatch(one.output, /don't come to the sidecar/);

  // Health and metrics are for everybody, also where rules lead all else to the sidecar; the admin interface is not.
  const from = bare;
  for (const host of [ruled.addresses.mesh[4], `[${ruled.addresses.mesh[6]}]`]) {
    assert.match(await from.ask(["curl", "-sSf", "-m", "30", `http://${host}:15020/metrics`]), /^outrigger_/m);
    await from.ask(["curl", "-sSf", "-m", "30", `http://${host}:15021/healthz/ready`]);
    assert.notEqual((await from.call(["curl", "-sS", "-m", "30", `http://${host}:15000/ready`])).code, 0);
  }
  assert.equal(await ruled.ask(["curl", "-sS", "-m", "30", "http://127.0.0.1:15000/ready"]), "LIVE\n");

  const second = await mesh.sidecar({ host: bare, service: "second", port: 9090 });
  assert.equal(await second.ended(), 1);
  assert.match(second.output, /^outrigger: the port 15006, to which rules lead, cannot be had: .*another sidecar/m);
});

test("a sidecar starts its program as another user, whose calls are intercepted", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, server] = [network.host("client"), network.host("server")];
  const mesh = await Mesh.start(network, { services: serviceManifest("server", { port: 8080, protocol: "http" }, 0) });
  server.serve("server", process.execPath, "-e", SERVER);
  await mesh.join({ host: server, service: "server", port: 8080, labels: ["app=server"] });
  // Root is needed to become somebody else, so that the sidecar is known by its group.
  const init = await client.space.exec(outrigger("init", "--proxy-gid", `${SIDECAR}`));
  assert.equal(init.code, 0, init.stderr);
  const script = `echo "I am $(id -u):$(id -g)"; curl -sS -m 30 http://${serviceAddress(0)[4]}:8080/; echo; exit 4`;
  const sidecar = network.daemon(client.space, "client's sidecar", [
    ...["setpriv", "--regid", `${SIDECAR}`, "--clear-groups"],
    ...outrigger("sidecar", "--control-plane", `${NETWORK.mesh[4]}:15012`, "--state", path.join(network.dir, "client")),
    ...["--service", "client", "--port", "1", "--join-token", await token(network, "client")],
    ...["--interception", "redirect", "--user", `${NOBODY}:${NOBODY}`, "--", "sh", "-c", script],
  ]);
  assert.equal(await sidecar.ended(), 4, sidecar.output);
  assert.match(sidecar.output, new RegExp(`^I am ${NOBODY}:${NOBODY}$`, "m"));
  assert.match(sidecar.output, /^(::ffff:)?127\.0\.0\.6$/m);
  assert.doesNotMatch(sidecar.output, /own user|don't come/);
});

test("a control plane with another trust domain is joined from another machine", async (t: TestContext) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const host = network.host("far");
  const state = path.join(network.dir, "control-plane");
  const control = ["control-plane", "--state", state, "--host", NETWORK.mesh[4], "--trust-domain", "far.example"];
  const controlPlane = network.daemon(network.space, "control-plane", outrigger(...control));
  await controlPlane.untilListening(15_014);
  const flags = ["--service", "far", "--state", state, "--trust-domain", "far.example"];
  const [node = "", ...args] = outrigger("token", ...flags);
  const { stdout } = await promisify(execFile)(node, args);
  const script = "echo joined";
  const sidecar = network.daemon(host.space, "sidecar", [
    ...outrigger("sidecar", "--control-plane", `${NETWORK.mesh[4]}:15012`, "--join-token", stdout.trim()),
    ...["--service", "far", "--port", "8080", "--trust-domain", "far.example", "--interception", "redirect"],
    ...["--state", path.join(network.dir, "far"), "--", "sh", "-c", script],
  ]);
  assert.equal(await sidecar.ended(), 0, sidecar.output);
  assert.match(sidecar.output, /^joined$/m);
  // It is the sidecar's own user, who has no rules: both are said.
  assert.match(sidecar.output, /the program runs as the sidecar's own user/);
});
