/**
 * The lists in `docs/differences-from-envoy.md`, made from the cases that the real Envoy was asked about.
 * `test/envoy-support.test.ts` holds the page to them.
 */
import { areas } from "../test/envoy/cases/all.ts";
import { VALIDITY_CASES } from "../xds/testing/cases/all.ts";

/** `text` with both lists written anew. Throws where a marker is missing. */
export function withDifferences(text: string): string {
  return replaceBetween(replaceBetween(text, "cases", differingCases()), "validity", differingVerdicts());
}

function differingCases(): string {
  const rows = areas.flatMap(({ name: area, cases }) =>
    cases.flatMap(({ name, differs }) => (differs ? [[area, name, differs.why]] : [])),
  );
  return table(["area", "case", "why"], rows);
}

function differingVerdicts(): string {
  const rows = Object.entries(VALIDITY_CASES).flatMap(([group, cases]) =>
    cases.flatMap(({ name, refused, envoyDiffers }) =>
      envoyDiffers === undefined ? [] : [[group, name, refused ? "refused" : "accepted", envoyDiffers]],
    ),
  );
  return table(["about", "case", "Outrigger", "why Envoy says otherwise"], rows);
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...rows.map(line)].join("\n");
}

function replaceBetween(text: string, marker: string, content: string): string {
  const begin = `<!-- ${marker}:begin -->`;
  const end = `<!-- ${marker}:end -->`;
  const [before, rest] = text.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`no ${begin} … ${end}`);
  return `${before}${begin}\n\n${content}\n\n${end}${after}`;
}
