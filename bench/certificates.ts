/** A CA and a certificate for each hop, made by Outrigger's own CA: the same files for every proxy. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { CertificateAuthority } from "../certs/ca.ts";
import { generateKeyPair, privateKeyToPem } from "../certs/key.ts";
import { systemClock } from "../core/clock.ts";

export interface HopCertificates {
  readonly roots: string;
  readonly chain: string;
  readonly key: string;
}

/** Writes `roots.pem`, `chain.pem` and `key.pem` into `dir` and returns their paths. */
export function makeCertificates(dir: string): HopCertificates {
  const ca = new CertificateAuthority({ stateDir: path.join(dir, "ca"), trustDomain: "bench", clock: systemClock });
  const keys = generateKeyPair();
  const issued = ca.issue(
    keys.publicKey,
    [
      { type: "uri", value: "spiffe://bench/ns/default/sa/hop" },
      { type: "dns", value: "hop.bench" },
    ],
    3_600_000,
  );
  const files = {
    roots: path.join(dir, "roots.pem"),
    chain: path.join(dir, "chain.pem"),
    key: path.join(dir, "key.pem"),
  };
  writeFileSync(files.roots, ca.bundle.get() ?? "");
  writeFileSync(files.chain, issued.chainPem);
  writeFileSync(files.key, privateKeyToPem(keys.privateKey), { mode: 0o600 });
  return files;
}
