/** Access logs of sidecars: JSON lines on stderr, where a MeshPolicy asks for them. */
import type { Daemon } from "./daemon.ts";

export type LogLine = Readonly<Record<string, unknown>>;

/** The first line from the `from`th on that is as wanted; waits for it, because lines are written together. */
export async function accessLog(sidecar: Daemon, wanted: (line: LogLine) => boolean, from = 0): Promise<LogLine> {
  let found: LogLine | undefined;
  await sidecar.until(() => {
    found = linesOf(sidecar.output).slice(from).find(wanted);
    return found !== undefined;
  });
  return found ?? {};
}

export function linesOf(output: string): readonly LogLine[] {
  return output.split("\n").flatMap((line) => {
    if (!line.startsWith("{") || !line.endsWith("}")) return [];
    const parsed = JSON.parse(line) as LogLine;
    // The sidecar's own log is JSON as well.
    return "response_flags" in parsed ? [parsed] : [];
  });
}
