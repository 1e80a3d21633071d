/** `outrigger demo`: a small mesh on this machine. */
import type { Command } from "commander";

export interface DemoFlags {
  readonly once?: boolean;
}

export function addDemoCommand(program: Command): void {
  program
    .command("demo")
    .description("run a small mesh on this machine: three services, a sidecar beside each, a control plane")
    .option("--once", "play a script of about 20 seconds, print what was shown, and exit")
    .action(async (flags: DemoFlags) => {
      const { runDemo } = await import("./demo/run-demo.ts");
      await runDemo(flags);
    });
}
