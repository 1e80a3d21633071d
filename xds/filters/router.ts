/** The filter that forwards: `filters.http.router.v3.Router`. */
import { create } from "@bufbuild/protobuf";
import { type Router, RouterSchema } from "../../generated/envoy/extensions/filters/http/router/v3/router_pb.js";

interface RouterOptions {
  readonly suppressEnvoyHeaders: boolean;
  readonly respectExpectedRqTimeout: boolean;
}

export function decodeRouter(message: Router): RouterOptions {
  return {
    suppressEnvoyHeaders: message.suppressEnvoyHeaders,
    respectExpectedRqTimeout: message.respectExpectedRqTimeout,
  };
}

export function encodeRouter(options: RouterOptions): Router {
  return create(RouterSchema, {
    suppressEnvoyHeaders: options.suppressEnvoyHeaders,
    respectExpectedRqTimeout: options.respectExpectedRqTimeout,
  });
}
