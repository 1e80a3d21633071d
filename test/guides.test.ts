/**
 * The guides for a cluster hold: what they name is there. Commands and flags, annotations and labels, values of the
 * charts, metrics, fields of policies, names of objects, sentences; and what they apply is accepted as it stands.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { Command } from "commander";
import { parse, parseAllDocuments } from "yaml";
import { addControlPlaneCommand } from "../cli/control-plane-command.ts";
import { addInjectCommand } from "../cli/inject-command.ts";
import { addWaitCommand } from "../cli/wait-command.ts";
import { SETTINGS } from "../control-plane/injector/annotations.ts";
import { injectPod } from "../control-plane/injector/inject-pod.ts";
import { DEFAULT_SETTINGS } from "../control-plane/injector/settings.ts";
import type { JsonObject } from "../control-plane/json.ts";
import { isManifestKind, KINDS } from "../control-plane/manifest/kinds.ts";
import { parseManifests } from "../control-plane/manifest/parse.ts";

const root = path.join(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const pages = globSync("docs/guides/*.md", { cwd: root }).sort();
const text = pages.map(read).join("\n");
const sources = globSync(
  ["{core,model,xds,telemetry,certs,proxy,control-client,control-plane,cli}/**/*.ts", "charts/**/*.{yaml,tpl}"],
  { cwd: root },
)
  .filter((file) => !file.endsWith(".test.ts"))
  .map(read)
  .join("\n");

const unique = (words: Iterable<string>): readonly string[] => [...new Set(words)].sort();
const all = (pattern: RegExp, from = text): readonly string[] =>
  unique([...from.matchAll(pattern)].map((match) => match[1] ?? ""));
const blocks = (language: string, from = text): readonly string[] =>
  [...from.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, "g"))].map(([, block = ""]) => block);
/** Commands of one line each, whatever lines they were written in. */
const commands = blocks("sh").flatMap((block) => block.replaceAll(/\\\n\s*/g, " ").split("\n"));

/** Dotted names of what a value holds: `image`, `image.tag`. */
function pathsOf(value: unknown, prefix = ""): readonly string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => [`${prefix}${key}`, ...pathsOf(inner, `${prefix}${key}.`)]);
}

const values = new Set(
  ["outrigger", "outrigger-crds"].flatMap((chart) => pathsOf(parse(read(`charts/${chart}/values.yaml`)))),
);
const fields = new Set(
  (["ResiliencePolicy", "AccessPolicy", "MeshPolicy", "HTTPRoute"] as const).flatMap((kind) =>
    KINDS[kind].schema.paths.flatMap((field) => {
      const parts = field.replace(/^spec\./, "").split(".");
      return parts.map((_, from) => parts.slice(from).join("."));
    }),
  ),
);

test("the list of pages has every page", () => {
  const list = read("docs/README.md");
  const files = globSync("docs/{,guides/}*.md", { cwd: root }).map((file) => path.relative("docs", file));
  assert.deepEqual(
    files.filter((file) => file !== "README.md" && !list.includes(`(${file})`)),
    [],
  );
});

describe("what is applied", () => {
  const manifests = [
    ...blocks("yaml"),
    ...[...text.matchAll(/<<END\n([\s\S]*?)\nEND\n/g)].map(([, block = ""]) => block),
    read("docs/guides/shop.yaml"),
  ].flatMap((block) => parseAllDocuments(block).map((document) => String(document)));

  test("is read without a problem by the control plane", () => {
    const own = manifests.filter((manifest) => isManifestKind(parse(manifest).kind));
    assert.ok(own.length > 10);
    for (const manifest of own) {
      const found = parseManifests("guide.yaml", manifest).flatMap(({ problems }) => problems);
      assert.deepEqual(found, [], manifest);
    }
  });

  test("gets its sidecar without a word where it has pods", () => {
    const templates = manifests.map((manifest) => parse(manifest).spec?.template as JsonObject | undefined);
    const pods = templates.filter((template) => template !== undefined);
    assert.ok(pods.length > 3);
    for (const pod of pods) {
      const result = injectPod(pod, null, DEFAULT_SETTINGS);
      assert.deepEqual([result.kind, "warnings" in result && result.warnings], ["injected", []]);
    }
  });
});

