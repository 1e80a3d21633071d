/** Two observations of one case side by side: what only one of them has, and whether that was meant. */
import type { Compared } from "./case.ts";

/** Lines of `a` that `b` does not have, repetitions counted. */
export function missing(a: readonly string[], b: readonly string[]): string[] {
  const rest = new Map<string, number>();
  for (const line of b) rest.set(line, (rest.get(line) ?? 0) + 1);
  return a.filter((line) => {
    const left = rest.get(line) ?? 0;
    if (left > 0) rest.set(line, left - 1);
    return left === 0;
  });
}

/** What is wrong, as lines for people; null if the proxies agree, or differ just as the case says. */
export function judge(
  testCase: Compared,
  id: string,
  envoy: readonly string[],
  outrigger: readonly string[],
): readonly string[] | null {
  const seen = testCase.view ?? ((lines: readonly string[]) => lines);
  const [ours, theirs] = [seen(outrigger), seen(envoy)];
  const onlyEnvoy = missing(theirs, ours);
  const onlyOurs = missing(ours, theirs);
  const inOrder = onlyEnvoy.length > 0 || onlyOurs.length > 0 || theirs.every((line, index) => line === ours[index]);
  const { differs } = testCase;
  const fill = (lines: readonly string[]): string[] => lines.map((line) => line.replaceAll("{case}", id));
  const expectedEnvoy = fill(differs?.envoy ?? []);
  const expectedOurs = fill(differs?.outrigger ?? []);
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    a.length === b.length && missing(a, b).length === 0;
  if (same(onlyEnvoy, expectedEnvoy) && same(onlyOurs, expectedOurs)) {
    return inOrder ? null : ["the same lines in another order:", ...theirs.map((line) => `  ${line}`)];
  }
  const shown = (sign: string, lines: readonly string[]): string[] => lines.map((line) => `${sign} ${line}`);
  const report = [...shown("- envoy    ", onlyEnvoy), ...shown("+ outrigger", onlyOurs)];
  if (differs === undefined) return report;
  return [
    ...report,
    `but the case says, because ${differs.why}:`,
    ...shown("- envoy    ", expectedEnvoy),
    ...shown("+ outrigger", expectedOurs),
  ];
}
