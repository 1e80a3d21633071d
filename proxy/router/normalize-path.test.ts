/** The expectations are what Envoy 1.40 sent upstream, or answered, for the same paths. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compilePathNormalizer, type PathOptions } from "./normalize-path.ts";

const NONE: PathOptions = { normalizePath: false, mergeSlashes: false, pathWithEscapedSlashes: "keep" };

function run(options: Partial<PathOptions>, path: string): string {
  const verdict = compilePathNormalizer({ ...NONE, ...options })?.(path) ?? { kind: "ok" as const, path };
  if (verdict.kind === "reject") return "400";
  return verdict.kind === "redirect" ? `307 ${verdict.path}` : verdict.path;
}

const NORMALIZED: Readonly<Record<string, string>> = {
  "/": "/",
  "/a/./b": "/a/b",
  "/a/../b": "/b",
  "/../a": "/a",
  "/a/..": "/",
  "/a/.": "/a/",
  "/a/b/../..": "/",
  "/a//b": "/a//b",
  "/a//../b": "/a/b",
  "/%2e%2e/a": "/a",
  "/a/.%2e/b": "/b",
  "/%41%7a%7E": "/Az~",
  "/a%2Fb": "/a%2Fb",
  "/a\\..\\b": "/b",
  "/%": "/%",
  "/%4": "/%4",
  "/%zz": "/%zz",
  "/a%00b": "400",
  "/a%2500": "/a%2500",
  "/a/%252e%252e/": "/a/%252e%252e/",
  "/a?b//c/../d": "/a?b//c/../d",
  "/a/..?x=/../y": "/?x=/../y",
  '/{}|^"<>`': "/%7B%7D%7C%5E%22%3C%3E%60",
  "/%7b%7d": "/%7b%7d",
  "/a/...": "/a/...",
  "/[x]!$&'()*+,;=:@-._~": "/[x]!$&'()*+,;=:@-._~",
  "/..": "/",
  "/%2E": "/",
  "/a/..;/b": "/b",
  "/a/..;x/b": "/b",
  "/a/.;x/b": "/a/b",
  "/a/..;": "/",
  "/a/b/..;b\\c/d": "/a/d",
  "/a/%2e%2e;/b": "/a/..;/b",
  "/a/..%3bx/b": "/a/..%3bx/b",
  "/a;x/../b": "/b",
  "//..;/b": "/b",
};

test("normalize_path resolves dot segments and decodes what needs no escape", () => {
  for (const [path, expected] of Object.entries(NORMALIZED))
    assert.equal(run({ normalizePath: true }, path), expected, path);
});

test("merge_slashes merges in the path, not in the query", () => {
  const merge = { mergeSlashes: true };
  assert.equal(run(merge, "//a///b?c=//d"), "/a/b?c=//d");
  assert.equal(run(merge, "/a/b//"), "/a/b/");
  assert.equal(run(merge, "/a//../b"), "/a/../b");
  assert.equal(run(merge, "///"), "//");
});

test("slashes merge after dot segments are gone", () => {
  assert.equal(run({ mergeSlashes: true, normalizePath: true }, "/a//../b"), "/a/b");
});

const ESCAPED: readonly (readonly [string, string])[] = [
  ["/%2f", "//"],
  ["/a%2Fb", "/a/b"],
  ["/a%5Cb", "/a\\b"],
  ["/a%2f..%2fb", "/a/../b"],
  ["/a/b%2f?c%2f", "/a/b/?c%2f"],
];

test("escaped slashes are kept, refused, or unescaped", () => {
  for (const [path, unescaped] of ESCAPED) {
    assert.equal(run({ pathWithEscapedSlashes: "reject" }, path), "400");
    assert.equal(run({ pathWithEscapedSlashes: "unescape_and_redirect" }, path), `307 ${unescaped}`);
    assert.equal(run({ pathWithEscapedSlashes: "unescape_and_forward" }, path), unescaped);
    assert.equal(run({ pathWithEscapedSlashes: "keep", mergeSlashes: true }, path), path);
  }
  for (const options of ["reject", "unescape_and_redirect", "unescape_and_forward"] as const) {
    assert.equal(run({ pathWithEscapedSlashes: options }, "/a?b=%2f"), "/a?b=%2f");
  }
});

test("unescaping comes first, then normalisation, then merging", () => {
  const all: PathOptions = { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashes: "unescape_and_forward" };
  assert.equal(run(all, "/a%2f..%2fb"), "/b");
  assert.equal(run(all, "/a%5Cb"), "/a/b");
  assert.equal(run(all, "/a%2f%2fb"), "/a/b");
});

test("without options there is nothing to run", () => {
  assert.equal(compilePathNormalizer(NONE), null);
});

const piece = fc.constantFrom(
  "/",
  ".",
  "..",
  "a",
  "%2e",
  "%2E",
  "%2f",
  "%5c",
  "\\",
  "%",
  "%41",
  "%zz",
  "//",
  "b",
  "é",
  " ",
);
const path = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join("")}`);

test("what is in normal form stays as it is", () => {
  const normalize = compilePathNormalizer({ ...NONE, normalizePath: true, mergeSlashes: true });
  assert.ok(normalize);
  fc.assert(
    fc.property(path, (given) => {
      const once = normalize(given);
      assert.equal(once.kind, "ok");
      assert.deepEqual(normalize(once.path), once);
    }),
  );
});

test("no dot segment survives, and the query is never touched", () => {
  const normalize = compilePathNormalizer({ ...NONE, normalizePath: true });
  assert.ok(normalize);
  fc.assert(
    fc.property(path, (given) => {
      const verdict = normalize(`${given}?q=/../%2e`);
      assert.equal(verdict.kind, "ok");
      const [before = "", query] = verdict.path.split("?");
      assert.equal(query, "q=/../%2e");
      assert.ok(!before.split("/").some((segment) => segment === "." || segment === ".."), verdict.path);
    }),
  );
});

test("nothing that a peer can send makes it throw", () => {
  const everything = compilePathNormalizer({
    normalizePath: true,
    mergeSlashes: true,
    pathWithEscapedSlashes: "unescape_and_forward",
  });
  assert.ok(everything);
  const latin1 = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  fc.assert(
    fc.property(latin1, (bytes) => {
      everything(bytes);
    }),
  );
});
