/** `outrigger run`: a program in a network of its own, all of whose connections go through its sidecar. */
import { type Command, InvalidArgumentError } from "commander";
import { formatIp, parseIp } from "../core/ip.ts";
import { setLogLevel } from "../core/log.ts";
import type { PublishedPort } from "./run/published-ports.ts";
import { addWorkloadOptions, port, type WorkloadFlags } from "./sidecar-command.ts";

export interface RunFlags extends WorkloadFlags {
  readonly publish: readonly PublishedPort[];
}

/** `8080`, `8080:80`, `0.0.0.0:8080:80`, `[::1]:8080:80`; loopback where no address is given. */
export function publishedPort(text: string, before: readonly PublishedPort[]): readonly PublishedPort[] {
  const [, address = "127.0.0.1", outer = "", inner = outer] =
    /^(?:(\d+\.[\d.]+|\[[^\]]+\]):)?(\d+)(?::(\d+))?$/.exec(text) ?? [];
  const ip = parseIp(address.replace(/^\[(.*)\]$/, "$1"));
  if (outer === "" || ip === null) {
    throw new InvalidArgumentError(
      "[ADDRESS:]PORT[:PORT] is needed, as in 8080:80: of this machine, and of the program.",
    );
  }
  return [...before, { host: formatIp(ip), port: port(outer), inside: port(inner) }];
}

export function addRunCommand(program: Command): void {
  addWorkloadOptions(
    program
      .command("run")
      .description(
        "run a program in a network namespace of its own, in the mesh without changed addresses (Linux, root)",
      ),
  )
    .option(
      "--publish <port>",
      "port of this machine that leads to the program: [ADDRESS:]PORT[:PORT] (repeatable)",
      publishedPort,
      [],
    )
    .argument("<command...>", "the program, after --")
    .action(async (command: string[], flags: RunFlags) => {
      setLogLevel(flags.logLevel);
      const [{ runSidecar }, { namespaceSurroundings }] = await Promise.all([
        import("./sidecar/run-sidecar.ts"),
        import("./run/surroundings.ts"),
      ]);
      await runSidecar(flags, command, await namespaceSurroundings(flags));
    });
}
