/** Calls to oneself and to one instance: by service, by an address of one's own, by localhost; and loops that are made anyway. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Capture } from "./capture.ts";
import { Mesh } from "./mesh.ts";
import { type Host, Network } from "./network.ts";
import { requirePrograms, serviceAddress, serviceManifest } from "./pair.ts";
import { startApp } from "./servers.ts";

const PORT = 8080;
const HEADLESS = `
apiVersion: v1
kind: Service
metadata: { name: headless }
spec: { clusterIP: None, selector: { instances: are-called }, ports: [{ port: 9000, name: bytes }, { port: 9001, name: http-names }] }
`;

function get(from: Host, host: string, port: number, where: string): Promise<string> {
  return from.ask(["curl", "-sS", "--fail", "--max-time", "10", `http://${host}:${port}${where}`]);
}

test("calls to oneself and to one instance", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, one, other] = ["client", "one", "other"].map((name) => network.host(name)) as [Host, Host, Host];
  await Promise.all([
    startApp(one, `name:${PORT}:one`, "name:9001:one", "echo:9000", "smtp:2525"),
    startApp(other, "name:9001:other", "echo:9000"),
  ]);
  const services = ["one", "mail"].map((name, index) => {
    return serviceManifest(name, { port: name === "one" ? PORT : 2525 }, index, "one");
  });
  const mesh = await Mesh.start(network, { services: services.join("---"), headless: HEADLESS });
  await mesh.join(
    { host: client, service: "client", port: 1 },
    { host: one, service: "one", port: PORT, labels: ["instances=are-called"] },
    { host: other, service: "other", port: 9001, labels: ["instances=are-called"] },
  );
  const [service, mail] = [serviceAddress(0), serviceAddress(1)];

  await t.test("a program reaches itself, whatever it calls itself", async () => {
    for (const host of ["127.0.0.1", "[::1]", one.addresses.mesh[4], `[${one.addresses.mesh[6]}]`, service[4]]) {
      assert.equal(await get(one, host, PORT, "/a"), "one /a \n", host);
    }
    assert.equal(await get(one, `[${service[6]}]`, PORT, "/a"), "one /a \n");
    const greeting = await one.call(["curl", "-sSv", "--max-time", "10", `smtp://${mail[4]}:2525`]);
    assert.match(greeting.stderr, /< 220 greeting-of-the-mail-server/);
  });

  await t.test("who calls an instance gets that instance, encrypted", async () => {
    const wire = await Capture.start(one, "mesh");
    for (const family of [4, 6] as const) {
      for (const [name, host] of Object.entries({ one, other })) {
        const { [family]: address } = host.addresses.mesh;
        for (let i = 0; i < 3; i++) {
          const answer = await get(client, family === 4 ? address : `[${address}]`, 9001, "/marker-to-instance");
          assert.equal(answer, `${name} /marker-to-instance \n`);
        }
      }
    }
    assert.equal(await wire.saw("marker-to-instance"), false);
    // Bytes as well, and where no service but a headless one leads.
    for (const address of [one.addresses.mesh[4], one.addresses.mesh[6]]) {
      const script = `exec 3<>/dev/tcp/${address}/9000 && echo marker-of-bytes >&3 && head -n1 <&3`;
      assert.equal(await client.ask(["bash", "-c", script]), "marker-of-bytes\n");
    }
    assert.equal(await wire.saw("marker-of-bytes"), false);
  });

  await t.test("a loop that is made anyway is cut at once", async () => {
    for (const [from, url] of [
      [one, "http://127.0.0.1:15001/"],
      [one, "http://[::1]:15001/"],
      [client, `http://${one.addresses.mesh[4]}:15006/`],
    ] as const) {
      const { code } = await from.call(["curl", "-sS", "--fail", "--max-time", "5", url]);
      assert.ok(code !== 0 && code !== 28, `curl ended with ${code} at ${url}`);
    }
  });
});
