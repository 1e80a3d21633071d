/** `outrigger wait`: comes back when every sidecar that an object concerns has accepted it as it is now. */
import { type Command, InvalidArgumentError } from "commander";

export interface WaitFlags {
  readonly namespace: string;
  readonly generation?: number;
  readonly revision?: string;
  /** `1m30s` */
  readonly timeout: string;
  /** Their status ports. */
  readonly controlPlane?: readonly string[];
  readonly systemNamespace: string;
  readonly state?: string;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("a whole number is needed.");
  return Number(text);
}

export function addWaitCommand(program: Command): void {
  program
    .command("wait")
    .description("wait until every sidecar that an object concerns has accepted it")
    .argument("<object>", "its kind and name: HTTPRoute/orders")
    .option("-n, --namespace <name>", "the object's namespace", "default")
    .option("--generation <number>", "at least this one; in a cluster, the one that its API server has", wholeNumber)
    .option("--revision <revision>", "exactly this one, as /applied and an earlier wait tell it")
    .option("--timeout <duration>", "how long to wait, as in 60s or 1m30s", "60s")
    .option(
      "--control-plane <host:port>",
      "status port of a control plane, once for each; those of the cluster that KUBECONFIG names, or else the one of this machine",
      (one: string, others: readonly string[] | undefined) => [...(others ?? []), one],
    )
    .option("--system-namespace <name>", "where a cluster's control planes are", "outrigger-system")
    .option("--state <dir>", "state directory of the control plane of this machine")
    .action(async (object: string, flags: WaitFlags) => {
      const { runWait } = await import("./wait/run-wait.ts");
      await runWait(object, flags);
    });
}
