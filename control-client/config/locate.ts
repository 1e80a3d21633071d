/** From the path of a problem (`static_resources.clusters[2].lb_policy`) to its place in the file. */
import type { Problem } from "../../core/errors.ts";
import type { Located, LocatedEntry, Position } from "./located.ts";

const STEP = /\.?([^.[\]]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]/y;

/**
 * The problem with the position of its path in `tree`, or of the innermost part of it that is there, and with the name
 * of the static resource that it is in.
 */
export function locateProblem(tree: Located, problem: Problem): Problem {
  if (problem.line !== undefined) return problem;
  const path = problem.path ?? "";
  const resource = problem.resource ?? resourceOf(tree, path);
  return { ...problem, ...(resource ? { resource } : {}), ...find(tree, path).at };
}

const STATIC_RESOURCE = /^static_resources\.((listener|cluster|secret)s\[\d+\])/;

function resourceOf(tree: Located, path: string): string | undefined {
  const match = STATIC_RESOURCE.exec(path);
  if (!match) return undefined;
  const { node } = find(tree, `${match[0]}.name`);
  return node.kind === "scalar" ? `${match[2]} ${JSON.stringify(node.value)}` : undefined;
}

function find(tree: Located, path: string): { readonly node: Located; readonly at: Position } {
  let node: Located = tree;
  let at = tree.at;
  STEP.lastIndex = 0;
  for (let step = STEP.exec(path); step; step = STEP.exec(path)) {
    const [, name, index, key] = step;
    if (index !== undefined) {
      const item: Located | undefined = node.kind === "list" ? node.items[Number(index)] : undefined;
      if (!item) break;
      node = item;
      at = item.at;
      continue;
    }
    const entry: LocatedEntry | undefined = entryOf(node, name ?? (JSON.parse(`"${key}"`) as string));
    if (!entry) break;
    node = entry.value;
    at = entry.at;
  }
  return { node, at };
}

function entryOf(node: Located, name: string): LocatedEntry | undefined {
  if (node.kind !== "map") return undefined;
  const camel = name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return node.entries.get(name) ?? node.entries.get(camel);
}
