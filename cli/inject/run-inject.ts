/** Reads, injects, prints: the whole result, or what is wrong and nothing. */
import { formatProblem } from "../../core/errors.ts";
import type { InjectFlags } from "../inject-command.ts";
import { injectManifests } from "./inject-manifests.ts";
import { readSettings, readText } from "./settings-of-file.ts";

/** What a standard input is called in messages. */
const STDIN = "<stdin>";

/** Prints to the standard output, and notes to the standard error. Throws a UserError. */
export function runInject(file: string, flags: InjectFlags): void {
  const { image, controlPlane, trustDomain, interception } = flags;
  const settings = readSettings(flags.settings, { image, controlPlane, trustDomain, interception });
  const text = file === "-" ? readText(0, STDIN) : readText(file, file);
  const { text: output, notes } = injectManifests(file === "-" ? STDIN : file, text, settings, flags.namespace);
  for (const note of notes) process.stderr.write(`note: ${formatProblem(note)}\n`);
  process.stdout.write(output);
}
