/** The architecture is a test: a module imports only from layers to its left, strangers never meet, nothing is cyclic. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

/** Which folders each folder may import from, besides itself. */
const ALLOWED: Record<string, readonly string[]> = {
  core: [],
  model: ["core"],
  xds: ["core", "model", "generated"],
  telemetry: ["core", "model"],
  certs: ["core", "model"],
  proxy: ["core", "model", "telemetry", "certs"],
  "control-client": ["core", "model", "xds", "telemetry", "certs", "generated"],
  "control-plane": ["core", "model", "xds", "telemetry", "certs", "generated"],
  cli: ["core", "model", "xds", "telemetry", "certs", "proxy", "control-client", "control-plane"],
};

const files = globSync("{core,model,xds,telemetry,certs,proxy,control-client,control-plane,cli}/**/*.ts");

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const found: string[] = [];
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
    found.push(path.normalize(path.join(path.dirname(file), match[1] ?? "")));
  }
  return found;
}

test("every import points to a layer on the left", () => {
  const wrong: string[] = [];
  for (const file of files) {
    if (file.endsWith(".test.ts")) continue;
    const layer = file.split(path.sep)[0] ?? "";
    for (const target of importsOf(file)) {
      if (target === "package.json") continue;
      const targetLayer = target.split(path.sep)[0] ?? "";
      if (targetLayer !== layer && !ALLOWED[layer]?.includes(targetLayer)) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("no import cycles", () => {
  const graph = new Map(files.filter((f) => !f.endsWith(".test.ts")).map((file) => [file, valueImportsOf(file)]));
  const state = new Map<string, "open" | "done">();
  const cycles: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    if (state.get(file) === "done" || !graph.has(file)) return;
    if (state.get(file) === "open") {
      cycles.push([...trail.slice(trail.indexOf(file)), file].join(" → "));
      return;
    }
    state.set(file, "open");
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    state.set(file, "done");
  };
  for (const file of graph.keys()) visit(file, []);
  assert.deepEqual(cycles, []);
});

/** Imports that exist at run time: type-only ones are erased and cannot form a cycle. */
function valueImportsOf(file: string): string[] {
  const text = readFileSync(file, "utf8").replaceAll(/(?:import|export) type [^;]*;/g, "");
  const found: string[] = [];
  for (const match of text.matchAll(/(?:from|import)\s+"(\.[^"]+)"/g)) {
    found.push(path.normalize(path.join(path.dirname(file), match[1] ?? "")));
  }
  return found;
}

test("only core names the real clock, timers and randomness", () => {
  const forbidden = /\b(Date\.now|new Date\(\)|performance\.now|setTimeout|setInterval|Math\.random)\b/;
  const wrong = files
    .filter((file) => !file.startsWith("core") && !file.endsWith(".test.ts"))
    .filter((file) => forbidden.test(readFileSync(file, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "")));
  assert.deepEqual(wrong, []);
});
