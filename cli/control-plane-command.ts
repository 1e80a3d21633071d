/** `outrigger control-plane`: watches manifests, issues certificates, serves xDS. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { LOG_LEVELS, type LogLevel, setLogLevel } from "../core/log.ts";
import { addClusterOptions, type ClusterFlags, checkClusterFlags } from "./control-plane/cluster-flags.ts";
import { seconds } from "./sidecar-command.ts";

export interface ControlPlaneFlags extends ClusterFlags {
  readonly config?: string;
  readonly kubernetes?: boolean;
  readonly state?: string;
  readonly trustDomain: string;
  /** undefined: where there is a cluster none, else 15010. */
  readonly xdsPort?: number;
  readonly xdsTlsPort: number;
  readonly host: string;
  readonly statusPort: number;
  readonly statusHost: string;
  readonly certLifetime?: number;
  readonly intermediate?: boolean;
  readonly rotateRootAfter?: number;
  readonly logLevel: LogLevel;
  readonly mode: "serve" | "validate";
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new InvalidArgumentError("a port is needed (0: any free one).");
  return value;
}

export function addControlPlaneCommand(program: Command): void {
  const command = program
    .command("control-plane")
    .description("serve configuration and certificates to sidecars")
    .option("--config <dir>", "directory of manifests, watched")
    .addOption(
      new Option(
        "--kubernetes",
        "read the configuration from the Kubernetes API: of this pod's cluster, or the one that KUBECONFIG names",
      ).conflicts("config"),
    )
    .option("--state <dir>", "CA, join tokens and registrations; ~/.local/state/outrigger where none is given")
    .option("--trust-domain <name>", "trust domain of the mesh", "cluster.local")
    .option("--xds-port <port>", "xDS in plaintext, on 127.0.0.1 only; 15010, with --kubernetes none", port)
    .option("--xds-tls-port <port>", "xDS and CA over TLS", port, 15012)
    .option("--host <address>", "where the TLS port is bound", "127.0.0.1")
    .option("--status-port <port>", "status, metrics and probes", port, 15014)
    .option("--status-host <address>", "where the status port is bound", "127.0.0.1")
    .option(
      "--cert-lifetime <seconds>",
      "of workload certificates that ask for none; 24 h where none is given",
      seconds,
    )
    .option("--intermediate", "sign workload certificates with an intermediate under the root")
    .option(
      "--rotate-root-after <seconds>",
      "make a new root when the one that signs has done so for this long; never where none is given",
      seconds,
    )
    .addOption(
      new Option("--mode <mode>", "serve, or only validate the manifests")
        .choices(["serve", "validate"])
        .default("serve"),
    )
    .addOption(new Option("-l, --log-level <level>", "level of the log").choices([...LOG_LEVELS]).default("info"));
  addClusterOptions(command, port).action(async (flags: ControlPlaneFlags) => {
    checkClusterFlags(command);
    setLogLevel(flags.logLevel);
    const { runControlPlane, validateConfig } = await import("./run-control-plane.ts");
    await (flags.mode === "validate" ? validateConfig(flags) : runControlPlane(flags));
  });
}
