/** The injector's settings out of a file, with what flags say over it. */
import { readFileSync } from "node:fs";
import { LineCounter, parseDocument } from "yaml";
import type { InjectorSettings } from "../../control-plane/injector/settings.ts";
import { parseSettings } from "../../control-plane/injector/settings-file.ts";
import type { JsonValue } from "../../control-plane/json.ts";
import { messageOf, type Problem, UserError } from "../../core/errors.ts";

/** The defaults, over them the file's (undefined: none), over them `flags`. Throws a UserError with all problems. */
export function readSettings(
  file: string | undefined,
  flags: Readonly<Record<string, string | undefined>>,
): InjectorSettings {
  const given = file === undefined ? {} : parseFile(file, readText(file, file));
  const set = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const parsed = parseSettings({ ...(given as object), ...set } as JsonValue);
  if (parsed.ok) return parsed.settings;
  throw new UserError(
    parsed.problems.map((problem) => ({ ...problem, ...(file !== undefined && { file }) })),
    2,
  );
}

/** `name`: what errors call it. Throws a UserError. */
export function readText(file: string | number, name: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UserError(`${name} cannot be read: ${messageOf(error)}`);
  }
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
