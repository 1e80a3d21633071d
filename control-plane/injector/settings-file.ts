/** Settings of the injector as a file has them (a ConfigMap that is mounted, `outrigger inject --settings`): those that differ from the defaults. */
import type { Problem } from "../../core/errors.ts";
import { isObject, type JsonObject, type JsonValue } from "../json.ts";
import { type Check, image, oneOf, quantity, whole } from "./annotation-values.ts";
import { DEFAULT_SETTINGS, INTERCEPTION_MODES, type InjectorSettings, LOG_LEVELS, type Resources } from "./settings.ts";

export type ParsedSettings =
  | { readonly ok: true; readonly settings: InjectorSettings }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const CHECKS: Readonly<Record<Exclude<keyof InjectorSettings, "resources" | "ignoredNamespaces">, Check>> = {
  image,
  initImage: image,
  imagePullPolicy: exactly("Always", "IfNotPresent", "Never"),
  controlPlane: matching(/^\S+:\d{1,5}$/, "it is no HOST:PORT"),
  trustDomain: matching(/^[a-z0-9._-]{1,255}$/, "it is no trust domain"),
  tokenAudience: matching(/^\S+$/, "it is no audience"),
  // Kubernetes takes no less than ten minutes.
  tokenLifetimeS: whole(600, 604_800),
  rootsConfigMap: matching(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, "it is no name of an object"),
  rootsKey: matching(/^[-._a-zA-Z0-9]{1,253}$/, "it is no key of a ConfigMap"),
  interception: oneOf(INTERCEPTION_MODES),
  concurrency: whole(0, 256),
  logLevel: oneOf(LOG_LEVELS),
  drainTimeS: whole(1, 86_400),
};

const RESOURCES: readonly (keyof Resources)[] = ["cpuRequest", "cpuLimit", "memoryRequest", "memoryLimit"];

/** All problems at once, each with its path; never throws. */
export function parseSettings(value: JsonValue): ParsedSettings {
  const problems: Problem[] = [];
  const complain = (path: string, message: string): null => {
    problems.push({ path, message });
    return null;
  };
  if (!isObject(value)) return { ok: false, problems: [{ message: "the injector's settings are not an object" }] };
  const read: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(value)) {
    if (name === "resources") read[name] = { ...DEFAULT_SETTINGS.resources, ...resources(given, complain) };
    else if (name === "ignoredNamespaces") {
      if (Array.isArray(given) && given.every((one) => typeof one === "string")) read[name] = given;
      else complain(name, "is not a list of names");
    } else if (given === null && name === "initImage") read[name] = null;
    else if (Object.hasOwn(CHECKS, name)) {
      const checked = CHECKS[name as keyof typeof CHECKS](scalar(given));
      // Numbers may be written as text, as `--set-string` does it.
      const isNumber = typeof DEFAULT_SETTINGS[name as keyof typeof CHECKS] === "number";
      if (checked.ok) read[name] = isNumber ? Number(checked.value) : checked.value;
      else complain(name, `${JSON.stringify(given)}: ${checked.why}`);
    } else complain(name, "is not known");
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, settings: { ...DEFAULT_SETTINGS, ...(read as Partial<InjectorSettings>) } };
}

function resources(value: JsonValue, complain: (path: string, message: string) => null): JsonObject {
  if (!isObject(value)) return complain("resources", "is not an object") ?? {};
  const read: Record<string, string | null> = {};
  for (const [name, given] of Object.entries(value)) {
    const checked = given === null ? null : quantity(scalar(given));
    if (!RESOURCES.includes(name as keyof Resources)) complain(`resources.${name}`, "is not known");
    else if (checked === null || checked.ok) read[name] = checked?.value ?? null;
    else complain(`resources.${name}`, `${JSON.stringify(given)}: ${checked.why}`);
  }
  return read;
}

function scalar(value: JsonValue): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function matching(pattern: RegExp, why: string): Check {
  return (text) => (pattern.test(text) ? { ok: true, value: text } : { ok: false, why });
}

function exactly(...words: readonly string[]): Check {
  return (text) =>
    words.includes(text) ? { ok: true, value: text } : { ok: false, why: `it is none of ${words.join(", ")}` };
}
