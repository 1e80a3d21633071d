/**
 * The rules of interception, as a function of what is asked for: every rule with its reason, in the form in which
 * iptables-save prints it. Nothing here touches the machine.
 */
import { INBOUND_SOURCE } from "../../model/interception.ts";
import type { AddressRange, Direction, Family, Interception, Some } from "./settings.ts";

/** A rule without `-A CHAIN`, and why it stands where it does. */
export interface Rule {
  readonly rule: string;
  readonly reason: string;
}

export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** A rule in one of the kernel's chains, by which packets come into one of ours. */
export interface Jump extends Rule {
  readonly from: "PREROUTING" | "OUTPUT";
}

export interface Table {
  readonly name: TableName;
  readonly chains: readonly Chain[];
  readonly jumps: readonly Jump[];
}

export type TableName = "nat" | "mangle";

/** Begins the name of every chain that is made here, and of no other. */
export const CHAIN_PREFIX = "OUTRIGGER_";
const INBOUND = `${CHAIN_PREFIX}INBOUND`;
const IN_REDIRECT = `${CHAIN_PREFIX}IN_REDIRECT`;
const OUTPUT = `${CHAIN_PREFIX}OUTPUT`;
const REDIRECT = `${CHAIN_PREFIX}REDIRECT`;
const IN_TPROXY = `${CHAIN_PREFIX}IN_TPROXY`;

/** Mark of packets that are delivered on this machine whatever their address, and of connections taken by TPROXY. */
export const TPROXY_MARK = 15_006;
/** Mark of the sidecar's connections to its application from a caller's address. */
export const KEPT_SOURCE_MARK = 15_007;

/** Admin, outbound, inbound, metrics, health. */
const SIDECAR_PORTS = [15_000, 15_001, 15_006, 15_020, 15_021];
const DNS_PORT = 53;
const LOOPBACK: Readonly<Record<Family, string>> = { 4: "127.0.0.0/8", 6: "::1/128" };

/**
 * Only what opens a connection is looked at. Translation needs no more, and a connection that was open before the rules
 * came, whose next packet is the first that connection tracking sees of it, goes on as it was.
 */
const OPENS = "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN";

/** The tables that intercept one family's connections as `settings` say. */
export function rulesFor(settings: Interception, family: Family): readonly Table[] {
  const nat: Table = {
    name: "nat",
    chains: [
      { name: INBOUND, rules: inboundRules(settings, family, `-j ${IN_REDIRECT}`) },
      { name: IN_REDIRECT, rules: [redirectTo(settings.inboundPort, "to the sidecar's inbound listener")] },
      { name: OUTPUT, rules: outboundRules(settings, family) },
      { name: REDIRECT, rules: [redirectTo(settings.outboundPort, "to the sidecar's outbound listener")] },
    ],
    jumps: [
      ...(settings.inboundMode === "redirect"
        ? [{ from: "PREROUTING", rule: `${OPENS} -j ${INBOUND}`, reason: "connections from the network" } as const]
        : []),
      { from: "OUTPUT", rule: `${OPENS} -j ${OUTPUT}`, reason: "connections that programs here open" },
    ],
  };
  return settings.inboundMode === "redirect" ? [nat] : [nat, transparentInbound(settings, family)];
}

function redirectTo(port: number, reason: string): Rule {
  return { rule: `-p tcp -j REDIRECT --to-ports ${port}`, reason };
}

/** Who is left alone and who is taken, among connections that arrive; `target` takes them. */
function inboundRules(settings: Interception, family: Family, target: string): readonly Rule[] {
  const { inbound, excludeInterfaces, inboundPort, outboundPort } = settings;
  const own = [...new Set([...SIDECAR_PORTS, outboundPort, inboundPort])].sort((a, b) => a - b);
  return [
    ...excludeInterfaces.map((name) => leave(`-i ${name}`, "excluded interface")),
    ...own.map((port) => leave(toPort(port), "the sidecar's own port: whoever calls it means the sidecar")),
    ...inbound.excludePorts.map((port) => leave(toPort(port), "excluded port")),
    ...rangesOf(inbound.excludeRanges, family).map((range) => leave(`-s ${range}`, "excluded source")),
    ...includedInbound(inbound, family).map((match) => ({ rule: `${match} ${target}`, reason: "included" })),
  ];
}

/** Ports and sources must both be included: a rule for each pair. */
function includedInbound({ includePorts, includeRanges }: Direction, family: Family): readonly string[] {
  const sources = includeRanges === "all" ? [""] : rangesOf(includeRanges, family).map((range) => `-s ${range} `);
  const ports = includePorts === "all" ? ["-p tcp"] : includePorts.map(toPort);
  return sources.flatMap((source) => ports.map((port) => source + port));
}

