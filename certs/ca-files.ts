/**
 * A certificate authority as named texts, in files of a directory or entries of a Secret alike: `state.json` names the
 * roots and which of them signs, and each authority has a certificate and a key.
 */
import type { X509Certificate } from "node:crypto";
import { messageOf, UserError } from "../core/errors.ts";
import { type Authority, bundlePem, type CaContent, type CaRoot, type RootRecord } from "./ca-content.ts";
import { parseCertificates } from "./inspect.ts";
import { type KeyPair, keyPairFromPem, privateKeyToPem } from "./key.ts";

/** Where the texts are. */
export interface CaFiles {
  /** null: there is none of that name. `what` names the content in errors. */
  read(name: string, what: string): string | null;
  /** How errors call it: a path, an entry of a Secret. */
  place(name: string): string;
}

export const STATE_FILE = "state.json";
/** All roots that are trusted at present: for people and other processes, never read back. */
export const BUNDLE_FILE = "bundle.pem";

type Role = "root" | "intermediate";

export function certificateFile(id: string, role: Role): string {
  return `${id}.${role}.crt`;
}

export function keyFile(id: string, role: Role): string {
  return `${id}.${role}.key`;
}

interface CaState {
  readonly trustDomain: string;
  readonly active: string;
  readonly roots: readonly RootRecord[];
}

/** null: there is no authority yet. Throws a UserError, with the place, for what is missing, damaged or another's. */
export function readContent(files: CaFiles): CaContent | null {
  const text = files.read(STATE_FILE, "CA state");
  if (text === null) return null;
  let state: CaState;
  try {
    state = toState(JSON.parse(text));
  } catch (error) {
    throw problem(files, STATE_FILE, `the CA state is damaged: ${messageOf(error)}`);
  }
  const roots = state.roots.map(({ id, addedAt, activatedAt }): CaRoot => {
    const intermediate = readAuthority(files, id, "intermediate");
    return {
      id,
      addedAt,
      activatedAt,
      ...required(files, id),
      intermediate: intermediate && { ...intermediate, above: [] },
    };
  });
  return { trustDomain: state.trustDomain, active: state.active, roots, brought: false };
}

/** `state.json` of an authority that was made here. */
export function stateText({ trustDomain, active, roots }: CaContent): string {
  const records = roots.map(({ id, addedAt, activatedAt }) => ({ id, addedAt, activatedAt }));
  return `${JSON.stringify({ trustDomain, active, roots: records }, null, 2)}\n`;
}

/** All texts of an authority that was made here. Intermediates are left out: whoever signs makes its own. */
export function textsOf(content: CaContent): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const { id, pem, keys } of content.roots) {
    if (keys === null) throw new Error(`root ${id} was not made here`);
    texts[keyFile(id, "root")] = privateKeyToPem(keys.privateKey);
    texts[certificateFile(id, "root")] = pem;
  }
  return { ...texts, [STATE_FILE]: stateText(content), [BUNDLE_FILE]: bundlePem(content) };
}

function required(files: CaFiles, id: string): Authority {
  const authority = readAuthority(files, id, "root");
  if (authority === null) throw problem(files, certificateFile(id, "root"), `the certificate of root ${id} is missing`);
  return authority;
}

/** null: it does not exist. */
function readAuthority(files: CaFiles, id: string, role: Role): Authority | null {
  const [certificateName, keyName] = [certificateFile(id, role), keyFile(id, role)];
  const pem = files.read(certificateName, `${role} certificate`);
  if (pem === null) return null;
  const keyPem = files.read(keyName, `${role} key`);
  if (keyPem === null) throw problem(files, keyName, `cannot read the ${role} key: it does not exist`);
  let certificate: X509Certificate | undefined;
  try {
    [certificate] = parseCertificates(pem);
  } catch {
    certificate = undefined;
  }
  if (certificate === undefined) throw problem(files, certificateName, `the ${role} certificate is damaged`);
  let keys: KeyPair;
  try {
    keys = keyPairFromPem(keyPem);
  } catch {
    throw problem(files, keyName, `the ${role} key is damaged: it is not a private key in PEM`);
  }
  if (!certificate.checkPrivateKey(keys.privateKey)) {
    throw problem(files, keyName, `the ${role} key does not belong to ${files.place(certificateName)}`);
  }
  return { certificate, pem, keys };
}

function problem(files: CaFiles, name: string, message: string): UserError {
  return new UserError([{ message, file: files.place(name) }]);
}

function toState(json: unknown): CaState {
  const state = json as Partial<CaState> | null;
  const roots = state?.roots;
  const valid =
    typeof state?.trustDomain === "string" &&
    typeof state.active === "string" &&
    Array.isArray(roots) &&
    roots.every((root: Partial<RootRecord>) => /^[0-9a-f]+$/.test(root.id ?? "") && typeof root.addedAt === "number") &&
    roots.some((root) => root.id === state.active);
  if (!valid) throw new Error("fields are missing");
  return state as CaState;
}
