/** The `outrigger` command. Each subcommand's code is loaded only when it is called. */
import { isMainThread } from "node:worker_threads";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { messageOf, UserError } from "../core/errors.ts";
import { addControlPlaneCommand } from "./control-plane-command.ts";
import { addDemoCommand } from "./demo-command.ts";
import { addInitCommand } from "./init-command.ts";
import { addInjectCommand } from "./inject-command.ts";
import { addProxyCommand } from "./proxy-command.ts";
import { addRunCommand } from "./run-command.ts";
import { addSidecarCommand } from "./sidecar-command.ts";
import { addTokenCommand } from "./token-command.ts";
import { VERSION } from "./version.ts";
import { addWaitCommand } from "./wait-command.ts";

/** The bundle is the file that workers are started from, too. */
if (isMainThread) run();
else void import("./workers/worker-main.ts");

function run(): void {
  const program = new Command("outrigger")
    .description("A service mesh that speaks Envoy's xDS: sidecar, control plane, and a mesh on one machine.")
    .version(VERSION)
    .showHelpAfterError("(add --help for the options)")
    .enablePositionalOptions()
    .exitOverride();

  addProxyCommand(program);
  addSidecarCommand(program);
  addRunCommand(program);
  addControlPlaneCommand(program);
  addTokenCommand(program);
  addWaitCommand(program);
  addInitCommand(program);
  addInjectCommand(program);
  addDemoCommand(program);

  program.parseAsync(process.argv).catch((error: unknown) => {
    if (error instanceof CommanderError || error instanceof InvalidArgumentError) {
      // Commander has printed its message; a wrong flag is bad usage, --help and --version are not.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
    } else if (error instanceof UserError) {
      process.stderr.write(`outrigger: ${error.message}\n`);
      process.exit(error.exitCode);
    } else {
      process.stderr.write(`outrigger: ${messageOf(error)}\n`);
      process.exit(1);
    }
  });
}
