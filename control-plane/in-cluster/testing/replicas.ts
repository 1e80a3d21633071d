/** Control planes that share a CA's Secret, on simulated time. */
import { CertificateAuthority } from "../../../certs/ca.ts";
import { foundAuthority } from "../../../certs/founding.ts";
import { inspectCertificates } from "../../../certs/inspect.ts";
import { generateKeyPair } from "../../../certs/key.ts";
import type { RootRotationPolicy } from "../../../certs/root-rotation.ts";
import { SimulatedClock } from "../../../core/clock.ts";
import type { Logger } from "../../../core/log.ts";
import { seededRandom } from "../../../core/random.ts";
import { FakeCluster } from "../../kubernetes/testing/fake-cluster.ts";
import { CaSecret } from "../ca-secret.ts";
import { rotateRoots } from "../rotate-roots.ts";

export const SECRET = "/api/v1/namespaces/mesh/secrets/outrigger-ca";

export interface Replica {
  readonly secret: CaSecret;
  /** null: it has none yet. */
  readonly ca: CertificateAuthority | null;
  /** What it logged at warning or error. */
  readonly complaints: readonly string[];
  /** Leads from now on; returns the way to stop. */
  lead(policy: RootRotationPolicy): () => void;
}

export class Replicas {
  readonly cluster = new FakeCluster();
  readonly clock: SimulatedClock;
  readonly #open: CaSecret[] = [];

  /** `epoch`: Unix ms. */
  constructor(epoch?: number) {
    this.clock = new SimulatedClock(epoch);
  }

  add(trustDomain = "mesh.test"): Replica {
    const { cluster, clock } = this;
    const random = seededRandom(this.#open.length + 1);
    const complaints: string[] = [];
    const complain = (_: object, message: string): void => void complaints.push(message);
    const log: Logger = { debug() {}, info() {}, warn: complain, error: complain };
    const secret = new CaSecret({
      api: cluster,
      namespace: "mesh",
      name: "outrigger-ca",
      trustDomain,
      found: () => foundAuthority(trustDomain, clock.wallTime()),
      clock,
      random,
      log,
    });
    this.#open.push(secret);
    let ca: CertificateAuthority | null = null;
    secret.state.subscribe(({ content }) => {
      if (ca === null) ca = new CertificateAuthority({ content, trustDomain, clock });
      else ca.adopt(content);
    });
    secret.start();
    return {
      secret,
      get ca() {
        return ca;
      },
      complaints,
      lead(policy) {
        if (ca === null) throw new Error("there is no CA to lead");
        return rotateRoots({ secret, ca, policy, clock, random, log });
      },
    };
  }

  /** Lets what is under way come to rest. */
  settle(): Promise<void> {
    return this.clock.run(20, 1);
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((secret) => secret.close()));
  }
}

/** Ids of the roots, the signing one marked. */
export function rootsOf({ ca }: Replica): readonly string[] {
  return (ca?.roots() ?? []).map(({ id, active }) => (active ? `${id}*` : id));
}

/** A new leaf, and which root signed it. */
export function issued({ ca }: Replica): { readonly leafPem: string; readonly issuer: string } {
  if (ca === null) throw new Error("there is no CA");
  const { leafPem } = ca.issue(
    generateKeyPair().publicKey,
    [{ type: "uri", value: "spiffe://mesh.test/ns/a/sa/b" }],
    null,
  );
  return { leafPem, issuer: inspectCertificates(leafPem)[0]?.issuer ?? "" };
}
