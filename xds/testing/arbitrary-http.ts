/** Arbitrary connection managers of the model. */
import fc from "fast-check";
import type { AccessLog, AccessLogFilter } from "../../model/access-log.ts";
import type {
  CustomTag,
  GrpcStats,
  HttpConnectionManager,
  HttpFilter,
  JsonTemplate,
  LocalReplyConfig,
  LocalReplyFilter,
  LocalReplyFormat,
  Tracing,
  TracingProvider,
} from "../../model/http.ts";
import { http2Options } from "./arbitrary-http2.ts";
import { fraction, headerMatch } from "./arbitrary-matcher.ts";
import { faultPolicy, rbacPolicy } from "./arbitrary-rbac.ts";
import { headerMutation, routeTable } from "./arbitrary-route.ts";
import {
  andPerhaps,
  durationMs,
  few,
  headerName,
  name,
  nonEmptyText,
  orNull,
  plainText,
  template,
  uint32,
} from "./arbitrary-text.ts";

const jsonFields: fc.Arbitrary<JsonTemplate> = fc.dictionary(
  name,
  fc.oneof(template, fc.boolean(), fc.constant(null), fc.integer(), fc.array(template, { maxLength: 2 })),
  { maxKeys: 3, noNullPrototype: true },
);

const format: fc.Arbitrary<LocalReplyFormat["format"]> = fc.oneof(
  fc.record({ kind: fc.constant("text" as const), template }),
  fc.record({ kind: fc.constant("json" as const), fields: jsonFields }),
);

const responseFlags = fc.record({
  kind: fc.constant("response_flag" as const),
  flags: fc.subarray(["UH", "NR", "URX", "DC", "LH"]),
});
const headerFilter = fc.record({ kind: fc.constant("header" as const), header: headerMatch });

const leafFilter: fc.Arbitrary<AccessLogFilter & LocalReplyFilter> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("status_code" as const, "duration" as const),
    op: fc.constantFrom("eq" as const, "ge" as const, "le" as const, "ne" as const),
    value: uint32,
  }),
  fc.constant({ kind: "not_health_check" as const }),
  responseFlags,
  headerFilter,
);

const logFilter: fc.Arbitrary<AccessLogFilter> = fc.oneof(
  leafFilter,
  fc.constant({ kind: "traceable" as const }),
  fc.record({ kind: fc.constant("sample" as const), fraction, independent: fc.boolean() }),
  fc.record({
    kind: fc.constant("grpc_status" as const),
    statuses: few(fc.integer({ min: 0, max: 16 })),
    exclude: fc.boolean(),
  }),
);

export const accessLogFilter: fc.Arbitrary<AccessLogFilter> = fc.oneof(
  logFilter,
  fc.record({ kind: fc.constantFrom("and" as const, "or" as const), filters: few(logFilter, 2) }),
);

export const accessLog: fc.Arbitrary<AccessLog> = fc.record({
  sink: fc.oneof(
    fc.record({ kind: fc.constant("file" as const), path: nonEmptyText }),
    fc.constantFrom({ kind: "stdout" as const }, { kind: "stderr" as const }),
  ),
  format: fc.oneof(
    format,
    format.map((given) => ({ ...given, omitEmpty: true })),
    fc.constant({ kind: "text" as const, template: "" }),
  ),
  filter: orNull(accessLogFilter),
});

const replyFormat: fc.Arbitrary<LocalReplyFormat> = fc.record({ contentType: nonEmptyText, format });

const localReply: fc.Arbitrary<LocalReplyConfig> = fc.record({
  mappers: few(
    fc.record({
      filter: fc.oneof(
        leafFilter,
        fc.record({ kind: fc.constantFrom("and" as const, "or" as const), filters: few(leafFilter, 2) }),
      ),
      statusCode: orNull(fc.integer({ min: 200, max: 599 })),
      body: orNull(plainText),
      bodyFormat: orNull(replyFormat),
      headersToAdd: few(headerMutation),
    }),
  ),
  bodyFormat: orNull(replyFormat),
});

export const tracingProvider: fc.Arbitrary<TracingProvider> = fc.record({
  serviceName: nonEmptyText,
  export: fc.oneof(
    fc.record({ protocol: fc.constant("grpc" as const), cluster: name, timeoutMs: durationMs }),
    fc.record({
      protocol: fc.constant("http" as const),
      uri: fc.constantFrom("http://collector/v1/traces", "https://otel.example:4318/v1/traces"),
      cluster: name,
      timeoutMs: durationMs,
    }),
  ),
});

const customTag: fc.Arbitrary<CustomTag> = fc.record({
  tag: nonEmptyText,
  source: fc.oneof(
    fc.record({ kind: fc.constant("literal" as const), value: nonEmptyText }),
    fc.record({ kind: fc.constant("environment" as const), name: nonEmptyText, defaultValue: plainText }),
    fc.record({ kind: fc.constant("request_header" as const), name: headerName, defaultValue: plainText }),
  ),
});

/** Shares in the units in which Envoy keeps them: whole percents, and hundredths for random sampling. */
const share = (denominator: number) => fc.nat({ max: denominator }).map((numerator) => ({ numerator, denominator }));

const tracing: fc.Arbitrary<Tracing> = fc.record({
  clientSampling: share(100),
  randomSampling: share(10_000),
  overallSampling: share(100),
  verbose: fc.boolean(),
  maxPathTagLength: uint32,
  customTags: few(customTag),
  spawnUpstreamSpan: fc.boolean(),
  provider: orNull(tracingProvider),
});

