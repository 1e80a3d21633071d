/** `/logging`: shows the levels of all components and changes them while the process runs. */
import { LOG_LEVELS, type LogLevel, logLevels } from "../../core/log.ts";
import type { AdminSource } from "./admin-source.ts";
import { type AdminPage, type AdminResponse, text } from "./handler.ts";

const USAGE = `
usage: /logging?<name>=<level> (change single level)
usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)
usage: /logging?level=<level> (change all levels)
levels: ${LOG_LEVELS.join(" ")}
`;

export const loggingPage: AdminPage = {
  path: "/logging",
  mutates: true,
  help: "query/change logging levels",
  parameters: { level: "Change all levels", paths: "Change several: name1:level1,name2:level2", NAME: "Change one" },
  handle({ query, source }) {
    const [first] = [...query];
    if (first === undefined) return text(activeLoggers());
    const [key, value] = first;
    if (key === "level") return change(source, [[undefined, value]]);
    if (key !== "paths") return change(source, [[key, value]]);
    return change(
      source,
      value.split(",").map((pair): [string, string] => {
        const colon = pair.lastIndexOf(":");
        return [pair.slice(0, colon), pair.slice(colon + 1)];
      }),
    );
  },
};

/** All changes or none. */
function change(
  source: AdminSource,
  changes: readonly (readonly [component: string | undefined, level: string])[],
): AdminResponse {
  const known = logLevels();
  const valid: [string | undefined, LogLevel][] = [];
  for (const [component, name] of changes) {
    const level = LOG_LEVELS.find((candidate) => candidate === name);
    if (level === undefined) return refused("unknown logger level");
    if (component !== undefined && !Object.hasOwn(known, component)) return refused("unknown logger name");
    valid.push([component, level]);
  }
  for (const [component, level] of valid) source.setLogLevel(level, component);
  return text(activeLoggers());
}

const refused = (problem: string): AdminResponse => text(`error: ${problem}\n${USAGE}${activeLoggers()}`, 400);

function activeLoggers(): string {
  const lines = Object.entries(logLevels()).map(([name, level]) => `  ${name}: ${level}\n`);
  return `active loggers:\n${lines.join("")}\n`;
}
