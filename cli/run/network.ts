/** What is in the program's network: loopback, a link by which every destination has a route, and interception's rules. */
import { UserError } from "../../core/errors.ts";
import { INBOUND_PORT, OUTBOUND_PORT } from "../../model/interception.ts";
import { apply } from "../init/carry-out.ts";
import { findIptables } from "../init/iptables.ts";
import { planInterception } from "../init/plan.ts";
import type { Family, Interception } from "../init/settings.ts";
import { type System, withoutIpv6 } from "../init/system.ts";

const LINK = "outrigger0";
const LINK_END = "outrigger1";
/** The dummy address of RFC 7600, which is nobody's; and one of a private network (RFC 4193) that is this program's alone. */
const ADDRESSES: Readonly<Record<Family, string>> = { 4: "192.0.0.8/32", 6: "fd6f:7574:7269:6767::1/128" };
const ANYWHERE: Readonly<Record<Family, string>> = { 4: "0.0.0.0/0", 6: "::/0" };

/** All that programs here call is the sidecar's; nobody here is the sidecar, and nobody arrives from elsewhere. */
const RULES: Interception = {
  inboundMode: "redirect",
  outboundPort: OUTBOUND_PORT,
  inboundPort: INBOUND_PORT,
  proxyUids: [],
  proxyGids: [],
  inbound: { includePorts: [], excludePorts: [], includeRanges: "all", excludeRanges: [] },
  outbound: { includePorts: "all", excludePorts: [], includeRanges: "all", excludeRanges: [] },
  excludeInterfaces: [],
};

/**
 * Sets the new network up. It has the families that the machine has: a program that found an address of another would
 * believe that it can be reached. Throws a UserError.
 */
export function setUpNetwork(inside: System, machine: System): readonly Family[] {
  const families = familiesOf(inside, machine);
  makeLink(inside);
  const commands = [
    "link set lo up",
    `link set ${LINK} arp off up`,
    ...families.flatMap((family) => [
      // No neighbour is asked whether the address is free.
      `address add ${ADDRESSES[family]} dev ${LINK}${family === 6 ? " nodad" : ""}`,
      `route add ${ANYWHERE[family]} dev ${LINK}`,
    ]),
  ];
  must(inside, "ip", ["-batch", "-"], commands.map((line) => `${line}\n`).join(""));
  const program = findIptables(inside, undefined);
  apply(inside, planInterception({ system: inside, program, readable: true }, RULES, families));
  return families;
}

/** IPv6 where the machine has an address that others could call, and the new network knows IPv6. */
export function familiesOf(inside: System, machine: System): readonly Family[] {
  const global = (machine.read("/proc/net/if_inet6") ?? "").split("\n").some((line) => {
    const [, , , scope, , device] = line.trim().split(/\s+/);
    return scope === "00" && device !== "lo";
  });
  return global && withoutIpv6(inside) === null ? [4, 6] : [4];
}

/** Nothing leaves by it, so that any kind will do of those that a kernel may lack. */
function makeLink(inside: System): void {
  const dummy = inside.run("ip", ["link", "add", LINK, "type", "dummy"]);
  if (dummy.code === 0) return;
  const pair = inside.run("ip", ["link", "add", LINK, "type", "veth", "peer", "name", LINK_END]);
  if (pair.code === null) throw new UserError("ip is not installed (package iproute2)");
  if (pair.code !== 0) {
    throw new UserError(
      `the kernel has neither links of type dummy (${dummy.stderr.trim()}) nor of type veth (${pair.stderr.trim()})`,
    );
  }
  must(inside, "ip", ["link", "set", LINK_END, "arp", "off", "up"]);
}

function must(inside: System, program: string, args: readonly string[], input?: string): void {
  const { code, stderr } = inside.run(program, args, input);
  if (code !== 0) throw new UserError(`${[program, ...args].join(" ")} failed: ${stderr.trim()}`);
}