const grpcStats: fc.Arbitrary<GrpcStats> = fc.record({
  methods: fc.oneof(
    fc.constantFrom("all" as const, "none" as const),
    few(fc.record({ service: nonEmptyText, methods: few(nonEmptyText, 1) })),
  ),
  emitFilterState: fc.boolean(),
  upstreamStats: fc.boolean(),
  replaceDots: fc.boolean(),
});

const filter: fc.Arbitrary<HttpFilter> = fc.oneof(
  fc.record({
    name,
    disabled: fc.boolean(),
    kind: fc.constant("rbac" as const),
    statPrefix: plainText,
    policy: rbacPolicy(true),
  }),
  fc.record({ name, disabled: fc.boolean(), kind: fc.constant("fault" as const), policy: faultPolicy }),
  fc.record({ name, disabled: fc.boolean(), kind: fc.constant("cors" as const) }),
  fc.record({ name, disabled: fc.boolean(), kind: fc.constant("grpc_stats" as const), stats: grpcStats }),
);

const router: fc.Arbitrary<HttpFilter> = fc.record({
  name,
  disabled: fc.constant(false),
  kind: fc.constant("router" as const),
  suppressEnvoyHeaders: fc.boolean(),
  respectExpectedRqTimeout: fc.boolean(),
});

const filters = fc.tuple(few(filter), router).map(([before, last]) => [...before, last]);

const RANGES = [
  { address: "10.0.0.0", prefixLength: 8 },
  { address: "fd00::", prefixLength: 64 },
];

export const httpConnectionManager: fc.Arbitrary<HttpConnectionManager> = fc
  .tuple(
    andPerhaps(
      fc.record({
        statPrefix: nonEmptyText,
        codecType: fc.constantFrom("auto" as const, "http1" as const, "http2" as const),
        routes: fc.oneof(
          fc.record({ kind: fc.constant("inline" as const), table: routeTable }),
          fc.record({
            kind: fc.constant("rds" as const),
            name,
            source: fc.record({ kind: fc.constant("ads" as const), initialFetchTimeoutMs: durationMs }),
          }),
        ),
        filters,
        accessLogs: few(accessLog),
        tracing: orNull(tracing),
        upgrades: fc.constantFrom([], [{ type: "websocket", enabled: true }], [{ type: "h2c", enabled: false }]),
        useRemoteAddress: fc.boolean(),
        xffNumTrustedHops: uint32,
        skipXffAppend: fc.boolean(),
        via: plainText,
        generateRequestId: fc.boolean(),
        preserveExternalRequestId: fc.boolean(),
        alwaysSetRequestIdInResponse: fc.boolean(),
        normalizePath: fc.boolean(),
        mergeSlashes: fc.boolean(),
        pathWithEscapedSlashes: fc.constantFrom(
          "keep" as const,
          "reject" as const,
          "unescape_and_redirect" as const,
          "unescape_and_forward" as const,
        ),
        streamIdleTimeoutMs: durationMs,
        requestTimeoutMs: durationMs,
        requestHeadersTimeoutMs: durationMs,
        drainTimeoutMs: durationMs,
        delayedCloseTimeoutMs: durationMs,
        forwardClientCert: fc.record({
          mode: fc.constantFrom(
            "sanitize" as const,
            "forward_only" as const,
            "append_forward" as const,
            "sanitize_set" as const,
            "always_forward_only" as const,
          ),
          subject: fc.boolean(),
          cert: fc.boolean(),
          chain: fc.boolean(),
          dns: fc.boolean(),
          uri: fc.boolean(),
        }),
        serverName: nonEmptyText,
        serverHeader: fc.constantFrom("overwrite" as const, "append_if_absent" as const, "pass_through" as const),
        proxy100Continue: fc.boolean(),
        idleTimeoutMs: durationMs,
        maxConnectionDurationMs: durationMs,
        maxStreamDurationMs: durationMs,
        maxRequestsPerConnection: uint32,
        maxHeadersCount: fc.integer({ min: 1, max: 10_000 }),
        maxRequestHeadersKb: fc.integer({ min: 1, max: 8192 }),
        headersWithUnderscores: fc.constantFrom("allow" as const, "reject_request" as const, "drop_header" as const),
        http1: fc.record({
          acceptHttp10: fc.boolean(),
          defaultHostForHttp10: plainText,
          allowAbsoluteUrl: fc.boolean(),
          allowChunkedLength: fc.boolean(),
          enableTrailers: fc.boolean(),
          allowCustomMethods: fc.boolean(),
        }),
        http2: http2Options,
        keepConnectionOnInvalidMessage: fc.boolean(),
        appendXForwardedPort: fc.boolean(),
        localReply,
      }),
      {
        internalAddresses: fc.record({ unixSockets: fc.boolean(), cidrs: few(fc.constantFrom(...RANGES)) }),
        schemeOverwrite: fc.constantFrom("http" as const, "https" as const),
        stripTrailingHostDot: fc.constant(true),
      },
    ),
    fc.constantFrom(
      { stripMatchingHostPort: false, stripAnyHostPort: false },
      { stripMatchingHostPort: true, stripAnyHostPort: false },
      { stripMatchingHostPort: false, stripAnyHostPort: true },
    ),
  )
  .map(([hcm, ports]) => ({ ...hcm, ...ports }));
