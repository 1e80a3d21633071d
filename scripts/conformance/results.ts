/** What the suite wrote, as a table. */

export interface TestResult {
  readonly name: string;
  readonly outcome: "PASS" | "FAIL" | "SKIP";
}

/** A line of `go test -v` that ends one of the suite's tests, not a part of one; null for any other. */
export function resultOf(line: string): TestResult | null {
  const [, outcome, name = ""] = /^ {4}--- (PASS|FAIL|SKIP): TestConformance\/([^/\s]+) \([0-9.]+s\)$/.exec(line) ?? [];
  if (outcome !== "PASS" && outcome !== "FAIL" && outcome !== "SKIP") return null;
  return { name, outcome };
}

/** The tests that were run, by name, and a sum. Those that are not for meshes are skipped, and left out. */
export function tableOf(results: readonly TestResult[]): string {
  const ran = results.filter(({ outcome }) => outcome !== "SKIP");
  const width = Math.max(4, ...ran.map(({ name }) => name.length));
  const rows = [...ran]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, outcome }) => `${name.padEnd(width)}  ${outcome}`);
  const passed = ran.filter(({ outcome }) => outcome === "PASS").length;
  return [...rows, `${passed} of ${ran.length} passed`].join("\n");
}

/** Whether there was something to pass, and all of it did. */
export function allPassed(results: readonly TestResult[]): boolean {
  return results.some(({ outcome }) => outcome === "PASS") && results.every(({ outcome }) => outcome !== "FAIL");
}
