/** The script's output: what was done, what was measured, and whether it is as it should be. */

export interface Report {
  /** Begins a point of the script. */
  begin(title: string): void;
  /** Something that was done or measured, without a criterion. */
  note(text: string): void;
  /** Something that was measured, and the criterion that it meets or does not. */
  check(holds: boolean, measured: string, criterion: string): void;
  /** Points that did not hold, in order. */
  readonly failed: readonly string[];
}

export function createReport(write: (line: string) => void): Report {
  const failed: string[] = [];
  let point = "start";
  return {
    failed,
    begin(title) {
      point = title;
      write(`\n${title}`);
    },
    note: (text) => write(`    ${text}`),
    check(holds, measured, criterion) {
      write(`  ${holds ? "✓" : "✗"} ${measured} (${criterion})`);
      if (!holds && failed.at(-1) !== point) failed.push(point);
    },
  };
}

/** `1.3 s`, `180 ms`. */
export function duration(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`;
}

/** `29.7 %`. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)} %`;
}
