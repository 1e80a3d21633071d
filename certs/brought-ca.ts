/**
 * An authority that somebody brought: a certificate that may sign others, its key, what is above it, and the roots that
 * are to be trusted. Under the names that Istio's users know (`cacerts`), or those of a `kubernetes.io/tls` Secret.
 */
import type { X509Certificate } from "node:crypto";
import { UserError } from "../core/errors.ts";
import type { CaContent, CaRoot } from "./ca-content.ts";
import type { CaFiles } from "./ca-files.ts";
import { parseCertificates } from "./inspect.ts";
import { subjectOf } from "./issuer.ts";
import { type KeyPair, keyPairFromPem } from "./key.ts";
import { chainEndsIn, clockProblem } from "./workload-certificate.ts";

interface Names {
  /** Who signs; of `kubernetes.io/tls` what is above it follows. */
  readonly certificate: string;
  readonly key: string;
  /** What is above it, the nearest first; it may begin with itself and end with a root. */
  readonly chain: string | null;
  /** The trusted roots; not needed where the certificate is one. */
  readonly roots: string;
}

const ISTIO: Names = {
  certificate: "ca-cert.pem",
  key: "ca-key.pem",
  chain: "cert-chain.pem",
  roots: "root-cert.pem",
};
const TLS: Names = { certificate: "tls.crt", key: "tls.key", chain: null, roots: "ca.crt" };

/** Of RSA; below, OpenSSL's security level 1 refuses as well. */
const SHORTEST_RSA_BITS = 2048;

/**
 * null: there is none. `now`: Unix ms. Throws a UserError, with the place, for a key of another certificate, for one
 * that may not sign or is not valid now, and for a chain that ends in none of the roots.
 */
export function readBroughtCa(files: CaFiles, trustDomain: string, now: number): CaContent | null {
  // An entry that is empty, as a chain of nothing is, counts as none.
  const textOf = (name: string, what: string): string | null => files.read(name, what)?.trim() || null;
  const names = [ISTIO, TLS].find(({ certificate, key }) => textOf(certificate, "") ?? textOf(key, ""));
  if (names === undefined) return null;
  const complain = (name: string, message: string): never => {
    throw new UserError([{ message, file: files.place(name) }]);
  };
  const given = (name: string, what: string): string => textOf(name, what) ?? complain(name, `the ${what} is missing`);
  const certificates = (name: string, pem: string): X509Certificate[] => {
    try {
      const found = parseCertificates(pem);
      if (found.length > 0) return found;
    } catch {
      // Told like a text without certificates.
    }
    return complain(name, "it holds no certificate in PEM that can be read");
  };

  const [signer, ...below] = certificates(names.certificate, given(names.certificate, "CA's certificate"));
  if (signer === undefined) return null;
  const keys = keyOf(given(names.key, "CA's key"), (message) => complain(names.key, message));
  if (!signer.checkPrivateKey(keys.privateKey)) {
    complain(names.key, `the key does not belong to the certificate in ${files.place(names.certificate)}`);
  }
  if (!signer.ca)
    complain(names.certificate, "the certificate may not sign others: it is not a CA's (basicConstraints)");
  const invalid = clockProblem(
    { notBefore: signer.validFromDate.getTime(), notAfter: signer.validToDate.getTime() },
    now,
  );
  if (invalid !== null) complain(names.certificate, invalid);
  try {
    subjectOf(signer);
  } catch {
    complain(names.certificate, "the certificate is not in strict DER");
  }

  const chainText = names.chain === null ? null : textOf(names.chain, "chain");
  const chain = [...below, ...(names.chain === null || chainText === null ? [] : certificates(names.chain, chainText))];
  const isRoot = signer.checkIssued(signer);
  const rootsText = textOf(names.roots, "roots");
  if (rootsText === null && !isRoot) complain(names.roots, "the roots are missing: the certificate is not one itself");
  const roots = rootsText === null ? [signer] : certificates(names.roots, rootsText);
  const between = chain.filter((one) => !same(one, signer) && !roots.some((root) => same(one, root)));
  const active = roots.find((root) => chainEndsIn(signer, between, [root]));
  if (active === undefined) {
    return complain(names.certificate, `its chain ends in none of the roots in ${files.place(names.roots)}`);
  }
  const signing = { certificate: signer, pem: signer.toString(), keys };
  return {
    trustDomain,
    active: idOf(active),
    brought: true,
    roots: roots.map((root): CaRoot => {
      const own = same(root, signer);
      const addedAt = root.validFromDate.getTime();
      const above = between.map(String);
      return {
        id: idOf(root),
        addedAt,
        activatedAt: root === active ? addedAt : null,
        certificate: root,
        pem: root.toString(),
        keys: own ? keys : null,
        intermediate: root === active && !own ? { ...signing, above } : null,
      };
    }),
  };
}

function keyOf(pem: string, complain: (message: string) => never): KeyPair {
  let keys: KeyPair;
  try {
    keys = keyPairFromPem(pem);
  } catch {
    return complain("it is no private key in PEM, or one with a password");
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = keys.privateKey;
  if (type !== "ec" && type !== "rsa") complain(`a key of type ${type} cannot sign here: EC or RSA is needed`);
  const bits = details?.modulusLength ?? SHORTEST_RSA_BITS;
  if (bits < SHORTEST_RSA_BITS) complain(`an RSA key of ${bits} bits is too short: ${SHORTEST_RSA_BITS} is the least`);
  return keys;
}

function same(one: X509Certificate, other: X509Certificate): boolean {
  return one.fingerprint256 === other.fingerprint256;
}

function idOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").slice(0, 8).toLowerCase();
}
