/**
 * Where the certificate authority lives on disk: one state file that names the roots and which of them signs, and a
 * certificate and key file for each authority. The state file is written last, so it never names what is not there.
 */
import type { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import path from "node:path";
import { messageOf, UserError } from "../core/errors.ts";
import { parseCertificates } from "./inspect.ts";
import { type KeyPair, keyPairFromPem, privateKeyToPem } from "./key.ts";
import { ensurePrivateDir, readPrivateFile, removeFile, writePrivateFile } from "./state-dir.ts";

/** One certificate authority: a root, or an intermediate under it. */
export interface Authority {
  readonly certificate: X509Certificate;
  readonly pem: string;
  readonly keys: KeyPair;
}

export interface RootRecord {
  readonly id: string;
  /** Unix ms. */
  readonly addedAt: number;
  /** When it began to sign, Unix ms; null: never yet. */
  readonly activatedAt: number | null;
}

export interface CaState {
  readonly trustDomain: string;
  /** `RootRecord.id` of the one that signs. */
  readonly active: string;
  /** The bundle, oldest first. */
  readonly roots: readonly RootRecord[];
}

type Role = "root" | "intermediate";

/** `<state>/ca/bundle.pem`: the trusted roots, for processes of the same user. */
export function bundleFile(stateDir: string): string {
  return path.join(stateDir, "ca", "bundle.pem");
}

export class CaStore {
  readonly #dir: string;
  readonly #stateDir: string;

  /** Creates `<stateDir>/ca` if need be. Throws a UserError when it cannot be used or is open to others. */
  constructor(stateDir: string) {
    this.#stateDir = stateDir;
    this.#dir = path.join(stateDir, "ca");
    ensurePrivateDir(this.#dir);
  }

  /** null: there is no authority here yet. */
  readState(): CaState | null {
    const file = this.#file("state.json");
    if (!fs.existsSync(file)) return null;
    try {
      return toState(JSON.parse(readPrivateFile(file, "CA state")));
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError([{ message: `the CA state is damaged: ${messageOf(error)}`, file }]);
    }
  }

  writeState(state: CaState, bundlePem: string): void {
    writePrivateFile(this.#file("state.json"), `${JSON.stringify(state, null, 2)}\n`, "CA state");
    writePrivateFile(bundleFile(this.#stateDir), bundlePem, "trust bundle");
  }

  /** null: it does not exist. Throws a UserError when it is unreadable, damaged, or its key is another's. */
  readAuthority(id: string, role: Role): Authority | null {
    const certificateFile = this.#file(`${id}.${role}.crt`);
    const keyFile = this.#file(`${id}.${role}.key`);
    if (role === "intermediate" && !fs.existsSync(certificateFile)) return null;
    const pem = readPrivateFile(certificateFile, `${role} certificate`);
    const keyPem = readPrivateFile(keyFile, `${role} key`);
    let certificate: X509Certificate | undefined;
    try {
      [certificate] = parseCertificates(pem);
    } catch {
      certificate = undefined;
    }
    if (certificate === undefined) {
      throw new UserError([{ message: `the ${role} certificate is damaged`, file: certificateFile }]);
    }
    let keys: KeyPair;
    try {
      keys = keyPairFromPem(keyPem);
    } catch {
      throw new UserError([{ message: `the ${role} key is damaged: it is not a private key in PEM`, file: keyFile }]);
    }
    if (!certificate.checkPrivateKey(keys.privateKey)) {
      throw new UserError([{ message: `the ${role} key does not belong to ${certificateFile}`, file: keyFile }]);
    }
    return { certificate, pem, keys };
  }

  writeAuthority(id: string, role: Role, authority: Authority): void {
    // The key first: a certificate without its key would be believed.
    writePrivateFile(this.#file(`${id}.${role}.key`), privateKeyToPem(authority.keys.privateKey), `${role} key`);
    writePrivateFile(this.#file(`${id}.${role}.crt`), authority.pem, `${role} certificate`);
  }

  removeAuthorities(id: string): void {
    for (const role of ["intermediate", "root"] as const) {
      removeFile(this.#file(`${id}.${role}.key`), `${role} key`);
      removeFile(this.#file(`${id}.${role}.crt`), `${role} certificate`);
    }
  }

  #file(name: string): string {
    return path.join(this.#dir, name);
  }
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
