/** One rule of a route table: `route.v3.Route`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  DecoratorSchema,
  type DirectResponseAction as DirectResponseMessage,
  type Route as RouteMessage,
  RouteSchema,
  type Tracing,
  TracingSchema,
} from "../../generated/envoy/config/route/v3/route_components_pb.js";
import type { FractionalPercent } from "../../generated/envoy/type/v3/percent_pb.js";
import type { Fraction } from "../../model/matcher.ts";
import type { DirectResponseAction, Route, RouteAction } from "../../model/route.ts";
import { decodeText, encodeText } from "../data-source.ts";
import { decodeFilterOverrides, encodeFilterOverrides } from "../filters/override.ts";
import { decodeHeaderMutations, encodeHeaderMutations } from "../header-mutation.ts";
import { encodeMetadata, metadataOf, OUTRIGGER } from "../metadata.ts";
import type { Place } from "../place.ts";
import { fraction, fractionOf } from "../values.ts";
import { decodeForward, encodeForward } from "./forward.ts";
import { decodeRedirect, encodeRedirect } from "./redirect.ts";
import { decodeRouteMatch, encodeRouteMatch } from "./route-match.ts";

/** `maxBody`: the table's limit for bodies of direct responses, bytes. */
export function decodeRoute(message: RouteMessage, maxBody: number, at: Place): Route {
  if (!message.match) at.field("match").error("is required");
  if (message.decorator?.operation === "") at.field("decorator").field("operation").error("is required");
  const source = metadataOf(message.metadata, OUTRIGGER)?.["source"];
  return {
    name: message.name,
    match: message.match
      ? decodeRouteMatch(message.match, at.field("match"))
      : {
          path: { kind: "prefix", value: "/" },
          caseSensitive: true,
          fraction: null,
          headers: [],
          queryParameters: [],
          grpcOnly: false,
        },
    action: decodeAction(message, maxBody, at),
    filterOverrides: decodeFilterOverrides(message.typedPerFilterConfig, at),
    tracing: message.tracing ? decodeTracing(message.tracing) : null,
    operation: message.decorator?.operation ?? "",
    source: typeof source === "string" ? source : "",
    ...bufferLimitOf(message),
    ...decodeHeaderMutations(message, at),
  };
}

/** A request's own limit for what is kept for retries, where it is given. */
export function bufferLimitOf(message: {
  readonly perRequestBufferLimitBytes?: number | undefined;
}): Pick<Route, "requestBufferLimitBytes"> {
  const { perRequestBufferLimitBytes: requestBufferLimitBytes } = message;
  return requestBufferLimitBytes === undefined ? {} : { requestBufferLimitBytes };
}

function decodeAction(message: RouteMessage, maxBody: number, at: Place): RouteAction {
  const { action } = message;
  switch (action.case) {
    case "route":
      return decodeForward(action.value, at.field("route"));
    case "redirect":
      return decodeRedirect(action.value, at.field("redirect"));
    case "directResponse":
      return decodeDirectResponse(action.value, maxBody, at.field("direct_response"));
    case "nonForwardingAction":
      return { kind: "non_forwarding" };
    default:
      at.error("one of route, redirect, direct_response and non_forwarding_action is required");
      return { kind: "non_forwarding" };
  }
}

function decodeDirectResponse(message: DirectResponseMessage, maxBody: number, at: Place): DirectResponseAction {
  if (message.status < 200 || message.status > 599) {
    at.field("status").error(`must be from 200 to 599, got ${message.status}`);
  }
  const body = decodeText(message.body, at.field("body"));
  const size = Buffer.byteLength(body);
  if (size > maxBody) at.field("body").error(`the body has ${size} bytes, more than the table's limit of ${maxBody}`);
  return { kind: "direct_response", status: message.status, body };
}

function decodeTracing(message: Tracing): NonNullable<Route["tracing"]> {
  const share = (percent: FractionalPercent | undefined): Fraction | null => (percent ? fractionOf(percent) : null);
  return {
    clientSampling: share(message.clientSampling),
    randomSampling: share(message.randomSampling),
    overallSampling: share(message.overallSampling),
  };
}

type ActionInit = NonNullable<MessageInitShape<typeof RouteSchema>["action"]>;

function actionInit(action: RouteAction): ActionInit {
  switch (action.kind) {
    case "forward":
      return { case: "route", value: encodeForward(action) };
    case "redirect":
      return { case: "redirect", value: encodeRedirect(action) };
    case "direct_response": {
      const body = encodeText(action.body);
      return { case: "directResponse", value: { status: action.status, ...(body ? { body } : {}) } };
    }
    case "non_forwarding":
      return { case: "nonForwardingAction", value: {} };
  }
}

export function encodeRoute(route: Route): RouteMessage {
  const message = create(RouteSchema, {
    name: route.name,
    match: encodeRouteMatch(route.match),
    action: actionInit(route.action),
    typedPerFilterConfig: encodeFilterOverrides(route.filterOverrides),
    ...encodeHeaderMutations(route),
  });
  if (route.operation !== "") message.decorator = create(DecoratorSchema, { operation: route.operation });
  if (route.requestBufferLimitBytes !== undefined) message.perRequestBufferLimitBytes = route.requestBufferLimitBytes;
  if (route.tracing) message.tracing = encodeTracing(route.tracing);
  const metadata = encodeMetadata({ [OUTRIGGER]: route.source === "" ? undefined : { source: route.source } });
  if (metadata) message.metadata = metadata;
  return message;
}

function encodeTracing(tracing: NonNullable<Route["tracing"]>): Tracing {
  const message = create(TracingSchema);
  if (tracing.clientSampling) message.clientSampling = fraction(tracing.clientSampling);
  if (tracing.randomSampling) message.randomSampling = fraction(tracing.randomSampling);
  if (tracing.overallSampling) message.overallSampling = fraction(tracing.overallSampling);
  return message;
}
