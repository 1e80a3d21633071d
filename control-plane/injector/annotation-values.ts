/** Values of the injector's annotations, checked here, so that a mistake is told when the pod is made and not by a container that does not start. */
import { formatIp, parseIp } from "../../core/ip.ts";
import { quantityValue } from "./quantity.ts";

/** A value as the sidecar's or the init container's flag takes it, or why it is none. */
export type Checked = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly why: string };

export type Check = (text: string) => Checked;

const good = (value: string): Checked => ({ ok: true, value });
const bad = (why: string): Checked => ({ ok: false, why });

/** How many ports a list may come to when its ranges are written out: each is an argument of a rule. */
const MOST_PORTS = 500;

/** `80,8080`, or nothing. */
export const ports: Check = (text) => listed(text, (item) => (isPort(item) ? good(item) : bad(`"${item}" is no port`)));

/** `*`, or as `ports`. */
export const somePorts: Check = (text) => (text.trim() === "*" ? good("*") : ports(text));

/** As `ports`, and Linkerd's ranges: `4567-4570`. */
export const portRanges: Check = (text) => {
  const all: string[] = [];
  for (const item of itemsOf(text)) {
    const [, first = "", last = first] = /^(\d+)(?:-(\d+))?$/.exec(item) ?? [];
    if (!isPort(first) || !isPort(last) || Number(last) < Number(first)) return bad(`"${item}" is no port or range`);
    if (Number(last) - Number(first) + all.length >= MOST_PORTS)
      return bad(`"${text}" is more than ${MOST_PORTS} ports`);
    for (let port = Number(first); port <= Number(last); port++) all.push(String(port));
  }
  return good(all.join(","));
};

/** `10.0.0.0/8,fd00::/8`; an address alone is a range of one. */
export const ranges: Check = (text) => listed(text, range);

/** `*`, or as `ranges`. */
export const someRanges: Check = (text) => (text.trim() === "*" ? good("*") : ranges(text));

/** `eth1,docker0`; a trailing `+` stands for any ending. Linux's longest name has 15 characters. */
export const interfaces: Check = (text) =>
  listed(text, (item) =>
    /^\w[\w.@-]{0,14}\+?$/.test(item) && item.length <= 15 ? good(item) : bad(`"${item}" is no network interface`),
  );

/** A Kubernetes quantity that is not negative: `100m`, `0.5`, `128Mi`. */
export const quantity: Check = (text) => (Number.isFinite(quantityValue(text)) ? good(text) : bad("it is no quantity"));

/** Whole, from `least` to `most`. */
export function whole(least: number, most: number): Check {
  return (text) =>
    /^\d{1,9}$/.test(text) && Number(text) >= least && Number(text) <= most
      ? good(String(Number(text)))
      : bad(`it is no whole number from ${least} to ${most}`);
}

/** Seconds, or with a unit, as Istio and Linkerd write it: `30`, `30s`, `1m`. */
export const seconds: Check = (text) => {
  const [, amount = "", unit = "s"] = /^(\d{1,6})(s|m|h)?$/.exec(text) ?? [];
  const value = Number(amount) * { s: 1, m: 60, h: 3600 }[unit as "s" | "m" | "h"];
  return amount !== "" && value > 0 ? good(String(value)) : bad("it is no number of seconds");
};

/** One of the words, whatever their case. */
export function oneOf(words: readonly string[]): Check {
  return (text) => {
    const word = text.toLowerCase();
    return words.includes(word) ? good(word) : bad(`it is none of ${words.join(", ")}`);
  };
}

/** Names with commas in between. */
export const names: Check = (text) =>
  listed(text, (item) => (/^[\w./*:-]+$/.test(item) ? good(item) : bad(`"${item}" is no name`)));

/** A reference to an image: no blanks, and not empty. */
export const image: Check = (text) => (/^\S+$/.test(text) ? good(text) : bad("it is no image"));

export function itemsOf(text: string): readonly string[] {
  return text.trim() === "" ? [] : text.split(",").map((item) => item.trim());
}

function listed(text: string, check: Check): Checked {
  const values: string[] = [];
  for (const item of itemsOf(text)) {
    const checked = check(item);
    if (!checked.ok) return checked;
    values.push(checked.value);
  }
  return good(values.join(","));
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

function range(text: string): Checked {
  const [address = "", prefix, ...rest] = text.split("/");
  const ip = address.includes("%") ? null : parseIp(address);
  if (ip === null || rest.length > 0) return bad(`"${text}" is no address range`);
  const longest = ip.length === 2 ? 32 : 128;
  if (prefix !== undefined && !(/^\d{1,3}$/.test(prefix) && Number(prefix) <= longest)) {
    return bad(`"${text}" has no prefix length from 0 to ${longest}`);
  }
  return good(`${formatIp(ip)}/${prefix ?? longest}`);
}
