/** `outrigger demo`: a small mesh on this machine; and, hidden, the programs that it consists of. */
import type { Command } from "commander";

export interface DemoFlags {
  readonly once?: boolean;
  readonly transparent?: boolean;
}

export function addDemoCommand(program: Command): void {
  program
    .command("demo")
    .description("run a small mesh on this machine: four services, a sidecar beside each, a control plane")
    .option("--once", "play a script of about 20 seconds, print what was shown, and exit")
    .option(
      "--transparent",
      "each program in a network of its own, calling others by name as if there were no mesh (Linux, root)",
    )
    .action(async (flags: DemoFlags) => {
      const { runDemo } = await import("./demo/run-demo.ts");
      await runDemo(flags);
    });
  program
    .command("demo-app", { hidden: true })
    .arguments("<name> <port> [instance]")
    .option("--by-name")
    .action(async (name: string, port: string, instance: string | undefined, flags: { readonly byName?: boolean }) => {
      const [{ runApp }, { byName, fromEnvironment }] = await Promise.all([
        import("./demo/apps/run-app.ts"),
        import("./demo/apps/peer.ts"),
      ]);
      runApp(name, Number(port), instance ?? "", flags.byName ? byName : fromEnvironment);
    });
  program
    .command("demo-undertaker", { hidden: true })
    .argument("<directory>")
    .action(async (directory: string) => {
      const { runUndertaker } = await import("./demo/undertaker.ts");
      runUndertaker(directory);
    });
}
