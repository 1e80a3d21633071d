/**
 * The proof of a pod's identity: a service-account token and the mesh's roots, in files of a projected volume. The
 * kubelet replaces both while the pod runs, so they are read for each request.
 */
import { readFileSync } from "node:fs";
import { codeOf, messageOf } from "../../core/errors.ts";

/** Reads a token; the function throws an Error that says which file, and what may be the matter. */
export function tokenFile(file: string): () => string {
  return () => {
    const token = read(file, "service-account token");
    if (/\s/.test(token)) throw new Error(`${file} holds no token: there are blanks in it`);
    return token;
  };
}

/** Reads the roots, PEM; the function throws as that of `tokenFile` does. */
export function rootsFile(file: string): () => string {
  return () => {
    const roots = read(file, "mesh's roots");
    if (!roots.includes("-----BEGIN CERTIFICATE-----")) throw new Error(`${file} holds no certificate in PEM`);
    return `${roots}\n`;
  };
}

function read(file: string, what: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "there is no such file (is the volume mounted?)" : messageOf(error);
    throw new Error(`the ${what} cannot be read from ${file}: ${why}`, { cause: error });
  }
  if (text === "") throw new Error(`${file}, for the ${what}, is empty`);
  return text;
}
