/** TPROXY: whoever calls, by mutual TLS or in plaintext, IPv4 or IPv6, the application sees the caller's own address. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Mesh } from "./mesh.ts";
import { Network } from "./network.ts";
import { requirePrograms, serviceAddress, serviceManifest } from "./pair.ts";
import { startApp } from "./servers.ts";

const WEB = 7080;
const MAIL = 2525;
const SERVICES = `
${serviceManifest("web", { port: WEB }, 0)}
---
${serviceManifest("mail", { port: MAIL }, 1)}
---
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: mesh }
spec:
  mtls: { mode: PERMISSIVE }
`;

test("the application sees its callers' own addresses", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, stranger, server] = [network.host("client"), network.host("stranger"), network.host("server")];
  await startApp(server, `name:${WEB}:web`, `smtp:${MAIL}`);
  const mesh = await Mesh.start(network, { services: SERVICES });
  await mesh.join(
    { host: client, service: "client", port: 1 },
    { host: server, service: "web", port: WEB, labels: ["app=server"], tproxy: true },
  );
  const get = (url: string): readonly string[] => [
    "curl",
    "-sS",
    "--max-time",
    "10",
    "-o",
    "/dev/null",
    "-w",
    "%header{x-from}",
    url,
  ];
  const plain = (address: string): string => address.replace(/^::ffff:/, "");
  const url = (address: string): string =>
    address.includes(":") ? `http://[${address}]:${WEB}/` : `http://${address}:${WEB}/`;
  try {
    for (const family of [4, 6] as const) {
      await t.test(`a caller of the mesh, by the service's address, IPv${family}`, async () => {
        const from = plain(await client.ask(get(url(serviceAddress(0)[family]))));
        // The endpoint is known by its address of one family, and called from the caller's of that family.
        assert.ok([client.addresses.mesh[4], client.addresses.mesh[6]].includes(from), from);
      });

      await t.test(`a stranger in plaintext, IPv${family}`, async () => {
        for (let i = 0; i < 2; i++) {
          const from = plain(await stranger.ask(get(url(server.addresses.mesh[family]))));
          assert.equal(from, stranger.addresses.mesh[family]);
        }
      });

      await t.test(`the program itself, IPv${family}`, async () => {
        const from = plain(await server.ask(get(url(server.addresses.mesh[family]))));
        assert.ok(!from.startsWith("203.") && from !== "", from);
      });

      await t.test(`a server that speaks first, IPv${family}`, async () => {
        const address = server.addresses.mesh[family];
        const at = family === 6 ? `[${address}]` : address;
        const said = await stranger.call(["curl", "-sS", "--max-time", "10", `smtp://${at}:${MAIL}`, "-X", "NOOP"]);
        assert.equal(said.code, 0, said.stderr);
      });
    }

    await t.test("the program itself, by its service", async () => {
      assert.notEqual(await server.ask(get(url(serviceAddress(0)[4]))), "");
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${network.said()}`);
  }
});
