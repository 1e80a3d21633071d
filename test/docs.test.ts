/** The guides hold: links lead somewhere, examples load, and sentences to look up are those that the code says. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { parseManifests } from "../control-plane/manifest/parse.ts";
import { Flag } from "../model/flags.ts";
import { failures } from "../proxy/http/failures.ts";
import { decodeBootstrapText } from "../xds/bootstrap-file.ts";
import { NO_WORLD } from "../xds/testing/round-trip.ts";

const root = path.join(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const pages = [...globSync("*.md", { cwd: root }), ...globSync("docs/**/*.md", { cwd: root })].sort();
const sources = globSync("{core,model,xds,telemetry,certs,proxy,control-client,control-plane,cli}/**/*.ts", {
  cwd: root,
}).filter((file) => !file.endsWith(".test.ts"));

test("links lead to files and headings that exist", () => {
  const broken: string[] = [];
  for (const page of pages) {
    for (const [, target = ""] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = "", anchor] = target.split("#");
      const found = file === "" ? page : path.join(path.dirname(page), file);
      if (!existsSync(path.join(root, found))) broken.push(`${page}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(found).has(anchor)) broken.push(`${page}: ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

/** GitHub's anchors of a page's headings. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading.toLowerCase());
  return new Set(headings.map((heading) => heading.replaceAll(/[^\w\s-]/g, "").replaceAll(" ", "-")));
}

test("decisions are numbered without gaps, are in their index, and are there where the code names them", () => {
  const notes = globSync("docs/decisions/[0-9]*.md", { cwd: root })
    .map((file) => path.basename(file))
    .sort();
  assert.deepEqual(
    notes.map((note) => Number(note.slice(0, 4))),
    notes.map((_, i) => i + 1),
  );
  const index = read("docs/decisions/README.md");
  for (const note of notes) assert.ok(index.includes(`(${note})`), `${note} is in the index`);
  for (const file of [...sources, ...globSync("{bench,scripts,test}/**/*.ts", { cwd: root })]) {
    for (const [named] of read(file).matchAll(/docs\/[\w/-]+\.(?:md|svg)/g))
      assert.ok(existsSync(path.join(root, named)), `${file} names ${named}`);
  }
});

test("files that pages name are there", () => {
  const files = globSync("**/*.{ts,md,svg,cjs,proto,mod}", {
    cwd: root,
    exclude: ["node_modules/**", "generated/**", ".cache/**"],
  });
  const folders = new Set(files.map((file) => `${path.dirname(file)}/`));
  const missing: string[] = [];
  for (const page of pages) {
    for (const [, named = ""] of read(page).matchAll(/`([\w-][\w./-]+(?:\.ts|\/))`/g)) {
      // What a build or npm makes is not there in a fresh clone.
      if (/^(?:dist|generated|node_modules)\b/.test(named)) continue;
      const found = [...files, ...folders].some(
        (file) => file === named || file.endsWith(`/${named}`) || file.startsWith(named),
      );
      if (!found) missing.push(`${page}: ${named}`);
    }
  }
  assert.deepEqual(missing, []);
});

test("the README's bootstrap and manifests load", () => {
  const blocks = [...read("README.md").matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
  const [bootstrap = "", manifests = ""] = blocks;
  assert.match(bootstrap, /static_resources/);
  const decoded = decodeBootstrapText({ text: bootstrap, file: "envoy.yaml" }, NO_WORLD);
  assert.deepEqual(decoded.ok ? [] : decoded.problems, []);
  const documents = parseManifests("stock.yaml", manifests);
  assert.equal(documents.length, 2);
  assert.deepEqual(
    documents.flatMap(({ problems }) => problems),
    [],
  );
});

test("sentences to look up are sentences of the code", () => {
  const text = sources
    .map(read)
    .join("\n")
    .replaceAll(/\$\{[^}]*\}/g, "…");
  const missing: string[] = [];
  for (const row of read("docs/troubleshooting.md").matchAll(/^\| ("[^|]+) \|/gm)) {
    for (const [, sentence = ""] of (row[1] ?? "").matchAll(/"([^"]+)"/g)) {
      const parts = sentence
        .split("…")
        .map((part) => part.trim())
        .filter((part) => part.length > 3);
      for (const part of parts) if (!text.includes(part)) missing.push(part);
    }
  }
  assert.deepEqual(missing, []);
});

test("every flag that a failure can raise has its row", () => {
  const page = read("docs/troubleshooting.md");
  const raised = Object.values(failures).reduce((flags, failure) => flags | failure.flags, 0);
  const missing = Object.entries(Flag).filter(
    ([name, bit]) => (raised & bit) !== 0 && !page.includes(`\n| \`${name}\``),
  );
  assert.deepEqual(missing, []);
});
