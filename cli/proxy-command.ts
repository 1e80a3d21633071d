/** `outrigger proxy`: runs an Envoy bootstrap, with Envoy's own flags. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { UserError } from "../core/errors.ts";
import { LOG_LEVELS, type LogLevel, setLogLevel } from "../core/log.ts";
import { CONCURRENCY_HELP, wholeNumber } from "./workers/concurrency.ts";

interface ProxyFlags {
  readonly configPath?: string;
  readonly configYaml?: string;
  readonly mode: "serve" | "validate";
  readonly serviceNode?: string;
  readonly serviceCluster?: string;
  readonly serviceZone?: string;
  readonly drainTimeS: number;
  readonly logLevel: LogLevel;
  readonly componentLogLevel?: string;
  readonly fileFlushIntervalMsec: number;
  readonly concurrency: number;
}

/** Envoy's names, and those that its users write as well. */
const LEVEL_ALIASES: Readonly<Record<string, LogLevel>> = { warn: "warning", err: "error" };

function levelOf(text: string): LogLevel | undefined {
  const level = LEVEL_ALIASES[text] ?? text;
  return LOG_LEVELS.find((name) => name === level);
}

function logLevel(text: string): LogLevel {
  const level = levelOf(text);
  if (level === undefined) throw new InvalidArgumentError(`one of ${LOG_LEVELS.join(", ")} is needed.`);
  return level;
}

function componentLevel(text: string): LogLevel {
  const level = levelOf(text);
  if (level === undefined) {
    throw new UserError(`--component-log-level: "${text}" is none of ${LOG_LEVELS.join(", ")}`, 2);
  }
  return level;
}

/** Flags that mesh agents give Envoy and that mean nothing here, each with the reason. */
const ACCEPTED: readonly (readonly [flag: string, reason: string])[] = [
  ["--drain-strategy <strategy>", "connections are always drained at once, callers are told with their next response"],
  ["--local-address-ip-version <version>", "both families are always served"],
  ["--disable-hot-restart", "there is no hot restart"],
  ["--parent-shutdown-time-s <seconds>", "there is no hot restart"],
  ["--base-id <id>", "there is no shared memory between processes"],
  ["--restart-epoch <epoch>", "there is no hot restart"],
  ["--use-dynamic-base-id", "there is no shared memory between processes"],
  [
    "--allow-unknown-static-fields",
    "unknown fields are always refused: what is not understood is not silently skipped",
  ],
  ["--reject-unknown-dynamic-fields", "they always are"],
  ["--ignore-unknown-dynamic-fields", "unknown fields are always refused"],
  ["--skip-deprecated-logs", "nothing is logged about deprecated fields"],
  ["--log-format <format>", "logs are JSON lines"],
];

export function addProxyCommand(program: Command): void {
  const command = program
    .command("proxy")
    .description("run an Envoy bootstrap file (YAML or JSON)")
    .option("-c, --config-path <file>", "Envoy bootstrap, YAML or JSON")
    .option("--config-yaml <yaml>", "bootstrap as text, merged over the file")
    .addOption(
      new Option("--mode <mode>", "serve, or only validate the configuration")
        .choices(["serve", "validate"])
        .default("serve"),
    )
    .option("--service-node <id>", "node id told to the control plane")
    .option("--service-cluster <name>", "node cluster told to the control plane")
    .option("--service-zone <zone>", "node zone told to the control plane")
    .option("--drain-time-s <seconds>", "deadline of a drain", wholeNumber, 600)
    .addOption(
      new Option("-l, --log-level <level>", `one of ${LOG_LEVELS.join(", ")}`).argParser(logLevel).default("info"),
    )
    .option("--component-log-level <list>", "levels by component: xds:debug,listener:info")
    .option("--file-flush-interval-msec <ms>", "how long access log lines may wait", wholeNumber, 10_000)
    .option("--concurrency <n>", CONCURRENCY_HELP, wholeNumber, 1);
  for (const [flag, reason] of ACCEPTED) command.addOption(new Option(flag, `accepted and ignored: ${reason}`));
  command.action(async (flags: ProxyFlags) => {
    setLogLevel(flags.logLevel);
    for (const item of flags.componentLogLevel?.split(",").filter(Boolean) ?? []) {
      const [component, level] = item.split(":");
      if (!component || !level) throw new UserError(`--component-log-level: "${item}" is not component:level`, 2);
      setLogLevel(componentLevel(level), component);
    }
    const { runProxy } = await import("./run-proxy.ts");
    await runProxy(flags);
  });
}

export type { ProxyFlags };
