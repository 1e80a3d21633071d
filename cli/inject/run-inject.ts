/** Reads, injects, prints: the whole result, or what is wrong and nothing. */
import { readFileSync } from "node:fs";
import { LineCounter, parseDocument } from "yaml";
import type { InjectorSettings } from "../../control-plane/injector/settings.ts";
import { parseSettings } from "../../control-plane/injector/settings-file.ts";
import type { JsonValue } from "../../control-plane/json.ts";
import { formatProblem, messageOf, type Problem, UserError } from "../../core/errors.ts";
import type { InjectFlags } from "../inject-command.ts";
import { injectManifests } from "./inject-manifests.ts";

/** What a standard input is called in messages. */
const STDIN = "<stdin>";

/** Prints to the standard output, and notes to the standard error. Throws a UserError. */
export function runInject(file: string, flags: InjectFlags): void {
  const settings = settingsOf(flags);
  const text = file === "-" ? read(0, STDIN) : read(file, file);
  const { text: output, notes } = injectManifests(file === "-" ? STDIN : file, text, settings, flags.namespace);
  for (const note of notes) process.stderr.write(`note: ${formatProblem(note)}\n`);
  process.stdout.write(output);
}

/** The defaults, over them the file's, over them the flags'. Throws a UserError. */
export function settingsOf({
  settings: file,
  image,
  controlPlane,
  trustDomain,
  interception,
}: InjectFlags): InjectorSettings {
  const given = file === undefined ? {} : parseFile(file, read(file, file));
  const flags = { image, controlPlane, trustDomain, interception };
  const set = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const parsed = parseSettings({ ...(given as object), ...set } as JsonValue);
  if (parsed.ok) return parsed.settings;
  throw new UserError(
    parsed.problems.map((problem) => ({ ...problem, ...(file !== undefined && { file }) })),
    2,
  );
}

function parseFile(file: string, text: string): JsonValue {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const [error] = document.errors;
  if (error === undefined) return (document.toJS() ?? {}) as JsonValue;
  const { line, col } = lineCounter.linePos(error.pos[0]);
  const problem: Problem = { file, line, column: col, message: error.message.split("\n")[0] ?? "" };
  throw new UserError([problem]);
}

function read(file: string | number, name: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UserError(`${name} cannot be read: ${messageOf(error)}`);
  }
}
