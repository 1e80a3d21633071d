/** Reads what a sidecar says of its workload in its node metadata, under the key `OUTRIGGER`. */
import { isIP, isIPv4 } from "node:net";
import type { Problem } from "../../core/errors.ts";
import { formatIp, parseIp } from "../../core/ip.ts";
import type { JsonValue } from "../../model/bootstrap.ts";
import { INBOUND_PORT, OUTBOUND_PORT } from "../../model/interception.ts";
import type { HealthProbe, Interception, Loopback, Workload } from "../mesh/workload.ts";

/** The metadata key. */
export const METADATA_KEY = "OUTRIGGER";

export type ParsedWorkload =
  | { readonly ok: true; readonly workload: Workload }
  | { readonly ok: false; readonly problems: readonly Problem[] };

type JsonObject = { readonly [key: string]: JsonValue };

/** All problems at once, each with its path; never throws. */
export function parseWorkload(nodeId: string, metadata: JsonObject): ParsedWorkload {
  const problems: Problem[] = [];
  const given = metadata[METADATA_KEY];
  const complain = (path: string, message: string): void => {
    problems.push({ path: `node.metadata.${METADATA_KEY}${path === "" ? "" : `.${path}`}`, message });
  };
  if (nodeId === "") problems.push({ path: "node.id", message: "is required" });
  if (!isObject(given)) {
    complain("", "is required: it tells the control plane which workload this sidecar stands beside");
    return { ok: false, problems };
  }
  const text = (field: string, pattern: RegExp, fallback: string | null): string => {
    const value = given[field] ?? fallback;
    if (typeof value === "string" && pattern.test(value)) return value;
    complain(field, value === null ? "is required" : `${JSON.stringify(value)} is not valid`);
    return "";
  };
  const port = (field: string, fallback: number | null): number => {
    const value = given[field] ?? fallback;
    if (isPort(value)) return value;
    complain(field, value === null ? "is required" : `${JSON.stringify(value)} is not a port`);
    return 0;
  };
  const address = (field: string, fallback: string | null): string => {
    const value = given[field] ?? fallback;
    if (typeof value === "string" && isIP(value) !== 0) return value;
    complain(field, value === null ? "is required" : `${JSON.stringify(value)} is not an IP address`);
    return "";
  };
  const outboundPort = port("outboundPort", OUTBOUND_PORT);
  const intercepted = interception(given["interception"], complain);
  const workload: Workload = {
    id: nodeId,
    service: text("service", LABEL, null),
    namespace: text("namespace", LABEL, "default"),
    serviceAccount: text("serviceAccount", SUBDOMAIN, "default"),
    trustDomain: text("trustDomain", TRUST_DOMAIN, "cluster.local"),
    appPort: port("appPort", null),
    appAddress: address("appAddress", "127.0.0.1"),
    address: address("address", null),
    addresses: additionalAddresses(given, intercepted, complain),
    inboundPort: port("inboundPort", INBOUND_PORT),
    outboundPort,
    httpProxyPort: port("httpProxyPort", outboundPort),
    // What is intercepted needs no addresses of its own.
    loopback: intercepted === null ? loopback(given["loopback"], complain) : null,
    interception: intercepted,
    ...(given["onDemand"] === true && { onDemand: true }),
    probes: probes(given["probes"], complain),
    labels: labels(given["labels"], complain),
    // Said by the cluster, not by the sidecar.
    pod: null,
    namedPorts: {},
  };
  return problems.length === 0 ? { ok: true, workload } : { ok: false, problems };
}

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;

type Complain = (path: string, message: string) => void;

