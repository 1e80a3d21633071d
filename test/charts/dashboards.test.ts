/** The dashboards of the chart are those of `scripts/dashboards.ts`, and ask for metrics and labels that there are. */
import assert from "node:assert/strict";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { DASHBOARDS, grafana } from "../../scripts/dashboards.ts";

const root = path.join(import.meta.dirname, "..", "..");
const FOLDER = path.join(root, "charts", "outrigger", "dashboards");

/** By name: what the guide says of a metric, with its labels. Those of the control plane: its own source. */
const guide = readFileSync(path.join(root, "docs", "metrics.md"), "utf8");
const rows = new Map(
  [...guide.matchAll(/^\| `(\w+)` *\| *(\w+) *\|([^|]*)\|/gm)].map(([, name = "", type = "", labels = ""]) => [
    name,
    { type, labels },
  ]),
);
const controlPlane = ["metrics.ts", "injector/metrics.ts"]
  .map((file) => readFileSync(path.join(root, "control-plane", file), "utf8"))
  .join("");

/** What words in the guide's column of labels stand for. */
const LABELS: Readonly<Record<string, readonly string[]>> = {
  edge: ["direction", "source", "destination", "route", "cluster"],
  method: ["direction", "source", "destination", "service", "method"],
};
/** What monitors add. */
const PLACE = ["namespace", "pod", "node", "le"];

for (const [name, dashboard] of Object.entries(DASHBOARDS)) {
  test(`the dashboard ${name} is what its questions make`, () => {
    const file = path.join(FOLDER, `${name}.json`);
    const text = grafana(name, dashboard);
    if (process.env["UPDATE"] === "1") writeFileSync(file, text);
    assert.equal(readFileSync(file, "utf8"), text);
  });

  test(`the dashboard ${name} asks for metrics that there are, by labels that they have`, () => {
    const queries = dashboard.rows.flatMap(({ panels }) =>
      panels.flatMap((panel) => panel.queries.map(([query]) => query)),
    );
    const unknown: string[] = [];
    for (const query of [...queries, ...Object.values(dashboard.variables)]) {
      for (const [, metric = "", labels = ""] of query.matchAll(/\b((?:outrigger|process)_\w+)(\{[^}]*\})?/g)) {
        const row = rows.get(metric) ?? rows.get(metric.replace(/_bucket$/, ""));
        const own =
          /^outrigger_(?:control_plane|injector)_/.test(metric) &&
          controlPlane.includes(`"${metric.replace(/_bucket$/, "")}"`);
        if (!row && !own) unknown.push(metric);
        if (!row) continue;
        assert.equal(row.type === "histogram", metric.endsWith("_bucket"), `${metric} is a ${row.type}`);
        const had = [...row.labels.matchAll(/\w+/g)].flatMap(([word]) => LABELS[word] ?? [word]);
        const by = [...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(", "));
        for (const label of [...by, ...[...labels.matchAll(/(\w+)(?:=|!)/g)].map(([, one = ""]) => one)])
          if (![...had, ...PLACE].includes(label)) unknown.push(`${metric} by ${label}`);
      }
    }
    assert.deepEqual(unknown, []);
  });
}

test("there are no other dashboards", () => {
  const files = globSync("*.json", { cwd: FOLDER }).map((file) => path.basename(file, ".json"));
  assert.deepEqual(files.sort(), Object.keys(DASHBOARDS).sort());
});
