/** Which callers count as internal, and which scheme their requests are taken to have. */
import { create } from "@bufbuild/protobuf";
import { SchemeHeaderTransformationSchema } from "../../generated/envoy/config/core/v3/protocol_pb.js";
import {
  type HttpConnectionManager as HcmMessage,
  HttpConnectionManager_InternalAddressConfigSchema,
} from "../../generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { HttpConnectionManager } from "../../model/http.ts";
import { decodeCidr, encodeCidr } from "../address.ts";
import type { Place } from "../place.ts";

type Origin = Pick<HttpConnectionManager, "internalAddresses" | "schemeOverwrite">;

export function decodeOrigin(message: HcmMessage, at: Place): Origin {
  const { internalAddressConfig: internal, schemeHeaderTransformation } = message;
  const place = at.field("internal_address_config");
  const scheme = schemeHeaderTransformation?.transformation.value;
  if (scheme !== undefined && scheme !== "http" && scheme !== "https") {
    at.field("scheme_header_transformation").field("scheme_to_overwrite").error("must be http or https");
  }
  if (schemeHeaderTransformation?.matchUpstream) {
    const field = at.field("scheme_header_transformation").field("match_upstream");
    field.note("ignored: HTTP/1.1 requests carry no scheme");
  }
  return {
    ...(internal
      ? {
          internalAddresses: {
            unixSockets: internal.unixSockets,
            cidrs: internal.cidrRanges.map((range, i) => decodeCidr(range, place.item("cidr_ranges", i))),
          },
        }
      : {}),
    ...(scheme === "http" || scheme === "https" ? { schemeOverwrite: scheme } : {}),
  };
}

/** Sets both fields of the message where they are given. */
export function encodeOrigin({ internalAddresses, schemeOverwrite }: Origin, message: HcmMessage): void {
  if (internalAddresses) {
    message.internalAddressConfig = create(HttpConnectionManager_InternalAddressConfigSchema, {
      unixSockets: internalAddresses.unixSockets,
      cidrRanges: internalAddresses.cidrs.map(encodeCidr),
    });
  }
  if (schemeOverwrite) {
    message.schemeHeaderTransformation = create(SchemeHeaderTransformationSchema, {
      transformation: { case: "schemeToOverwrite", value: schemeOverwrite },
    });
  }
}
