/** Headers that concern one connection are taken off before a message goes on (RFC 9110, section 7.6.1). */
import type { HeaderMap } from "../../core/header-map.ts";
import { Group } from "./header-groups.ts";

/** Envoy refuses requests whose `connection` names more: each costs a search. */
const MAX_NOMINATED = 9;
/** Envoy's limit for a `te` that `connection` nominates, bytes. */
const MAX_NOMINATED_TE = 255;

/** Whose removal would hide where a request came from, or what it asks for. */
const NEVER_NOMINATED: ReadonlySet<string> = new Set(["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
/** Tokens that are no header names, and headers that frame the body, which the codec alone may touch. */
const NOT_REMOVED: ReadonlySet<string> = new Set(["close", "connection", "te", "content-length", "transfer-encoding"]);

/** `attack`: what `connection` nominates may not be taken off; `no host`: it took the host off. */
export type StripVerdict = "ok" | "attack" | "no host";

/** Takes the connection's headers off a request. `upgrades`: `connection` and `upgrade` go on as they came. */
export function stripRequest(headers: HeaderMap, seen: number, upgrades: boolean): StripVerdict {
  if ((seen & Group.connection) !== 0 && !upgrades) {
    const connection = headers.get("connection");
    const verdict = connection === null ? "ok" : removeNominated(headers, connection);
    if (verdict !== "ok") return verdict;
    headers.remove("connection");
  }
  if ((seen & Group.hop) !== 0) {
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    if (!upgrades) {
      headers.remove("upgrade");
      keepTrailersOnly(headers);
    }
  }
  return "ok";
}

function removeNominated(headers: HeaderMap, connection: string): StripVerdict {
  const tokens = connection.split(",");
  if (tokens.length > MAX_NOMINATED) return "attack";
  let verdict: StripVerdict = "ok";
  for (const token of tokens) {
    const name = token.trim().toLowerCase();
    if (name === "" || NOT_REMOVED.has(name)) {
      if (name === "te" && (headers.get("te") ?? "").length > MAX_NOMINATED_TE) return "attack";
    } else if (NEVER_NOMINATED.has(name) || name.startsWith(":")) return "attack";
    else if (name === "host") verdict = "no host";
    else headers.remove(name);
  }
  return verdict;
}

/** `te: trailers` is a promise that holds for the next hop too (gRPC needs it); other codings are for this hop. */
function keepTrailersOnly(headers: HeaderMap): void {
  const te = headers.get("te");
  if (te === null || te === "trailers") return;
  const trailers = te.split(",").some((coding) => coding.trim() === "trailers");
  if (trailers) headers.set("te", "trailers");
  else headers.remove("te");
}

/** The same for a response; a 101 keeps what tells that the connection changed its protocol. */
export function stripResponse(headers: HeaderMap, seen: number, status: number): void {
  if ((seen & (Group.connection | Group.hop)) === 0) return;
  headers.remove("keep-alive");
  headers.remove("proxy-connection");
  if (status === 101) return;
  headers.remove("connection");
  headers.remove("upgrade");
}
