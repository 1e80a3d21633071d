/** `outrigger init`: the rules that lead a program's connections through the sidecar, without the program knowing. */

import { type Command, Option } from "commander";
import { INBOUND_PORT, OUTBOUND_PORT } from "../model/interception.ts";
import {
  type InterceptionFlags,
  ids,
  interfaces,
  port,
  ports,
  ranges,
  somePorts,
  someRanges,
} from "./init/settings.ts";
import { seconds } from "./sidecar-command.ts";

export interface InitFlags extends InterceptionFlags {
  readonly ipv6: boolean;
  readonly iptables?: string;
  readonly dryRun?: boolean;
  readonly cleanup?: boolean;
  readonly drainTimeS: number;
}

export function addInitCommand(program: Command): void {
  program
    .command("init")
    .description("intercept the connections of this machine or network namespace (Linux, iptables)")
    .option("--outbound-port <port>", "where the sidecar takes outbound connections", port, OUTBOUND_PORT)
    .option("--inbound-port <port>", "where the sidecar takes inbound connections", port, INBOUND_PORT)
    .option("--proxy-uid <ids>", "users whose connections are the sidecar's own; 1337 where no group is given", ids)
    .option("--proxy-gid <ids>", "groups whose connections are the sidecar's own; 1337 where no user is given", ids)
    .addOption(
      new Option("--inbound-mode <mode>", "tproxy keeps the caller's address")
        .choices(["redirect", "tproxy"])
        .default("redirect"),
    )
    .option("--include-inbound-ports <ports>", "inbound ports to intercept, * for all", somePorts, "all")
    .option("--exclude-inbound-ports <ports>", "inbound ports to leave alone", ports, [])
    .option("--include-inbound-ip-ranges <cidrs>", "callers to intercept, * for all", someRanges, "all")
    .option("--exclude-inbound-ip-ranges <cidrs>", "callers to leave alone", ranges, [])
    .option("--include-outbound-ip-ranges <cidrs>", "destinations to intercept, * for all", someRanges, "all")
    .option("--exclude-outbound-ip-ranges <cidrs>", "destinations to leave alone", ranges, [])
    .option("--include-outbound-ports <ports>", "outbound ports to intercept whatever the destination", ports, [])
    .option("--exclude-outbound-ports <ports>", "outbound ports to leave alone", ports, [])
    .option("--exclude-interfaces <names>", "interfaces to leave alone, both ways", interfaces, [])
    .option("--no-ipv6", "leave IPv6 alone")
    .option("--iptables <path>", "iptables, iptables-legacy or iptables-nft; the first that works where none is given")
    .option("--dry-run", "print what would be done, as a shell script, and change nothing")
    .option("--cleanup", "remove what init has added, and nothing else")
    .option("--drain-time-s <seconds>", "with --cleanup: how long open connections may go on", seconds, 5)
    .action(async (flags: InitFlags) => {
      const { runInit } = await import("./init/run-init.ts");
      runInit(flags);
    });
}