describe("what is named", () => {
  test("annotations of pods", () => {
    const known = [...Object.keys(SETTINGS), "status", "inject"];
    const named = all(/sidecar\.outrigger\.dev\/([A-Za-z]+)/g);
    assert.ok(named.length > 5);
    assert.deepEqual(
      named.filter((name) => !known.includes(name)),
      [],
    );
  });

  test("every annotation of a pod is in the guide to injection", () => {
    const page = read("docs/guides/inject.md");
    const missing = Object.keys(SETTINGS).filter((name) => !page.includes(name));
    assert.deepEqual(missing, []);
  });

  test("those of other meshes that are said to be read are", () => {
    const istio = all(
      /`((?:traffic\.)?sidecar\.istio\.io\/\w+)`/g,
      read("docs/guides/from-istio.md").split("Not read:")[0],
    );
    const aliases = new Set(Object.values(SETTINGS).flatMap((setting) => setting.aliases.map((alias) => alias.name)));
    assert.ok(istio.length > 2);
    assert.deepEqual(
      istio.filter((name) => !aliases.has(name)),
      [],
    );
    const [, table = ""] = /## Annotations\n([\s\S]*?)Not read/.exec(read("docs/guides/from-linkerd.md")) ?? [];
    const cells = table
      .split("\n")
      .flatMap((line) => all(/`([a-z][a-z-]*)`/g, /^\| (`[^|]*) \|/.exec(line)?.[1] ?? ""));
    assert.deepEqual(
      unique(cells),
      [...aliases]
        .filter((name) => name.startsWith("config.linkerd.io/"))
        .map((name) => name.slice(18))
        .sort(),
    );
  });

  test("labels and annotations of our own elsewhere", () => {
    const pattern = /\b(outrigger\.dev\/[a-z-]+[a-z])\b/g;
    const named = all(pattern);
    assert.ok(named.length > 4);
    const known = all(pattern, sources);
    assert.deepEqual(
      named.filter((name) => !known.includes(name)),
      [],
    );
  });

  test("values of the charts that commands set", () => {
    const named = unique(
      commands.flatMap((line) => [...line.matchAll(/--set(?:-string)? ([\w.]+)=/g)].map(([, name = ""]) => name)),
    );
    assert.ok(named.length > 5);
    assert.deepEqual(
      named.filter((name) => !values.has(name)),
      [],
    );
  });

  // Of tables the last column: the first ones may speak of other meshes.
  const rows = text.replaceAll(/```[\s\S]*?```/g, "").split("\n");
  const prose = rows.map((line) => (line.startsWith("|") ? (line.split("|").at(-2) ?? "") : line)).join("\n");

  test("dotted names in the text: values of the charts, or fields of policies and routes", () => {
    const named = all(/`([a-z][A-Za-z]+(?:\.[a-z][A-Za-z]+)+)(?:: [^`]*)?`/g, prose);
    // Of Kubernetes, and files.
    const foreign = /^spec\.template\.|\.(?:yaml|pem|tar|md|crt|key|ts)$|\.(?:io|dev|local)$/;
    assert.ok(named.length > 20);
    assert.deepEqual(
      named.filter((name) => !values.has(name) && !fields.has(name) && !foreign.test(name)),
      [],
    );
  });

  test("other words of ours are words of the code", () => {
    const words = new Set(sources.match(/\b[a-z]+(?:[A-Z][A-Za-z]*)+\b/g));
    const named = all(/`([a-z]+(?:[A-Z][A-Za-z]*)+)(?:[:.][^`]*)?`/g, prose);
    // Of Kubernetes and Istio, where they are named in what is said of ours.
    const foreign = ["backendRefs", "parentRefs", "restartPolicy", "targetPort", "userVolume"];
    assert.ok(named.length > 20);
    assert.deepEqual(
      named.filter((name) => !words.has(name) && !foreign.includes(name)),
      [],
    );
  });

  test("metrics", () => {
    const documented = read("docs/metrics.md");
    // `outrigger_a_(b|c)` of a regular expression is outrigger_a_b and outrigger_a_c.
    const chosen = [...text.matchAll(/\b(outrigger_[a-z_]*)\(([a-z_|]+)\)/g)].flatMap(([, start = "", ends = ""]) =>
      ends.split("|").map((end) => start + end),
    );
    const named = [...all(/\b(outrigger_[a-z0-9_]*[a-z0-9])\b/g), ...chosen];
    assert.ok(named.length > 8 && chosen.length > 0);
    const isKnown = (name: string) => documented.includes(`\`${name}\``) || sources.includes(`"${name}"`);
    assert.deepEqual(
      named.filter((name) => !isKnown(name)),
      [],
    );
  });

  test("flags of our commands", () => {
    const program = new Command();
    for (const add of [addControlPlaneCommand, addInjectCommand, addWaitCommand]) add(program);
    const calls = [...commands, ...all(/`((?:npx )?outrigger [^`]*)`/g)].flatMap((line) => {
      const [, name = "", rest = ""] = /(?:npx outrigger|launcher\.js|^outrigger) ([a-z-]+)([^|]*)/.exec(line) ?? [];
      return name === "" ? [] : [{ name, flags: rest.match(/(?<=\s)--?[a-z][a-z-]*/g) ?? [] }];
    });
    assert.ok(calls.length > 4);
    for (const { name, flags } of calls) {
      const command = program.commands.find((one) => one.name() === name);
      assert.ok(command, `outrigger ${name}`);
      const known = command.options.flatMap(({ short, long }) => [short, long]);
      assert.deepEqual(
        flags.filter((flag) => !known.includes(flag)),
        [],
        name,
      );
    }
    const image = commands.filter((line) => line.includes("scripts/image.ts"));
    assert.ok(image.length > 0);
    for (const flag of image.flatMap((line) => line.match(/--[a-z-]+/g) ?? [])) {
      assert.ok(read("scripts/image.ts").includes(`${flag.slice(2)}:`), flag);
    }
  });

  test("names of objects and containers", () => {
    // What a reader names himself, and ours with the names of a release.
    const given = /canary|^outrigger-control-plane-[0-9a-f]{8,}/;
    const pattern = /\b(outrigger-[a-z][a-z-]*[a-z])\b/g;
    const named = all(pattern).filter((name) => !given.test(name));
    const known = all(pattern, `${sources}\n${read("test/golden/charts/default.out.yaml")}`);
    assert.ok(named.length > 5);
    assert.deepEqual(
      named.filter((name) => !known.includes(name)),
      [],
    );
  });

  test("reasons of events and conditions", () => {
    const [, section = ""] = /### A route or policy does nothing\n([\s\S]*?)\n###/.exec(text) ?? [];
    const conditions = all(/`((?:[A-Z][a-z]+){2,})`/g, section).filter((word) => !["ReferenceGrant"].includes(word));
    const events = all(/\bSidecar([A-Z][A-Za-z]+)\b/g);
    assert.ok(conditions.length > 3 && events.length > 3);
    const said = (reason: string) => sources.includes(`reason: "${reason}"`) || sources.includes(`"${reason}"`);
    assert.deepEqual(
      [...conditions, ...events].filter((reason) => !said(reason)),
      [],
    );
  });

  test("sentences are those of the code", () => {
    const code = sources.replaceAll(/\$\{[^}]*\}/g, "…");
    const said = all(/"((?:the|it|must|no) [a-z][^"\n]{12,})"/g, text.replaceAll(/```[\s\S]*?```/g, ""));
    assert.ok(said.length > 2);
    assert.deepEqual(
      said.filter((sentence) => !code.includes(sentence)),
      [],
    );
  });
});
