/**
 * What the connections of connection managers with one `stat_prefix` have carried, under Envoy's names (`http.PREFIX.…`):
 * the data plane increments them, telemetry reads them when it is scraped.
 */
import { Http2Stats } from "../codec/http2/stats.ts";
import type { ActiveFaults } from "../filters/active-faults.ts";

export class HttpStats {
  downstream_cx_http1_total = 0;
  downstream_cx_http1_active = 0;
  downstream_rq_http1_total = 0;
  /** Requests that HTTP/1's parser refused; those of HTTP/2 are counted by its codec. */
  http1_protocol_errors = 0;
  readonly http2 = new Http2Stats();
  /** Of connections between sidecars that carry HTTP/1 as streams. */
  readonly multiplexed = new Http2Stats();

  /** Made when a filter first asks for it. */
  faults: ActiveFaults | null = null;

  /** Open ones. */
  get connections(): number {
    return this.downstream_cx_http1_active + this.http2.connections_active + this.multiplexed.connections_active;
  }
}
