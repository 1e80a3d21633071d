/** Some hundred of the simulated sidecars, a process of its own: gets their certificates, connects them, tells what they hear. */
import type { ChannelCredentials } from "@grpc/grpc-js";
import { createCsr } from "../../certs/csr.ts";
import { generateKeyPair, privateKeyToPem } from "../../certs/key.ts";
import { caIssuer } from "../../control-client/ca/ca-client.ts";
import { controlPlaneCredentials } from "../../control-client/ca/channel-credentials.ts";
import { systemClock } from "../../core/clock.ts";
import { formatIdentity } from "../../model/identity.ts";
import { sidecarPlace } from "./content.ts";
import { type FromSidecars, now, type SidecarsStart, type ToSidecars } from "./messages.ts";
import { BenchSidecar, type Tally } from "./sidecar.ts";

const tally: Tally = { bytes: 0, resources: 0, lastAt: 0, errors: [] };
const sidecars: BenchSidecar[] = [];
/** Who has to hear of which cluster's endpoints, and when those that have did. */
let expected: { readonly cluster: string; readonly missing: Set<BenchSidecar>; readonly at: number[] } | null = null;

function tell(message: FromSidecars): void {
  process.send?.(message);
}

/** One certificate for each namespace: its sidecars have one service account. */
async function certify({ size, from, to, port, roots }: SidecarsStart): Promise<Map<string, ChannelCredentials>> {
  const credentials = new Map<string, ChannelCredentials>();
  for (let index = from; index < to; index++) {
    const { namespace, serviceAccount } = sidecarPlace(index, size);
    if (credentials.has(namespace)) continue;
    const token = Buffer.from(`${namespace}/${serviceAccount}`).toString("base64url");
    const issue = caIssuer({
      host: "127.0.0.1",
      port,
      spiffeId: null,
      token: () => `eyJ0.${token}.AA`,
      tokenAlways: true,
      roots: () => roots,
      certificate: () => undefined,
      clock: systemClock,
    });
    const keys = generateKeyPair();
    const id = formatIdentity({ trustDomain: "cluster.local", namespace, serviceAccount });
    const { chain } = await issue(createCsr(keys, [{ type: "uri", value: id }]), null);
    const certificate = { chainPem: chain, keyPem: privateKeyToPem(keys.privateKey) };
    credentials.set(namespace, controlPlaneCredentials({ rootsPem: roots, spiffeId: null }, certificate));
  }
  return credentials;
}

async function start(given: SidecarsStart): Promise<void> {
  const credentials = await certify(given);
  tell({ kind: "certified" });
  for (let index = given.from; index < given.to; index++) {
    const place = sidecarPlace(index, given.size);
    const own = credentials.get(place.namespace);
    if (own === undefined) throw new Error(`no certificate for ${place.namespace}`);
    const target = `ipv4:127.0.0.1:${given.port}`;
    sidecars.push(new BenchSidecar({ place, target, credentials: own, tally, now, onEndpoints }));
  }
}

function onEndpoints(sidecar: BenchSidecar, clusters: readonly string[]): void {
  if (expected === null || !clusters.includes(expected.cluster)) return;
  if (!expected.missing.delete(sidecar)) return;
  expected.at.push(now());
  if (expected.missing.size === 0) tell({ kind: "heard", cluster: expected.cluster, at: expected.at });
}

process.on("message", (message: ToSidecars) => {
  switch (message.kind) {
    case "start":
      start(message.start).catch((error: unknown) => {
        tally.errors.push(String(error));
      });
      return;
    case "expect": {
      const { cluster } = message;
      expected = { cluster, missing: new Set(sidecars.filter((one) => one.knows(cluster))), at: [] };
      if (expected.missing.size === 0) tell({ kind: "heard", cluster, at: [] });
      return;
    }
    case "count": {
      const { bytes, resources, lastAt, errors } = tally;
      const served = sidecars.filter((one) => one.served).length;
      tell({ kind: "count", served, lastAt, bytes, resources, errors: errors.splice(0).slice(0, 3) });
    }
  }
});
process.on("disconnect", () => process.exit(0));
