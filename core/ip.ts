/** IP addresses and ranges as numbers, for matching and for writing them in one form. */

/** An address as eight 16-bit groups; IPv4 is `[a<<8|b, c<<8|d]`. */
export type Ip = readonly number[];

/** One end of a connection. */
export interface SocketAddress {
  /** An address in its canonical form; IPv4 as IPv4, on whatever socket. */
  readonly host: string;
  readonly port: number;
}

const DECIMAL = /^(?:0|[1-9]\d{0,2})$/;
const HEX = /^[0-9a-fA-F]{1,4}$/;

/** Reads an IPv4 or IPv6 literal (no brackets; a `%zone` is dropped); null for anything else. */
export function parseIp(text: string): Ip | null {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Ip | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes: number[] = [];
  for (const part of parts) {
    const byte = Number(part);
    if (!DECIMAL.test(part) || byte > 255) return null;
    bytes.push(byte);
  }
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return [(a << 8) | b, (c << 8) | d];
}

/** RFC 4291, section 2.2. */
function parseIpv6(text: string): Ip | null {
  const zone = text.indexOf("%");
  const address = zone < 0 ? text : text.slice(0, zone);
  const gap = address.indexOf("::");
  if (gap < 0) {
    const groups = parseGroups(address);
    return groups?.length === 8 ? groups : null;
  }
  if (address.includes("::", gap + 1)) return null;
  const head = gap === 0 ? [] : parseGroups(address.slice(0, gap));
  const tail = gap + 2 === address.length ? [] : parseGroups(address.slice(gap + 2));
  if (head === null || tail === null || head.length + tail.length > 7) return null;
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

/** Groups between colons; the last may be written as IPv4. */
function parseGroups(text: string): number[] | null {
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1 && part.includes(".")) {
      const embedded = parseIpv4(part);
      if (embedded === null) return null;
      groups.push(...embedded);
    } else if (HEX.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}

/** The canonical text: dotted for IPv4; RFC 5952 for IPv6, IPv4-mapped addresses with their last part dotted. */
export function formatIp(ip: Ip): string {
  if (ip.length === 2) return dotted(ip, 0);
  if (ip.slice(0, 5).every((group) => group === 0) && ip[5] === 0xffff) return `::ffff:${dotted(ip, 6)}`;
  let best = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && ip[start + length] === 0) length++;
    if (length > bestLength) {
      best = start;
      bestLength = length;
    }
  }
  const hex = ip.map((group) => group.toString(16));
  if (best < 0) return hex.join(":");
  return `${hex.slice(0, best).join(":")}::${hex.slice(best + bestLength).join(":")}`;
}

function dotted(ip: Ip, at: number): string {
  const high = ip[at] ?? 0;
  const low = ip[at + 1] ?? 0;
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** True for `127.0.0.0/8` and `::1`. */
export function isLoopback(text: string): boolean {
  return text.startsWith("127.") || text === "::1" || text.startsWith("::ffff:127.");
}

/** A test for one range (`core.v3.CidrRange`); addresses of the other family and text that is no address fail it. */
export function compileCidr(range: { readonly address: string; readonly prefixLength: number }): (ip: Ip) => boolean {
  const base = parseIp(range.address);
  if (base === null) return () => false;
  const masks = base.map((_, group) => {
    const bits = Math.max(0, Math.min(16, range.prefixLength - group * 16));
    return (0xffff << (16 - bits)) & 0xffff;
  });
  return (ip) => {
    if (ip.length !== base.length) return false;
    for (let group = 0; group < masks.length; group++) {
      if ((((ip[group] as number) ^ (base[group] as number)) & (masks[group] as number)) !== 0) return false;
    }
    return true;
  };
}
