/** A network namespace in which rules lead the callers of intercepted cases to the proxy, whoever it is. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Side } from "../proxy.ts";
import type { TcpArea, TcpCase } from "./case.ts";
import type { TcpPlaces } from "./config.ts";

/** Set in the process that runs inside. */
export const INSIDE = "OUTRIGGER_ENVOY_INSIDE";

/** The proxy's connections are known by the group of its process. */
export const PROXY_GROUP = 1337;

const RUNNER = fileURLToPath(new URL("inside.ts", import.meta.url));

/** The `index`th case's own networks. */
export function networksOf(index: number): Pick<TcpPlaces, "net" | "net6"> {
  return { net: `10.77.${index}`, net6: `fd77:${index.toString(16)}:` };
}

/** What rights or tools are missing; null if nothing is. */
export function whyNotIntercepted(): string | null {
  const probe = spawnSync("unshare", ["--net", "iptables", "-t", "nat", "-S"], { encoding: "utf8" });
  return probe.status === 0 ? null : (probe.stderr || probe.error?.message || "no network namespaces").trim();
}

/** Every address of the cases' IPv4 networks is this namespace's own. */
export function prepareNamespace(): void {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  execFileSync("ip", ["route", "add", "local", "10.77.0.0/16", "dev", "lo"]);
}

/** Leads what goes to the case's networks to its listener, the proxy's own connections excepted. */
export function intercept({ net, net6, listener }: Pick<TcpPlaces, "net" | "net6" | "listener">): void {
  // A socket is bound to no IPv6 address of a route alone.
  execFileSync("ip", ["-6", "addr", "add", `${net6}:7/128`, "dev", "lo", "nodad"]);
  for (const [command, destination] of [
    ["iptables", `${net}.0/24`],
    ["ip6tables", `${net6}:/32`],
  ] as const) {
    const others = ["-m", "owner", "!", "--gid-owner", String(PROXY_GROUP)];
    const target = ["-j", "REDIRECT", "--to-ports", String(listener)];
    execFileSync(command, ["-w", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", destination, ...others, ...target]);
  }
}

/** Runs the cases in a process in such a namespace. */
export async function runInside(
  area: TcpArea,
  side: Side,
  envoy: string,
  cases: readonly TcpCase[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const names = JSON.stringify(cases.map(({ name }) => name));
  const { stdout } = await promisify(execFile)(
    "unshare",
    ["--net", process.execPath, RUNNER, area.name, side, envoy, names],
    { env: { ...process.env, [INSIDE]: "1" }, maxBuffer: 16 * 1024 * 1024 },
  );
  return new Map(JSON.parse(stdout) as [string, string[]][]);
}
