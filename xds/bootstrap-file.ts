/** A bootstrap file, YAML or JSON, with positions in its errors. */
import type { Problem } from "../core/errors.ts";
import { BootstrapSchema } from "../generated/envoy/config/bootstrap/v3/bootstrap_pb.js";
import type { Bootstrap } from "../model/bootstrap.ts";
import { deepFreeze } from "../model/snapshot.ts";
import { bootstrapCodec } from "./bootstrap.ts";
import { locateProblems, parseText, type TextFile } from "./document.ts";
import { messageFromJson } from "./json.ts";
import { conclude, type Decoded, type DecodeOptions, Place } from "./place.ts";
import { validateSnapshot } from "./validate-snapshot.ts";

/** Decodes the text of a bootstrap file. Problems have their line and column. */
export function decodeBootstrapText(text: TextFile, options: DecodeOptions): Decoded<Bootstrap> {
  const parsed = parseText(text);
  if ("problem" in parsed) return { ok: false, problems: [parsed.problem], notes: [] };
  const decoded = decodeBootstrapJson(parsed.json, options);
  return decoded.ok ? decoded : { ...decoded, problems: locateProblems(decoded.problems, text) };
}

/** Decodes a bootstrap that has been parsed already. */
export function decodeBootstrapJson(json: unknown, options: DecodeOptions): Decoded<Bootstrap> {
  const root = Place.root(options);
  const message = messageFromJson(BootstrapSchema, json, root);
  const malformed = root.findings.problems.splice(0);
  const decoded = conclude(root, deepFreeze(bootstrapCodec.decode(message, root)));
  if (malformed.length === 0) return decoded.ok ? withReferences(decoded) : decoded;
  // A malformed value leaves a gap in its resource, about which the decoder would only mislead.
  const unit = (problem: Problem): string => RESOURCE.exec(problem.path ?? "")?.[0] ?? problem.path ?? "";
  const broken = new Set(malformed.map(unit));
  const others = decoded.ok ? [] : decoded.problems.filter((problem) => !broken.has(unit(problem)));
  const labelled = malformed.map((problem) => withResource(problem, json));
  return { ok: false, problems: [...labelled, ...others], notes: decoded.notes };
}

/** What is well-formed in itself may still refer to nothing. */
function withReferences(decoded: Extract<Decoded<Bootstrap>, { ok: true }>): Decoded<Bootstrap> {
  const { static: snapshot, dynamic } = decoded.value;
  const ads = dynamic !== null && dynamic.ads !== null;
  const problems = validateSnapshot(snapshot, { ads, workloadIdentity: false, root: "static_resources" });
  return problems.length > 0 ? { ok: false, problems, notes: decoded.notes } : decoded;
}

/** A static resource, or a top-level field. */
const RESOURCE = /^static_resources\.(\w+)\[(\d+)\]|^\w+/;
const LABELS: Readonly<Record<string, string>> = { listeners: "listener", clusters: "cluster", secrets: "secret" };

/** Shape errors are found before anyone knows what resource they are in. */
function withResource(problem: Problem, json: unknown): Problem {
  const [, list = "", index] = RESOURCE.exec(problem.path ?? "") ?? [];
  const label = LABELS[list];
  if (label === undefined) return problem;
  const name = member(
    member(member(member(json, "static_resources") ?? member(json, "staticResources"), list), index),
    "name",
  );
  return { ...problem, resource: typeof name === "string" ? `${label} ${JSON.stringify(name)}` : label };
}

function member(value: unknown, key: string | undefined): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key ?? ""] : undefined;
}
