/** Normalising a path before it is routed. */
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { get } from "../harness/http.ts";

const normal = (fields: JsonObject): JsonObject => ({ normalize_path: true, ...fields });

function normalized(title: string, manager: JsonObject, paths: readonly string[]): Case[] {
  return paths.map((target) => ({ name: `${title}: ${target}`, manager, steps: get(target) }));
}

const PATHS = [
  "/a/../b",
  "/a/./b",
  "/a//b",
  "/%2e%2e/a",
  "/a/%2E/b",
  "/a%2fb",
  "/a%2Fb?x=%2f",
  "/a%5cb",
  "/a\\b",
  "/%41",
  "/a/..",
  "/../a",
  "/a;b=c/../d",
  "/a/b?c=/../d",
  "/a%zz",
  "/a%00b",
];

const cases: Case[] = [
  ...normalized("untouched path", {}, ["/a/../b", "/a//b", "/a%2fb", "/a\\b"]),
  ...normalized("normalised path", normal({}), PATHS),
  ...normalized("merged slashes", normal({ merge_slashes: true }), ["//a///b//", "/a//../b", "/a?x=//"]),
  ...normalized("merged slashes alone", { merge_slashes: true }, ["//a///b"]),
  ...normalized("escaped slashes rejected", { path_with_escaped_slashes_action: "REJECT_REQUEST" }, [
    "/a%2Fb",
    "/a%5Cb",
    "/a?b=%2F",
  ]),
  ...normalized("escaped slashes redirected", { path_with_escaped_slashes_action: "UNESCAPE_AND_REDIRECT" }, [
    "/a%2fb?c",
    "/a%5Cb",
    "/a",
  ]),
  ...normalized("escaped slashes forwarded", { path_with_escaped_slashes_action: "UNESCAPE_AND_FORWARD" }, [
    "/a%2fb?c=%2f",
    "/a%5Cb",
  ]),
  ...normalized(
    "escaped slashes forwarded, then normalised",
    normal({ path_with_escaped_slashes_action: "UNESCAPE_AND_FORWARD", merge_slashes: true }),
    ["/a%2f..%2fb", "/a%2f%2fb"],
  ),
];

export const paths: Area = {
  name: "paths",
  cases,
};
