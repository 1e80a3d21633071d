/**
 * Extensions in a list of filters: which one an `Any` holds, whether it may be left out, and which ones are known but
 * still to come. The type decides, never the name, as in Envoy.
 */
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { type TypedStruct, TypedStructSchema } from "../generated/xds/type/v3/typed_struct_pb.js";
import { unpackAny } from "./any.ts";
import { harmlessType } from "./harmless.ts";
import { parsedAny } from "./json.ts";
import type { Place } from "./place.ts";
import { typeNameOf } from "./registry.ts";

/** What a mesh control plane may send and Outrigger does not run yet. */
const LATER: ReadonlySet<string> = new Set([
  "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
  "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig",
  "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
  "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
  "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
  "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
  "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
]);

/** Both are written the same on the wire. */
const TYPED_STRUCTS: ReadonlySet<string> = new Set(["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"]);

/** The full name of the message in `any`, seen through a `TypedStruct`. */
export function extensionTypeOf(any: Any): string {
  const name = typeNameOf(any.typeUrl);
  if (!TYPED_STRUCTS.has(name)) return name;
  const parsed = parsedAny(any) as TypedStruct | undefined;
  if (parsed) return typeNameOf(parsed.typeUrl);
  try {
    return typeNameOf(fromBinary(TypedStructSchema, any.value).typeUrl);
  } catch {
    // Whoever unpacks it reports the bytes.
    return name;
  }
}

/** Whether the extension may be left out; notes the reason. */
export function isHarmlessExtension(any: Any | undefined, at: Place): boolean {
  const reason = any && harmlessType(extensionTypeOf(any));
  if (reason === undefined) return false;
  at.note(`ignored: ${reason}`);
  return true;
}

/** Like `unpackAny`, and says of an extension that is still to come that it is. */
export function unpackExtension<D extends DescMessage>(
  any: Any | undefined,
  allowed: readonly D[],
  at: Place,
): MessageShape<D> | undefined {
  const type = any && extensionTypeOf(any);
  if (type !== undefined && LATER.has(type)) {
    at.error(`${type} is not supported yet`);
    return undefined;
  }
  return unpackAny(any, allowed, at);
}
