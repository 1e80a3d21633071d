/** `outrigger sidecar`: runs any program in the mesh, and ends with it. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { LOG_LEVELS, type LogLevel, setLogLevel } from "../core/log.ts";

export interface SidecarFlags {
  readonly controlPlane: string;
  readonly service: string;
  readonly port: number;
  readonly namespace: string;
  readonly serviceAccount?: string;
  readonly label: readonly string[];
  readonly joinToken?: string;
  readonly state?: string;
  readonly certLifetime?: number;
  readonly drainTimeS: number;
  readonly logLevel: LogLevel;
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 65_535) throw new InvalidArgumentError("a port is needed.");
  return value;
}

function label(text: string, before: readonly string[]): readonly string[] {
  if (!/^[^=]+=.*$/.test(text)) throw new InvalidArgumentError("key=value is needed.");
  return [...before, text];
}

export function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("a number of seconds is needed.");
  return value;
}

export function addSidecarCommand(program: Command): void {
  program
    .command("sidecar")
    .description("run a program in the mesh, with a sidecar beside it")
    .requiredOption("--control-plane <host:port>", "where the control plane serves xDS")
    .requiredOption("--service <name>", "the service that the program is an instance of")
    .requiredOption("--port <port>", "where the program listens, on 127.0.0.1", port)
    .option("--namespace <name>", "its namespace", "default")
    .option("--service-account <name>", "identity of the workload; the service's name where none is given")
    .option("--label <key=value>", "label of the workload, for Service selectors (repeatable)", label, [])
    .addOption(
      new Option(
        "--join-token <token>",
        "one-time token from `outrigger token`; not needed as the control plane's user on its machine",
      ).env("OUTRIGGER_JOIN_TOKEN"),
    )
    .option("--state <dir>", "state directory of a control plane on this machine")
    .option("--cert-lifetime <seconds>", "asked of the CA for the workload's certificate", seconds)
    .option("--drain-time-s <seconds>", "deadline of a drain", seconds, 10)
    .addOption(
      new Option("-l, --log-level <level>", "level of the sidecar's own log")
        .choices([...LOG_LEVELS])
        .default("warning"),
    )
    .argument("[command...]", "the program, after --; without one the sidecar runs until it is stopped")
    .action(async (command: string[], flags: SidecarFlags) => {
      setLogLevel(flags.logLevel);
      const { runSidecar } = await import("./sidecar/run-sidecar.ts");
      await runSidecar(flags, command);
    });
}
