/** What is said upstream about the client's certificate (`x-forwarded-client-cert`). */
import { create } from "@bufbuild/protobuf";
import {
  HttpConnectionManager_ForwardClientCertDetails as Details,
  type HttpConnectionManager,
  HttpConnectionManager_ForwardClientCertDetailsSchema,
  HttpConnectionManager_SetCurrentClientCertDetailsSchema,
} from "../../generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { ForwardClientCert } from "../../model/http.ts";
import type { Place } from "../place.ts";
import { numberOf, wordOf } from "../values.ts";

const MODES = {
  [Details.SANITIZE]: "sanitize",
  [Details.FORWARD_ONLY]: "forward_only",
  [Details.APPEND_FORWARD]: "append_forward",
  [Details.SANITIZE_SET]: "sanitize_set",
  [Details.ALWAYS_FORWARD_ONLY]: "always_forward_only",
} as const;

export function decodeClientCert(message: HttpConnectionManager, at: Place): ForwardClientCert {
  const details = message.setCurrentClientCertDetails;
  return {
    mode:
      wordOf(
        HttpConnectionManager_ForwardClientCertDetailsSchema,
        message.forwardClientCertDetails,
        MODES,
        at.field("forward_client_cert_details"),
      ) ?? "sanitize",
    subject: details?.subject ?? false,
    cert: details?.cert ?? false,
    chain: details?.chain ?? false,
    dns: details?.dns ?? false,
    uri: details?.uri ?? false,
  };
}

/** Sets both fields of the message. */
export function encodeClientCert(forward: ForwardClientCert, message: HttpConnectionManager): void {
  const { mode, ...details } = forward;
  message.forwardClientCertDetails = numberOf(MODES, mode);
  if (Object.values(details).includes(true)) {
    message.setCurrentClientCertDetails = create(HttpConnectionManager_SetCurrentClientCertDetailsSchema, details);
  }
}
