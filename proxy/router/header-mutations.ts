/** Additions and removals of headers that a configuration asks for, compiled; nothing is built where it asks for none. */
import type { HeaderMap } from "../../core/header-map.ts";
import type { HeaderMutation } from "../../model/route.ts";
import { compileFormat, type Format, type FormatContext } from "../../telemetry/format.ts";

/**
 * Names of which Envoy keeps one field, so that an appended value joins the present one with a comma
 * (Envoy: INLINE_REQ_HEADERS and INLINE_RESP_HEADERS).
 */
const SINGLE_FIELD: ReadonlySet<string> = new Set(
  `accept accept-encoding access-control-allow-credentials access-control-allow-headers access-control-allow-methods
  access-control-allow-origin access-control-expose-headers access-control-max-age access-control-request-headers
  access-control-request-method age authorization cache-control connection content-encoding content-length content-type
  date etag expect expires grpc-accept-encoding grpc-message grpc-status grpc-timeout keep-alive last-modified location
  origin proxy-connection proxy-status referer server te transfer-encoding upgrade user-agent vary via x-client-trace-id
  x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id
  x-envoy-attempt-count x-envoy-external-address x-envoy-original-path x-envoy-upstream-service-time`.split(/\s+/),
);

interface Addition {
  readonly name: string;
  readonly value: Format;
  readonly action: HeaderMutation["action"];
  readonly overwrites: boolean;
  readonly keepEmpty: boolean;
  readonly joins: boolean;
}

/** One level's mutations (a weighted cluster's, a route's, a virtual host's or a table's): removals, then additions. */
export class MutationLevel {
  readonly #remove: readonly string[];
  readonly #add: readonly Addition[];
  /** Values of the additions of the current message, null where one is left out; kept so that none is made per message. */
  readonly #values: (string | null)[] = [];

  constructor(add: readonly HeaderMutation[], remove: readonly string[]) {
    this.#remove = remove;
    this.#add = add.map((mutation) => {
      const name = mutation.name.toLowerCase();
      return {
        name,
        value: compileFormat(mutation.value, { missing: "" }),
        action: mutation.action,
        overwrites: mutation.action.startsWith("overwrite"),
        keepEmpty: mutation.keepEmptyValue,
        joins: SINGLE_FIELD.has(name),
      };
    });
  }

  /** Changes `headers`. All values are computed first: a format sees the headers as they were before the additions. */
  apply(headers: HeaderMap, context: FormatContext): void {
    for (const name of this.#remove) headers.remove(name);
    if (this.#add.length === 0) return;
    const values = this.#values;
    for (let i = 0; i < this.#add.length; i++) values[i] = evaluate(this.#add[i] as Addition, headers, context);
    for (let i = 0; i < this.#add.length; i++) {
      const { overwrites, name } = this.#add[i] as Addition;
      const value = values[i] as string | null;
      if (value !== null && overwrites) headers.set(name, value);
    }
    for (let i = 0; i < this.#add.length; i++) {
      const { overwrites, name, joins } = this.#add[i] as Addition;
      const value = values[i] as string | null;
      if (value === null || overwrites) continue;
      const present = joins ? headers.get(name) : null;
      if (present === null) headers.append(name, value);
      else headers.set(name, `${present},${value}`);
    }
  }
}

function evaluate(addition: Addition, headers: HeaderMap, context: FormatContext): string | null {
  const { action, name } = addition;
  if (action === "add_if_absent" && headers.has(name)) return null;
  if (action === "overwrite_if_exists" && !headers.has(name)) return null;
  const value = addition.value(context);
  return value === "" && !addition.keepEmpty ? null : value;
}

/** The levels that mutate anything, in the order given; null where none does. */
export function compileLevels(
  levels: readonly { readonly add: readonly HeaderMutation[]; readonly remove: readonly string[] }[],
): readonly MutationLevel[] | null {
  const used = levels.filter(({ add, remove }) => add.length > 0 || remove.length > 0);
  return used.length === 0 ? null : used.map(({ add, remove }) => new MutationLevel(add, remove));
}

/** Runs levels one after the other: each sees what the ones before it did. */
export function applyLevels(levels: readonly MutationLevel[], headers: HeaderMap, context: FormatContext): void {
  for (const level of levels) level.apply(headers, context);
}
