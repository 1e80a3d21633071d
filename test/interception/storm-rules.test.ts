/** No request is lost while rules are applied or removed, on the callers' side and on the server's. */
import { test } from "node:test";
import { intercept, Mesh } from "./mesh.ts";
import { Network } from "./network.ts";
import { requirePrograms } from "./pair.ts";
import { startApp } from "./servers.ts";
import { assertAllAnswered, storm } from "./storm.ts";

/** Who is not intercepted yet, or any more, calls in plaintext. */
const POLICY = `
apiVersion: outrigger.dev/v1alpha1
kind: MeshPolicy
metadata: { name: mesh }
spec: { mtls: { mode: PERMISSIVE } }
`;

test("storms while rules change", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, server, stranger] = [network.host("client"), network.host("server"), network.host("stranger")];
  await startApp(server, "name:8080:server");
  const mesh = await Mesh.start(network, { policy: POLICY });
  const workloads = [
    { host: client, service: "client", port: 1 },
    { host: server, service: "server", port: 8080 },
  ];
  await Promise.all(workloads.map((workload) => mesh.sidecar(workload)));
  await mesh.untilServing(workloads);
  const url = `http://${server.addresses.mesh[4]}:8080`;
  for (const [side, host, from] of [
    ["server", server, stranger],
    ["client", client, client],
  ] as const) {
    // Where the callers' rules change, those of the server are in force.
    if (side === "client") await intercept(server);
    for (const [what, flags] of [
      ["applied", []],
      ["applied again", ["--exclude-outbound-ports", "443"]],
      ["removed", ["--cleanup", "--drain-time-s", "15"]],
    ] as const) {
      await t.test(`the ${side}'s rules are ${what}`, async (t) => {
        const report = await storm(from, url, () => intercept(host, ...flags));
        t.diagnostic(`the slowest took ${report.slowestMs} ms longer than the server`);
        assertAllAnswered(report);
      });
    }
  }
});
