/** What connections speak, under Envoy's names: `http2.*`, `http.PREFIX.*`, `cluster.NAME.http2.*`. */
import {
  type DownstreamNumbers,
  HTTP2_NUMBERS,
  type Http2Numbers,
  type UpstreamNumbers,
} from "../../telemetry/protocol-view.ts";

type Stat = readonly [name: string, value: number];

/** Of the connections that callers have opened, by the connection managers' `stat_prefix`. */
export function* downstreamStats(managers: ReadonlyMap<string, DownstreamNumbers>): Generator<Stat> {
  const all = [...managers.values()];
  // Envoy counts the codec's own for all listeners together.
  for (const name of HTTP2_NUMBERS) yield [`http2.${name}`, all.reduce((sum, { http2 }) => sum + http2[name], 0)];
  for (const [prefix, numbers] of managers) {
    const { http2, multiplexed } = numbers;
    const scope = `http.${prefix}`;
    yield [`${scope}.downstream_cx_http1_active`, numbers.downstream_cx_http1_active];
    yield [`${scope}.downstream_cx_http1_total`, numbers.downstream_cx_http1_total];
    yield [`${scope}.downstream_cx_http2_active`, http2.connections_active];
    yield [`${scope}.downstream_cx_http2_total`, http2.connections_total];
    yield [`${scope}.downstream_rq_http1_total`, numbers.downstream_rq_http1_total];
    yield [`${scope}.downstream_rq_http2_total`, http2.streams_total];
    const errors = numbers.http1_protocol_errors + http2.protocol_errors + multiplexed.protocol_errors;
    yield [`${scope}.downstream_cx_protocol_error`, errors];
    const premature = http2.premature_reset_flood + multiplexed.premature_reset_flood;
    yield [`${scope}.downstream_rq_too_many_premature_resets`, premature];
    yield* streamStats(`${scope}.multiplexed`, multiplexed);
  }
}

/** Of the connections to a cluster's endpoints, beyond what is a number of the cluster itself. */
export function* upstreamStats(cluster: string, numbers: Partial<UpstreamNumbers>): Generator<Stat> {
  const { http2, multiplexed, opaque } = numbers;
  if (http2 === undefined || multiplexed === undefined) return;
  const scope = `cluster.${cluster}`;
  yield [`${scope}.upstream_cx_http2_total`, http2.connections_total];
  for (const name of HTTP2_NUMBERS) yield [`${scope}.http2.${name}`, http2[name]];
  yield* streamStats(`${scope}.multiplexed`, multiplexed);
  if (opaque !== undefined && opaque.connections_total > 0) yield* streamStats(`${scope}.opaque_streams`, opaque);
}

/** Outrigger's own: what carries HTTP/1 between sidecars is not counted as HTTP/2, whose numbers it would hide. */
function* streamStats(scope: string, numbers: Http2Numbers): Generator<Stat> {
  yield [`${scope}.connections_active`, numbers.connections_active];
  yield [`${scope}.connections_total`, numbers.connections_total];
  yield [`${scope}.streams_total`, numbers.streams_total];
  for (const name of HTTP2_NUMBERS) yield [`${scope}.${name}`, numbers[name]];
}
