/** Structured logs on stderr (JSON lines), one logger per component, levels changeable while running. */
import { pino } from "pino";

/** Envoy's level names, as `--log-level` and `/logging` take them. */
export type LogLevel = "trace" | "debug" | "info" | "warning" | "error" | "critical" | "off";

export const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warning", "error", "critical", "off"];

const PINO_LEVEL: Record<LogLevel, string> = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "error",
  critical: "fatal",
  off: "silent",
};

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const root = pino(
  { base: null, timestamp: pino.stdTimeFunctions.isoTime, level: "info" },
  pino.destination({ dest: 2, sync: true }),
);
const components = new Map<string, ReturnType<typeof root.child>>();

/** The logger of one component (`listener`, `xds`, `certs` …); the same name gives the same logger. */
export function logger(component: string): Logger {
  let child = components.get(component);
  if (!child) {
    child = root.child({ component });
    child.level = root.level;
    components.set(component, child);
  }
  return child;
}

/** Sets the level of every logger, or of one component. */
export function setLogLevel(level: LogLevel, component?: string): void {
  if (component !== undefined) {
    logger(component);
    const child = components.get(component);
    if (child) child.level = PINO_LEVEL[level];
    return;
  }
  root.level = PINO_LEVEL[level];
  for (const child of components.values()) child.level = PINO_LEVEL[level];
}

/** The levels in force, by component. */
export function logLevels(): Record<string, LogLevel> {
  return Object.fromEntries([...components].map(([name, child]) => [name, levelOf(child.level)]));
}

/** The level of components that have none of their own yet. */
export function defaultLogLevel(): LogLevel {
  return levelOf(root.level);
}

function levelOf(level: string): LogLevel {
  const names = Object.entries(PINO_LEVEL) as [LogLevel, string][];
  return names.find(([, name]) => name === level)?.[0] ?? "info";
}
