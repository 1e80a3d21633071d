/** Names that the connection manager's stages look for, in groups: most messages hold none of most groups. */
import { HeaderGroups } from "../../core/header-map.ts";

/** Bits of what `HeaderMap.groups` finds. A set bit means "perhaps", a clear one "certainly not". */
export const Group = {
  connection: 1 << 0,
  /** Hop-by-hop headers other than `connection` (RFC 9110, section 7.6.1). */
  hop: 1 << 1,
  internal: 1 << 2,
  edge: 1 << 3,
  forwardedFor: 1 << 4,
  forwardedProto: 1 << 5,
  forwardedPort: 1 << 6,
  externalAddress: 1 << 7,
  requestId: 1 << 8,
  clientCert: 1 << 9,
  referer: 1 << 10,
  via: 1 << 11,
  server: 1 << 12,
  date: 1 << 13,
} as const;

/** What no request from outside may tell a proxy: Envoy's router obeys these. Without internal addresses all are. */
export const INTERNAL_HEADERS = [
  "x-envoy-internal",
  "x-envoy-retriable-status-codes",
  "x-envoy-retriable-header-names",
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
  "x-envoy-max-retries",
  "x-envoy-upstream-alt-stat-name",
  "x-envoy-upstream-rq-timeout-ms",
  "x-envoy-upstream-rq-per-try-timeout-ms",
  "x-envoy-upstream-rq-timeout-alt-response",
  "x-envoy-upstream-stream-duration-ms",
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-force-trace",
  "x-envoy-ip-tags",
  "x-envoy-original-url",
  "x-envoy-hedge-on-per-try-timeout",
] as const;

/** What the first proxy of a mesh (`use_remote_address`) takes off besides: it is said about the request, not to Envoy. */
export const EDGE_HEADERS = [
  "x-envoy-decorator-operation",
  "x-envoy-downstream-service-cluster",
  "x-envoy-downstream-service-node",
  "x-envoy-original-path",
  "x-envoy-original-host",
] as const;

export const REQUEST_GROUPS = new HeaderGroups()
  .add(Group.connection, ["connection"])
  .add(Group.hop, ["upgrade", "te", "keep-alive", "proxy-connection"])
  .add(Group.internal, INTERNAL_HEADERS)
  .add(Group.edge, EDGE_HEADERS)
  .add(Group.forwardedFor, ["x-forwarded-for"])
  .add(Group.forwardedProto, ["x-forwarded-proto"])
  .add(Group.forwardedPort, ["x-forwarded-port"])
  .add(Group.externalAddress, ["x-envoy-external-address"])
  .add(Group.requestId, ["x-request-id"])
  .add(Group.clientCert, ["x-forwarded-client-cert"])
  .add(Group.referer, ["referer"])
  .add(Group.via, ["via"]);

export const RESPONSE_GROUPS = new HeaderGroups()
  .add(Group.connection, ["connection"])
  .add(Group.hop, ["upgrade", "keep-alive", "proxy-connection"])
  .add(Group.server, ["server"])
  .add(Group.date, ["date"])
  .add(Group.via, ["via"])
  .add(Group.requestId, ["x-request-id"]);
