/** The machine as far as interception needs it, so that what is done with it can be tried without one. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { codeOf } from "../../core/errors.ts";

export interface CommandResult {
  /** Exit code; null where there is no such program. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface System {
  run(program: string, args: readonly string[], input?: string): CommandResult;
  /** Text of a file of the kernel's; null where it can't be read. */
  read(file: string): string | null;
  /** Waits. */
  sleep(ms: number): void;
}

export const machine: System = {
  run(program, args, input = "") {
    const { status, stdout, stderr, error, signal } = spawnSync(program, [...args], { input, encoding: "utf8" });
    if (codeOf(error) === "ENOENT") return { code: null, stdout: "", stderr: "" };
    const failure = error?.message ?? (signal === null ? "" : `ended by ${signal}`);
    return { code: status ?? 1, stdout: stdout ?? "", stderr: failure === "" ? stderr : `${failure}\n${stderr ?? ""}` };
  },
  read(file) {
    try {
      return readFileSync(file, "utf8");
    } catch {
      return null;
    }
  },
  sleep(ms) {
    // The command has nothing else to do meanwhile.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },
};

const CAPABILITIES = { NET_ADMIN: 12n, NET_RAW: 13n, SYS_ADMIN: 21n } as const;
export type Capability = keyof typeof CAPABILITIES;

/** Those of `needed` (what changing rules takes, where nothing else is said) that this process lacks. Empty where that is not known. */
export function missingRights(
  system: System,
  needed: readonly Capability[] = ["NET_ADMIN", "NET_RAW"],
): readonly Capability[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(system.read("/proc/self/status") ?? "")?.[1];
  if (effective === undefined) return [];
  const held = BigInt(`0x${effective}`);
  return needed.filter((name) => ((held >> CAPABILITIES[name]) & 1n) === 0n);
}

/** Whether this machine, or this network namespace, has IPv6 at all; where not, in which words. */
export function withoutIpv6(system: System): string | null {
  const disabled = system.read("/proc/sys/net/ipv6/conf/all/disable_ipv6");
  if (disabled === null) return "this machine has no IPv6";
  const addresses = system.read("/proc/net/if_inet6") ?? "";
  return disabled.trim() === "1" && addresses === ""
    ? "IPv6 is switched off here (net.ipv6.conf.all.disable_ipv6)"
    : null;
}

/** Connections that are open at a local port of this network namespace, by /proc/net/tcp and tcp6. */
export function openConnections(system: System, ports: readonly number[]): number {
  let open = 0;
  for (const file of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of (system.read(file) ?? "").split("\n")) {
      const [, local = "", , state = ""] = line.trim().split(/\s+/);
      // 0A: it listens; 06: TIME_WAIT; 07: closed.
      const live = /^[0-9A-F]{2}$/.test(state) && !["0A", "06", "07"].includes(state);
      if (live && ports.includes(Number.parseInt(local.split(":")[1] ?? "", 16))) open++;
    }
  }
  return open;
}
