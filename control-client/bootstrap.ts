/** Reads what a proxy is started with: an Envoy bootstrap from `-c FILE` and `--config-yaml`, with command-line overrides. */
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { codeOf, messageOf, type Problem, UserError } from "../core/errors.ts";
import { BootstrapSchema } from "../generated/envoy/config/bootstrap/v3/bootstrap_pb.js";
import type { Bootstrap } from "../model/bootstrap.ts";
import { deepFreeze } from "../model/snapshot.ts";
import { checkFormat } from "../telemetry/format.ts";
import { decodeBootstrapJson } from "../xds/bootstrap-file.ts";
import { locateProblems, parseText, type TextFile } from "../xds/document.ts";
import type { DecodeOptions } from "../xds/place.ts";
import { checkBootstrap } from "./bootstrap-check.ts";
import { locateProblem } from "./config/locate.ts";
import { type Located, parseLocated, toJson } from "./config/located.ts";
import { mergeLocated } from "./config/merge.ts";

export interface BootstrapInput {
  /** `-c`: YAML or JSON. */
  readonly file?: string;
  /** `--config-yaml`: merged over the file. */
  readonly configYaml?: string;
  /** `--service-node`, `--service-cluster`, `--service-zone`: in the place of what `node` says. */
  readonly serviceNode?: string;
  readonly serviceCluster?: string;
  readonly serviceZone?: string;
  /** Where resources find files and environment variables. */
  readonly decode: DecodeOptions;
}

export interface LoadedBootstrap {
  readonly bootstrap: Bootstrap;
  /** What was accepted and ignored, and why. */
  readonly notes: readonly Problem[];
}

/** Files and environment of this process, and the formats that its access logs understand. */
export function processDecodeOptions(): DecodeOptions {
  return { readFile: (path) => readFileSync(path), environment: process.env, checkFormat };
}

/** Throws UserError with every problem, each with file, line and column. */
export function loadBootstrap(input: BootstrapInput): LoadedBootstrap {
  const texts = textsOf(input);
  const { json, locate } = texts.length === 1 ? parseOne(texts[0] as TextFile) : parseAll(texts);
  const decoded = decodeBootstrapJson(json, input.decode);
  if (!decoded.ok) throw new UserError(locate(decoded.problems));
  const revision = hash("sha256", texts.map(({ text }) => text).join("\0"), "hex").slice(0, 12);
  const bootstrap = withOverrides(decoded.value, input, revision);
  const problems = checkBootstrap(bootstrap);
  if (problems.length > 0) throw new UserError(locate(problems));
  return { bootstrap, notes: decoded.notes };
}

function textsOf({ file, configYaml }: BootstrapInput): TextFile[] {
  const texts: TextFile[] = [];
  if (file !== undefined) texts.push({ text: read(file), file });
  if (configYaml !== undefined) texts.push({ text: configYaml, file: "--config-yaml" });
  if (texts.length === 0) throw new UserError("a configuration is needed: -c FILE or --config-yaml YAML", 2);
  return texts;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "there is no such file" : `cannot be read: ${messageOf(error)}`;
    throw new UserError([{ file, message: why }]);
  }
}

interface Parsed {
  readonly json: unknown;
  readonly locate: (problems: readonly Problem[]) => readonly Problem[];
}

/** The usual case, in which positions are looked up only when something is wrong. */
function parseOne(text: TextFile): Parsed {
  const parsed = parseText(text);
  if ("problem" in parsed) throw new UserError([parsed.problem]);
  return { json: parsed.json, locate: (problems) => locateProblems(problems, text) };
}

function parseAll(texts: readonly TextFile[]): Parsed {
  const tree = texts.map(parseTree).reduce((base, override) => mergeLocated(BootstrapSchema, base, override));
  return { json: toJson(tree), locate: (problems) => problems.map((problem) => locateProblem(tree, problem)) };
}

function parseTree({ text, file }: TextFile): Located {
  const parsed = parseLocated(text, file);
  if ("problems" in parsed) throw new UserError(parsed.problems);
  return parsed;
}

function withOverrides(decoded: Bootstrap, input: BootstrapInput, revision: string): Bootstrap {
  const { node } = decoded;
  return deepFreeze<Bootstrap>({
    ...decoded,
    node: {
      ...node,
      id: input.serviceNode || node.id,
      cluster: input.serviceCluster || node.cluster,
      locality: { ...node.locality, zone: input.serviceZone || node.locality.zone },
    },
    static: { ...decoded.static, revision },
  });
}
