/**
 * Who may come in: a workload that takes mutual TLS alone (STRICT) and one that takes plaintext besides (PERMISSIVE),
 * called by a workload of the mesh and by a stranger; and what is left when interception is taken away.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { accessLog } from "./access-log.ts";
import { Capture } from "./capture.ts";
import { intercept, Mesh } from "./mesh.ts";
import { type Host, Network } from "./network.ts";
import { requirePrograms, serviceAddress, serviceManifest } from "./pair.ts";
import { PORTS, selfSigned, startApp, startNginx } from "./servers.ts";

const POLICIES = `
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: mesh }
spec:
  mtls: { mode: STRICT, ports: [{ port: 7082, mode: PERMISSIVE }, { port: 7083, mode: DISABLE }] }
  telemetry: { accessLog: { mode: On } }
---
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: lenient }
spec:
  targetRefs: [{ kind: Service, name: lenient }]
  mtls: { mode: PERMISSIVE }
`;

const PORT = 7080;
const SERVICES = ["strict", "lenient"] as const;

function get(from: Host, host: string, port: number, where: string): Promise<string> {
  return from.ask(["curl", "-sS", "--fail", "--max-time", "10", `http://${host}:${port}${where}`]);
}

/** curl's exit codes for a connection that ends without an answer. */
const CUT = [52, 56];

async function refused(from: Host, host: string, port: number, where: string): Promise<void> {
  const { code, stdout } = await from.call(["curl", "-sS", "--max-time", "10", `http://${host}:${port}${where}`]);
  assert.ok(CUT.includes(code ?? 0), `curl ended with ${code}: ${stdout}`);
}

/** Rules, routes and addresses, but for those that the kernel adds by itself a while after a device has come up. */
function stateOf({ space }: Host): string {
  return space.state().replaceAll(/^.*fe80::.*\n/gm, "");
}

test("who may come in", async (t) => {
  if (!requirePrograms(t, "nginx", "openssl")) return;
  const network = new Network(t);
  const [client, stranger, strict, lenient] = ["client", "stranger", "strict", "lenient"].map((name) =>
    network.host(name),
  ) as [Host, Host, Host, Host];
  const kinds = [PORT, 7081, 7082, 7083].map((port) => `name:${port}:`);
  const certificate = selfSigned(network.dir, "secure");
  await Promise.all([
    startApp(strict, ...kinds.map((kind) => `${kind}strict`)),
    startApp(lenient, `name:${PORT}:lenient`, "smtp:2525"),
    startNginx(lenient, certificate),
  ]);
  const before = [client, strict, lenient].map(stateOf);
  const services = SERVICES.map((name, index) => serviceManifest(name, { port: PORT }, index, name)).join("---");
  const mesh = await Mesh.start(network, { services, policies: POLICIES });
  const address = (index: number): string => serviceAddress(index)[4];
  const [, strictSidecar, lenientSidecar] = await mesh.join(
    { host: client, service: "client", port: 1 },
    { host: strict, service: "strict", port: PORT, sidecar: ["--probe", "7081/healthz"] },
    { host: lenient, service: "lenient", port: PORT },
  );
  assert.ok(strictSidecar && lenientSidecar);
  const at = { strict: strict.addresses.mesh[4], lenient: lenient.addresses.mesh[4] };

  await t.test("callers of the mesh reach both, encrypted", async () => {
    for (const [index, [name, host]] of Object.entries({ strict, lenient }).entries()) {
      const wire = await Capture.start(host, "mesh");
      assert.equal(await get(client, address(index), PORT, "/marker-of-the-mesh"), `${name} /marker-of-the-mesh \n`);
      assert.equal(await wire.saw("marker-of-the-mesh"), false);
      await get(stranger, at.lenient, PORT, "/marker-of-the-stranger");
      assert.equal(await wire.saw("marker-of-the-stranger"), name === "lenient");
    }
  });

  await t.test("plaintext to a STRICT port is refused, with a flag in the log", async () => {
    await refused(stranger, at.strict, PORT, "/refused");
    const line = await accessLog(strictSidecar, ({ downstream_remote_address: from }) =>
      `${from}`.startsWith(`${stranger.addresses.mesh[4]}:`),
    );
    assert.equal(line["response_flags"], "NR");
    assert.match(`${line["downstream_local_address"]}`, /:7080$/);
    // Where nobody has said anything of a port, the mode is the mesh's, too.
    await refused(stranger, at.strict, 9999, "/");
    await refused(stranger, `[${strict.addresses.mesh[6]}]`, PORT, "/");
  });

  await t.test("health probes pass in plaintext, and nothing else with them", async () => {
    assert.equal(await get(stranger, at.strict, 7081, "/healthz"), "strict /healthz \n");
    for (const where of ["/healthzz", "/orders"]) {
      const status = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", `http://${at.strict}:7081${where}`];
      assert.equal(await stranger.ask(status), "403");
      const line = await accessLog(strictSidecar, ({ path }) => path === where);
      assert.match(`${line["response_code_details"]}`, /rbac_access_denied/);
    }
  });

  await t.test("plaintext to a PERMISSIVE port is served, whatever it speaks", async () => {
    assert.equal(await get(stranger, at.lenient, PORT, "/a"), "lenient /a \n");
    assert.equal(await get(stranger, `[${lenient.addresses.mesh[6]}]`, PORT, "/a"), "lenient /a \n");
    assert.equal(await get(stranger, at.strict, 7082, "/a"), "strict /a \n");
    const greeting = await stranger.call(["curl", "-sSv", "--max-time", "10", `smtp://${at.lenient}:2525`]);
    assert.match(greeting.stderr, /< 220 greeting-of-the-mail-server/);
  });

  await t.test("the application's own TLS comes in untouched where plaintext may", async () => {
    const resolve = `secure:${PORTS.https}:${at.lenient}`;
    const command = ["curl", "-sS", "--max-time", "10", "--cacert", certificate.chain, "--resolve", resolve];
    assert.equal(await stranger.ask([...command, `https://secure:${PORTS.https}/a`]), "HTTP/2.0 /a \n");
  });

  await t.test("where mutual TLS is disabled everybody speaks plaintext", async () => {
    assert.equal(await get(stranger, at.strict, 7083, "/a"), "strict /a \n");
    assert.equal(await get(client, at.strict, 7083, "/a"), "strict /a \n");
  });

  await t.test("nothing is left when interception is taken away", async () => {
    for (const host of [client, strict, lenient]) {
      const out = await intercept(host, "--cleanup", "--drain-time-s", "0.1");
      assert.equal(out, "interception is removed\n");
    }
    assert.deepEqual([client, strict, lenient].map(stateOf), before);
    assert.equal(await get(stranger, at.strict, PORT, "/a"), "strict /a \n");
  });
});
