/** A certificate authority on disk. The state file is written last, so it never names what is not there. */
import * as fs from "node:fs";
import path from "node:path";
import { type Authority, bundlePem, type CaContent } from "./ca-content.ts";
import { BUNDLE_FILE, type CaFiles, certificateFile, keyFile, readContent, STATE_FILE, stateText } from "./ca-files.ts";
import { privateKeyToPem } from "./key.ts";
import { ensurePrivateDir, readPrivateFile, removeFile, writePrivateFile } from "./state-dir.ts";

type Role = "root" | "intermediate";

/** `<state>/ca/bundle.pem`: the trusted roots, for processes of the same user. */
export function bundleFile(stateDir: string): string {
  return path.join(stateDir, "ca", BUNDLE_FILE);
}

export class CaDirectory implements CaFiles {
  readonly #dir: string;
  #kept: CaContent | null = null;

  /** Creates `<stateDir>/ca` if need be. Throws a UserError when it cannot be used or is open to others. */
  constructor(stateDir: string) {
    this.#dir = path.join(stateDir, "ca");
    ensurePrivateDir(this.#dir);
  }

  /** null: there is no authority here yet. Throws a UserError for what is unreadable, damaged or open to others. */
  load(): CaContent | null {
    this.#kept = readContent(this);
    return this.#kept;
  }

  read(name: string, what: string): string | null {
    const file = this.place(name);
    return fs.existsSync(file) ? readPrivateFile(file, what) : null;
  }

  place(name: string): string {
    return path.join(this.#dir, name);
  }

  /** Keeps it in place of what was kept before. Throws a UserError where that fails; then the old one is still whole. */
  keep(content: CaContent): void {
    const before = new Map(this.#kept?.roots.map((root) => [root.id, root]));
    for (const root of content.roots) {
      const old = before.get(root.id);
      if (root.keys !== null && root.pem !== old?.pem) this.#write(root.id, "root", { ...root, keys: root.keys });
      if (root.intermediate && root.intermediate.pem !== old?.intermediate?.pem) {
        this.#write(root.id, "intermediate", root.intermediate);
      }
      before.delete(root.id);
    }
    writePrivateFile(this.place(STATE_FILE), stateText(content), "CA state");
    writePrivateFile(this.place(BUNDLE_FILE), bundlePem(content), "trust bundle");
    this.#kept = content;
    for (const id of before.keys()) this.#remove(id);
  }

  #write(id: string, role: Role, authority: Authority): void {
    // The key first: a certificate without its key would be believed.
    writePrivateFile(this.place(keyFile(id, role)), privateKeyToPem(authority.keys.privateKey), `${role} key`);
    writePrivateFile(this.place(certificateFile(id, role)), authority.pem, `${role} certificate`);
  }

  #remove(id: string): void {
    for (const role of ["intermediate", "root"] as const) {
      removeFile(this.place(keyFile(id, role)), `${role} key`);
      removeFile(this.place(certificateFile(id, role)), `${role} certificate`);
    }
  }
}
