/** What was found about objects, in the log. */
import type { Logger } from "../core/log.ts";
import type { Finding } from "./mesh/state.ts";

/** Logs each finding once for as long as it stands. */
export function findingsTeller(log: Logger): (findings: readonly Finding[]) => void {
  let told = new Set<string>();
  return (findings) => {
    const now = new Set<string>();
    for (const { key, source, message } of findings) {
      const text = `${source}: ${key}: ${message}`;
      now.add(text);
      if (!told.has(text)) log.warn({}, text);
    }
    told = now;
  };
}
