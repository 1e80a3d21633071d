/** What the kubelet tells a sidecar by files: the proof of its identity, and its pod's labels. */
import { readFileSync } from "node:fs";
import type { CaClientOptions } from "../../control-client/ca/ca-client.ts";
import { rootsFile, tokenFile } from "../../control-client/ca/token-file.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import type { PodFlags } from "../sidecar-command.ts";

type Proof = Pick<CaClientOptions, "token" | "tokenAlways" | "roots">;

/** By a pod's token where there is one, else by `joinToken`. Throws a UserError where only half is given. */
export function proofOf({ tokenFile: token, rootsFile: roots }: Partial<PodFlags>, joinToken: () => string): Proof {
  if (token === undefined && roots === undefined) return { token: joinToken, roots: () => null };
  if (token === undefined || roots === undefined) {
    throw new UserError("--token-file and --roots-file go together: a token is shown to nobody who is not known", 2);
  }
  return { token: tokenFile(token), tokenAlways: true, roots: rootsFile(roots) };
}

/** Those of `--labels-file`, and over them those of `--label`. Throws a UserError where the file cannot be read. */
export function workloadLabels({
  labelsFile,
  label,
}: {
  readonly labelsFile?: string;
  readonly label: readonly string[];
}): Readonly<Record<string, string>> {
  const given = label.map((item) => [item.slice(0, item.indexOf("=")), item.slice(item.indexOf("=") + 1)]);
  return { ...(labelsFile === undefined ? {} : readLabels(labelsFile)), ...Object.fromEntries(given) };
}

function readLabels(file: string): Readonly<Record<string, string>> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UserError(`--labels-file ${file} cannot be read: ${messageOf(error)}`);
  }
  // `key="value"`, quoted as Go does it; a label's value has nothing that needs escaping.
  const lines = text.matchAll(/^([^=\n]+)="([^"\n]*)"$/gm);
  return Object.fromEntries([...lines].map(([, name = "", value = ""]) => [name, value]));
}
