/** `outrigger token`: a one-time join token for a sidecar on another machine or of another user. */
import type { Command } from "commander";
import { seconds } from "./sidecar-command.ts";
import { defaultStateDir } from "./state-home.ts";

interface TokenFlags {
  readonly service: string;
  readonly namespace: string;
  readonly serviceAccount?: string;
  readonly trustDomain: string;
  readonly ttl: number;
  readonly state?: string;
}

export function addTokenCommand(program: Command): void {
  program
    .command("token")
    .description("print a one-time join token, bound to one identity")
    .requiredOption("--service <name>", "the service that will join")
    .option("--namespace <name>", "its namespace", "default")
    .option("--service-account <name>", "its identity; the service's name where none is given")
    .option("--trust-domain <name>", "trust domain of the mesh", "cluster.local")
    .option("--ttl <seconds>", "how long it may wait to be used", seconds, 600)
    .option("--state <dir>", "the control plane's state directory")
    .action(async (flags: TokenFlags) => {
      const [{ JoinTokens, readRootPins }, { systemClock }] = await Promise.all([
        import("../certs/join-token.ts"),
        import("../core/clock.ts"),
      ]);
      const stateDir = flags.state ?? defaultStateDir();
      const identity = {
        trustDomain: flags.trustDomain,
        namespace: flags.namespace,
        serviceAccount: flags.serviceAccount ?? flags.service,
      };
      const token = new JoinTokens(stateDir, systemClock).mint(identity, flags.ttl * 1000, readRootPins(stateDir));
      process.stdout.write(`${token}\n`);
    });
}
