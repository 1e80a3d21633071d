/**
 * The table of a chart's values in its README, made from `values.yaml`: a value's comment says what it means. A section
 * that has a comment of its own is one value. `npm test -- --update test/charts/values.test.ts` writes it anew.
 */
import { isMap, isScalar, parseDocument } from "yaml";

export interface ChartValue {
  /** `image.tag`. */
  readonly key: string;
  /** One sentence or two, as written. Empty: nobody has said. */
  readonly meaning: string;
  readonly fallback: unknown;
}

/** The values of a `values.yaml`, in its order. */
export function chartValues(text: string): readonly ChartValue[] {
  const comments = commentsOf(text);
  const found: ChartValue[] = [];
  const visit = (node: unknown, at: readonly string[]): void => {
    if (!isMap(node)) return;
    for (const { key, value } of node.items) {
      const path = [...at, isScalar(key) ? String(key.value) : ""];
      const name = path.join(".");
      const meaning = comments.get(name);
      if (meaning === undefined && isMap(value) && value.items.length > 0) visit(value, path);
      else found.push({ key: name, meaning: meaning ?? "", fallback: (value as { toJSON(): unknown }).toJSON() });
    }
  };
  visit(parseDocument(text).contents, []);
  return found;
}

/** By dotted key: the comment that stands right above it. */
function commentsOf(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const path: { readonly indent: number; readonly name: string }[] = [];
  let comment: string[] = [];
  for (const line of text.split("\n")) {
    const [, indent = "", note, name = ""] = /^( *)(?:# ?(.*)|([\w.-]+):.*)?$/.exec(line) ?? [];
    if (note !== undefined) comment.push(note);
    else if (name === "") comment = [];
    else {
      while ((path.at(-1)?.indent ?? -1) >= indent.length) path.pop();
      path.push({ indent: indent.length, name });
      if (comment.length > 0) found.set(path.map((one) => one.name).join("."), comment.join(" "));
      comment = [];
    }
  }
  return found;
}

const BEGIN = "<!-- values: made from values.yaml -->\n";
const END = "<!-- end of values -->";

/** A README with its table made anew. */
export function withValues(readme: string, values: string): string {
  const rows = chartValues(values).map(
    ({ key, meaning, fallback }) => `| \`${key}\` | ${meaning.replaceAll("|", "\\|")} | ${shown(fallback)} |`,
  );
  const table = ["| value | meaning | default |", "| --- | --- | --- |", ...rows].join("\n");
  const [before, after] = [readme.split(BEGIN)[0], readme.split(END)[1]];
  return `${before}${BEGIN}\n${table}\n\n${END}${after}`;
}

function shown(value: unknown): string {
  const empty = value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0);
  return empty ? "" : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}
