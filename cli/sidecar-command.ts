/** `outrigger sidecar`: runs any program in the mesh, and ends with it. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { formatIp, parseIp } from "../core/ip.ts";
import { LOG_LEVELS, type LogLevel, setLogLevel } from "../core/log.ts";
import { type AppHealthCheck, appHealthCheck } from "./sidecar/app-health-check.ts";
import { CONCURRENCY_HELP, wholeNumber } from "./workers/concurrency.ts";

/** What a sidecar is told of its workload, however the program's connections come to it. */
export interface WorkloadFlags {
  readonly controlPlane: string;
  readonly service: string;
  readonly port: number;
  readonly namespace: string;
  readonly serviceAccount?: string;
  readonly trustDomain?: string;
  readonly label: readonly string[];
  readonly joinToken?: string;
  readonly state?: string;
  readonly certLifetime?: number;
  readonly user?: string;
  readonly concurrency: number;
  readonly drainTimeS: number;
  readonly logLevel: LogLevel;
}

/** A request for this path of a port passes in plaintext, also where mutual TLS is required. */
export interface HealthProbe {
  readonly port: number;
  readonly path: string;
}

/** What is told to a sidecar that stands in a pod of a cluster; the injector writes these flags. */
export interface PodFlags {
  readonly pod?: string;
  readonly tokenFile?: string;
  readonly rootsFile?: string;
  readonly labelsFile?: string;
  readonly appHealth: readonly AppHealthCheck[];
}

export interface SidecarFlags extends WorkloadFlags, PodFlags {
  readonly interception?: "redirect" | "tproxy" | "none";
  readonly address: readonly string[];
  readonly probe: readonly HealthProbe[];
}

export function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 65_535) throw new InvalidArgumentError("a port is needed.");
  return value;
}

function label(text: string, before: readonly string[]): readonly string[] {
  if (!/^[^=]+=.*$/.test(text)) throw new InvalidArgumentError("key=value is needed.");
  return [...before, text];
}

/** `8080/healthz`. */
export function probe(text: string, before: readonly HealthProbe[]): readonly HealthProbe[] {
  const [, number = "", path = ""] = /^(\d+)(\/[^?#\s]*)$/.exec(text) ?? [];
  if (path === "") throw new InvalidArgumentError("PORT/PATH is needed, as in 8080/healthz.");
  return [...before, { port: port(number), path }];
}

/** Several with commas, as Kubernetes gives `status.podIPs`. */
export function addresses(text: string, before: readonly string[]): readonly string[] {
  const all = [...before];
  for (const one of text.split(",")) {
    const ip = parseIp(one.trim());
    if (ip === null) throw new InvalidArgumentError("an IP address is needed.");
    const host = formatIp(ip);
    if (!all.includes(host)) all.push(host);
  }
  return all;
}

export function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("a number of seconds is needed.");
  return value;
}

/** The flags of `WorkloadFlags`. */
export function addWorkloadOptions(command: Command): Command {
  return command
    .requiredOption("--control-plane <host:port>", "where the control plane serves xDS")
    .requiredOption("--service <name>", "the service that the program is an instance of")
    .requiredOption("--port <port>", "where the program listens, on 127.0.0.1", port)
    .option("--namespace <name>", "its namespace", "default")
    .option("--service-account <name>", "identity of the workload; the service's name where none is given")
    .option("--trust-domain <name>", "of the mesh; that of the control plane on this machine where none is given")
    .option("--label <key=value>", "label of the workload, for Service selectors (repeatable)", label, [])
    .addOption(
      new Option(
        "--join-token <token>",
        "one-time token from `outrigger token`; not needed as the control plane's user on its machine",
      ).env("OUTRIGGER_JOIN_TOKEN"),
    )
    .option("--state <dir>", "state directory of a control plane on this machine")
    .option("--cert-lifetime <seconds>", "asked of the CA for the workload's certificate", seconds)
    .option(
      "--user <name>",
      "whom the program runs as, by name, UID or UID:GID; the sidecar's user where none is given",
    )
    .option("--concurrency <n>", CONCURRENCY_HELP, wholeNumber, 1)
    .option("--drain-time-s <seconds>", "deadline of a drain", seconds, 10)
    .addOption(
      new Option("-l, --log-level <level>", "level of the sidecar's own log")
        .choices([...LOG_LEVELS])
        .default("warning"),
    );
}

export function addSidecarCommand(program: Command): void {
  addWorkloadOptions(program.command("sidecar").description("run a program in the mesh, with a sidecar beside it"))
    .addOption(
      new Option(
        "--interception <mode>",
        "take the connections that the rules of `outrigger init` lead here; its --inbound-mode. none: there are no rules, " +
          "peers call port 15006 at --address, and the program calls 127.0.0.1:15001 as its HTTP proxy",
      ).choices(["redirect", "tproxy", "none"]),
    )
    .option(
      "--address <ip>",
      "with --interception: what peers call, the best first (repeatable); the first IPv4 and the first IPv6 address",
      addresses,
      [],
    )
    .option(
      "--probe <port/path>",
      "with --interception: health probe that passes without mutual TLS (repeatable)",
      probe,
      [],
    )
    .option("--pod <name>", "the pod of a cluster that this is in")
    .option("--token-file <file>", "service-account token that proves who the workload is, read for each request")
    .option("--roots-file <file>", "the mesh's roots in PEM, read for each request; needed with --token-file")
    .option("--labels-file <file>", "the pod's labels, as the downward API writes them")
    .option(
      "--app-health <check>",
      "tcp/PORT, grpc/PORT/SERVICE or https/PORT/PATH: what port 15021 answers for the program under /app-health/ (repeatable)",
      appHealthCheck,
      [],
    )
    .argument("[command...]", "the program, after --; without one the sidecar runs until it is stopped")
    .action(async (command: string[], flags: SidecarFlags) => {
      setLogLevel(flags.logLevel);
      const [{ runSidecar }, { surroundingsOf }] = await Promise.all([
        import("./sidecar/run-sidecar.ts"),
        import("./sidecar/surroundings.ts"),
      ]);
      await runSidecar(flags, command, await surroundingsOf(flags, command.length > 0));
    });
}