function loopback(value: JsonValue | undefined, complain: Complain): Loopback | null {
  const none = null;
  if (!isObject(value)) {
    complain(
      "loopback",
      "is required without interception: where the sidecar binds the listeners of the mesh's services",
    );
    return none;
  }
  const { kind, base, host, firstPort } = value;
  if (kind === "subnet") {
    const [, network = "", bits = ""] = /^([0-9.]+)\/([0-9]{1,2})$/.exec(typeof base === "string" ? base : "") ?? [];
    const prefixLength = Number(bits);
    if (!isIPv4(network) || bits === "" || prefixLength < 8 || prefixLength > 24) {
      complain(
        "loopback.base",
        `${JSON.stringify(base)} is not an IPv4 network between /8 and /24, as in 127.77.0.0/16`,
      );
      return none;
    }
    return { kind, base: masked(network, prefixLength), prefixLength };
  }
  if (kind === "single") {
    if (typeof host !== "string" || isIP(host) === 0) complain("loopback.host", "is not an IP address");
    else if (!isPort(firstPort)) complain("loopback.firstPort", "is not a port");
    else return { kind, host, firstPort };
    return none;
  }
  complain("loopback.kind", `${JSON.stringify(kind)} is neither "subnet" nor "single"`);
  return none;
}

function interception(value: JsonValue | undefined, complain: Complain): Interception | null {
  if (value === undefined || value === null) return null;
  if (!isObject(value)) {
    complain("interception", "is not an object");
    return null;
  }
  const { inbound, networkNamespace = "", ipv6 = true } = value;
  if (inbound !== "redirect" && inbound !== "tproxy" && inbound !== "none") {
    complain("interception.inbound", `${JSON.stringify(inbound)} is neither "redirect", "tproxy" nor "none"`);
    return null;
  }
  if (typeof networkNamespace !== "string" || !/^(|\/.+)$/.test(networkNamespace)) {
    complain("interception.networkNamespace", `${JSON.stringify(networkNamespace)} is not an absolute path`);
    return null;
  }
  if (typeof ipv6 !== "boolean") {
    complain("interception.ipv6", `${JSON.stringify(ipv6)} is neither true nor false`);
    return null;
  }
  return { inbound, networkNamespace, ipv6 };
}

/** In their canonical form, as callers ask for them. */
function additionalAddresses(
  { address, addresses }: JsonObject,
  intercepted: Interception | null,
  complain: Complain,
): readonly string[] {
  if (addresses === undefined || addresses === null) return [];
  if (!Array.isArray(addresses)) {
    complain("addresses", "is not a list");
    return [];
  }
  if (addresses.length > 0 && (intercepted === null || intercepted.inbound === "none")) {
    complain("addresses", "is only for sidecars to which rules lead their peers (interception.inbound)");
  }
  const seen = new Set<string>([typeof address === "string" ? address : ""]);
  return (addresses as readonly JsonValue[]).flatMap((value, index): readonly string[] => {
    const ip = typeof value === "string" ? parseIp(value) : null;
    const host = ip === null ? "" : formatIp(ip);
    if (ip === null) complain(`addresses[${index}]`, `${JSON.stringify(value)} is not an IP address`);
    else if (seen.has(host)) complain(`addresses[${index}]`, `${host} comes twice`);
    else {
      seen.add(host);
      return [host];
    }
    return [];
  });
}

function probes(value: JsonValue | undefined, complain: Complain): readonly HealthProbe[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    complain("probes", "is not a list");
    return [];
  }
  return (value as readonly JsonValue[]).flatMap((item, index): readonly HealthProbe[] => {
    const { port = null, path = null } = isObject(item) ? item : {};
    if (!isPort(port)) complain(`probes[${index}].port`, `${JSON.stringify(port)} is not a port`);
    else if (typeof path !== "string" || !/^\/[^?#\s]*$/.test(path)) {
      complain(`probes[${index}].path`, `${JSON.stringify(path)} is not a path`);
    } else return [{ port, path }];
    return [];
  });
}

/** The network address of a range. */
function masked(address: string, prefixLength: number): string {
  const value = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - prefixLength);
  const network = Math.floor(value / size) * size;
  return [24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256).join(".");
}

function labels(value: JsonValue | undefined, complain: Complain): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) {
    complain("labels", "is not an object");
    return {};
  }
  const entries: [string, string][] = [];
  for (const [name, label] of Object.entries(value)) {
    if (typeof label === "string") entries.push([name, label]);
    else complain(`labels.${name}`, "is not a string");
  }
  return Object.fromEntries(entries);
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPort(value: JsonValue | undefined): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
}