function outboundRules(settings: Interception, family: Family): readonly Rule[] {
  const { outbound, excludeInterfaces, inboundMode } = settings;
  const owners = ownersOf(settings);
  const includesDns = outbound.includePorts !== "all" && outbound.includePorts.includes(DNS_PORT);
  return [
    leave(`-s ${INBOUND_SOURCE[family]}/${family === 4 ? 32 : 128} -o lo`, "the sidecar hands an inbound call on"),
    ...(inboundMode === "tproxy"
      ? [leave(`-o lo -m connmark --mark ${hex(KEPT_SOURCE_MARK)}`, "the same, from the caller's own address")]
      : []),
    // Through the chain that callers on the network go through: the same ports are taken, or not.
    ...owners.map((owner) => ({
      rule: `! -d ${LOOPBACK[family]} -o lo -p tcp ${owner} -j ${INBOUND}`,
      reason: "the sidecar chose this very workload as endpoint of a call: it comes in like a call from another",
    })),
    ...owners.map((owner) => leave(owner, "the sidecar's own connections would come back to it for ever")),
    leave("-o lo", "a program calls itself or a neighbour, by 127.0.0.1 or by its own address: not the mesh's affair"),
    ...excludeInterfaces.map((name) => leave(`-o ${name}`, "excluded interface")),
    ...(includesDns ? [] : [leave(toPort(DNS_PORT), "DNS that falls back to TCP goes where UDP goes")]),
    ...outbound.excludePorts.map((port) => leave(toPort(port), "excluded port")),
    ...rangesOf(outbound.excludeRanges, family).map((range) => leave(`-d ${range}`, "excluded destination")),
    ...(family === 6
      ? [
          leave(
            "-d fe80::/10",
            "a link-local address means nothing without its interface, which the sidecar never learns",
          ),
        ]
      : []),
    ...includedOutbound(outbound, family).map((match) => ({ rule: `${match} -j ${REDIRECT}`, reason: "included" })),
  ];
}

/** Port or destination: a port is included wherever it is. */
function includedOutbound({ includePorts, includeRanges }: Direction, family: Family): readonly string[] {
  if (includePorts === "all" || includeRanges === "all") return ["-p tcp"];
  return [...includePorts.map(toPort), ...rangesOf(includeRanges, family).map((range) => `-d ${range} -p tcp`)];
}

/**
 * TPROXY hands packets to the sidecar as they are. What opens a connection is judged once and the verdict kept as the
 * connection's mark: so open connections stay whole, and answers to outbound calls are never mistaken for inbound ones.
 */
function transparentInbound(settings: Interception, family: Family): Table {
  const marked = `-m connmark --mark ${hex(TPROXY_MARK)} -m conntrack --ctdir ORIGINAL`;
  const kept = `-m connmark --mark ${hex(KEPT_SOURCE_MARK)} -m conntrack --ctdir REPLY`;
  const take = `-j CONNMARK --set-xmark ${hex(TPROXY_MARK)}/0xffffffff`;
  const anywhere = family === 4 ? "0.0.0.0" : "::";
  return {
    name: "mangle",
    chains: [
      { name: INBOUND, rules: inboundRules(settings, family, take) },
      {
        name: IN_TPROXY,
        rules: [
          {
            rule:
              `-p tcp -j TPROXY --on-port ${settings.inboundPort} --on-ip ${anywhere} ` +
              `--tproxy-mark ${hex(TPROXY_MARK)}/0xffffffff`,
            reason: "to the sidecar's inbound listener, destination and source as they are",
          },
        ],
      },
      {
        name: OUTPUT,
        rules: [
          ...ownersOf(settings).map((owner) => ({
            rule:
              `-o lo -p tcp -m addrtype ! --src-type LOCAL ${owner} ` +
              `-j CONNMARK --set-xmark ${hex(KEPT_SOURCE_MARK)}/0xffffffff`,
            reason: "the sidecar hands an inbound call on from the caller's own address",
          })),
          {
            rule: `-p tcp ${kept} -j MARK --set-xmark ${hex(TPROXY_MARK)}/0xffffffff`,
            reason: "and the application's answers come back to the sidecar instead of leaving for the caller",
          },
        ],
      },
    ],
    jumps: [
      { from: "PREROUTING", rule: `! -i lo ${OPENS} -j ${INBOUND}`, reason: "connections from the network" },
      { from: "PREROUTING", rule: `! -i lo -p tcp ${marked} -j ${IN_TPROXY}`, reason: "all packets of those taken" },
      { from: "OUTPUT", rule: `-p tcp -j ${OUTPUT}`, reason: "between sidecar and application" },
    ],
  };
}

function ownersOf({ proxyUids, proxyGids }: Interception): readonly string[] {
  return [
    ...proxyUids.map((uid) => `-m owner --uid-owner ${uid}`),
    ...proxyGids.map((gid) => `-m owner --gid-owner ${gid}`),
  ];
}

function leave(match: string, reason: string): Rule {
  return { rule: `${match} -j RETURN`, reason };
}

function toPort(port: number): string {
  return `-p tcp -m tcp --dport ${port}`;
}

function rangesOf(ranges: Exclude<Some<AddressRange>, "all">, family: Family): readonly string[] {
  return ranges.filter((range) => range.family === family).map(({ text }) => text);
}

function hex(mark: number): string {
  return `0x${mark.toString(16)}`;
}
