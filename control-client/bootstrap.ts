/** Reads what a proxy is started with: an Envoy bootstrap from `-c FILE` and `--config-yaml`, with command-line overrides. */
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { codeOf, messageOf, type Problem, UserError } from "../core/errors.ts";
import { BootstrapSchema } from "../generated/envoy/config/bootstrap/v3/bootstrap_pb.js";
import type { Bootstrap } from "../model/bootstrap.ts";
import { deepFreeze } from "../model/snapshot.ts";
import { bootstrapCodec } from "../xds/bootstrap.ts";
import { messageFromJson } from "../xds/json.ts";
import { conclude, type DecodeOptions, Place } from "../xds/place.ts";
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

/** Files and environment of this process. */
export function processDecodeOptions(): DecodeOptions {
  return { readFile: (path) => readFileSync(path), environment: process.env };
}

/** Throws UserError with every problem, each with file, line and column. */
export function loadBootstrap(input: BootstrapInput): LoadedBootstrap {
  const texts: string[] = [];
  let tree: Located | null = null;
  if (input.file !== undefined) {
    const text = read(input.file);
    texts.push(text);
    tree = parse(text, input.file);
  }
  if (input.configYaml !== undefined) {
    texts.push(input.configYaml);
    const override = parse(input.configYaml, "--config-yaml");
    tree = tree ? mergeLocated(BootstrapSchema, tree, override) : override;
  }
  if (!tree) throw new UserError("a configuration is needed: -c FILE or --config-yaml YAML", 2);
  return decode(tree, input, hash("sha256", texts.join("\0"), "hex").slice(0, 12));
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "there is no such file" : `cannot be read: ${messageOf(error)}`;
    throw new UserError([{ file, message: why }]);
  }
}

function parse(text: string, file: string): Located {
  const parsed = parseLocated(text, file);
  if ("problems" in parsed) throw new UserError(parsed.problems);
  return parsed;
}

function decode(tree: Located, input: BootstrapInput, revision: string): LoadedBootstrap {
  const root = Place.root(input.decode);
  const message = messageFromJson(BootstrapSchema, toJson(tree), root);
  const decoded = bootstrapCodec.decode(message, root);
  const node = {
    ...decoded.node,
    id: input.serviceNode || decoded.node.id,
    cluster: input.serviceCluster || decoded.node.cluster,
    locality: { ...decoded.node.locality, zone: input.serviceZone || decoded.node.locality.zone },
  };
  const bootstrap: Bootstrap = { ...decoded, node, static: { ...decoded.static, revision } };
  checkBootstrap(bootstrap, root);
  const result = conclude(root, deepFreeze(bootstrap));
  const located = (problems: readonly Problem[]): Problem[] => problems.map((p) => locateProblem(tree, p));
  if (!result.ok) throw new UserError(located(result.problems));
  return { bootstrap: result.value, notes: located(result.notes) };
}
