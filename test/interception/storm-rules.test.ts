/** No request is lost while rules are applied or removed, on the callers' side and on the server's. */
import { test } from "node:test";
import { intercept, Mesh } from "./mesh.ts";
import { Network } from "./network.ts";
import { requirePrograms } from "./pair.ts";
import { startApp } from "./servers.ts";
import { assertAllAnswered, storm } from "./storm.ts";

test("storms while rules change", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, server] = [network.host("client"), network.host("server")];
  await startApp(server, "name:8080:server");
  const mesh = await Mesh.start(network, {});
  await Promise.all([
    mesh.sidecar({ host: client, service: "client", port: 1 }),
    mesh.sidecar({ host: server, service: "server", port: 8080 }),
  ]);
  const url = `http://${server.addresses.mesh[4]}:8080`;
  for (const [side, host] of [
    ["client", client],
    ["server", server],
  ] as const) {
    for (const [what, flags] of [
      ["applied", []],
      ["applied again", ["--exclude-outbound-ports", "443"]],
      ["removed", ["--cleanup", "--drain-time-s", "3"]],
    ] as const) {
      await t.test(`the ${side}'s rules are ${what}`, async (t) => {
        const report = await storm(client, url, () => intercept(host, ...flags));
        assertAllAnswered(report);
        t.diagnostic(`the slowest took ${report.slowestMs} ms longer than the server`);
      });
    }
  }
});
