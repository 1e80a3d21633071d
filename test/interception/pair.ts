/** Two workloads, a caller and a server whose ports are services, and the ways in which the one can reach the other. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { requireNamespaces } from "../support/network-namespace.ts";
import { skip } from "../support/tools.ts";
import { Capture } from "./capture.ts";
import type { Daemon } from "./daemon.ts";
import { Mesh } from "./mesh.ts";
import { type Host, Network } from "./network.ts";
import { postgresTool } from "./servers.ts";

/** A service of the server's: its own address in each family and one port. */
export interface PairService {
  readonly port: number;
  /** `appProtocol`. Absent: what it speaks is found out. */
  readonly protocol?: string;
}

export interface Pair {
  readonly network: Network;
  readonly client: Host;
  readonly server: Host;
  /** The caller's and the server's, once they have joined. */
  sidecars(): readonly Daemon[];
  /** Puts both into the mesh, with these services; everything that the server runs must listen by then. */
  join(services: Readonly<Record<string, PairService>>, manifests?: Readonly<Record<string, string>>): Promise<Mesh>;
}

/** Whether the test can go on: with what every topology needs, and with `tools`. */
export function requirePrograms(t: TestContext, ...tools: readonly string[]): boolean {
  const common = ["iptables", "setpriv", "tcpdump", "curl", "bash"];
  const programs = tools.filter((name) => name !== "postgres");
  if (!requireNamespaces(t, ...common, ...programs)) return false;
  return programs.length === tools.length || postgresTool("initdb") !== null || skip(t, "PostgreSQL is not installed");
}

/** The address of the service that was given as the `index`th. */
export function serviceAddress(index: number): Readonly<Record<4 | 6, string>> {
  return { 4: `10.96.0.${10 + index}`, 6: `fd96::${10 + index}` };
}

export function serviceManifest(name: string, { port, protocol }: PairService, index: number, app = "server"): string {
  const { 4: four, 6: six } = serviceAddress(index);
  const appProtocol = protocol === undefined ? "" : `, appProtocol: ${protocol}`;
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  clusterIP: ${four}
  clusterIPs: [${four}, "${six}"]
  selector: { app: ${app} }
  ports: [{ port: ${port}${appProtocol} }]
`;
}

export function makePair(t: TestContext): Pair {
  const network = new Network(t);
  const [client, server] = [network.host("client"), network.host("server")];
  let sidecars: readonly Daemon[] = [];
  return {
    network,
    client,
    server,
    sidecars: () => sidecars,
    async join(services, manifests = {}) {
      const entries = Object.entries(services);
      const text = entries.map(([name, service], index) => serviceManifest(name, service, index)).join("---");
      network.name(Object.fromEntries(entries.map(([name], index) => [name, serviceAddress(index)[4]])));
      const mesh = await Mesh.start(network, { services: text, ...manifests });
      sidecars = await mesh.join(
        { host: client, service: "client", port: 1 },
        {
          host: server,
          service: "server",
          port: entries[0]?.[1].port ?? 1,
          labels: ["app=server"],
          init: ["--exclude-interfaces", "eth1"],
        },
      );
      return mesh;
    },
  };
}

/** A real client that talks with a real server. */
export interface Conversation {
  readonly name: string;
  readonly service: string;
  /** Whether what it says can be read by whoever listens, where nobody encrypts it for it. */
  readonly clear: boolean;
  /** Also over IPv6. */
  readonly ipv6?: boolean;
  /** Talks with the server at an address, and says `marker` in doing so. */
  hold(client: Host, address: string, marker: string): Promise<void>;
}

/** Every conversation through both sidecars, where none of it may be read on the wire, and with a stranger, where it may. */
export async function holdAll(
  t: TestContext,
  { network, client, server }: Pair,
  services: readonly string[],
  conversations: readonly Conversation[],
): Promise<void> {
  const wires = { mesh: await Capture.start(server, "mesh"), outside: await Capture.start(server, "outside") };
  let said = 0;
  for (const { name, service, clear, ipv6 = false, hold } of conversations) {
    for (const family of ipv6 ? ([4, 6] as const) : ([4] as const)) {
      for (const way of ["mesh", "outside"] as const) {
        const title = way === "mesh" ? "through two sidecars" : "to a stranger";
        await t.test(`${name}, ${title}, IPv${family}`, async () => {
          const marker = `marker-${way}-${said++}-end`;
          const address = way === "mesh" ? serviceAddress(services.indexOf(service)) : server.addresses.outside;
          const before = wires[way].size;
          await hold(client, address[family], marker).catch((error: Error) => {
            throw new Error(`${error.message}\n${network.said()}`);
          });
          if (clear) assert.equal(await wires[way].saw(marker), way === "outside", "readable on the wire");
          else await wires[way].settled();
          assert.ok(wires[way].size > before + marker.length, "it came over this wire");
        });
      }
    }
  }
}
