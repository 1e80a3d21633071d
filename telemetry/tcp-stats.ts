/** Numbers of one `tcp_proxy` under Envoy's statistic names (`tcp.PREFIX.*`), as plain fields that the data path increments. */

export class TcpStats {
  downstream_cx_total = 0;
  downstream_cx_no_route = 0;
  /** Bytes from callers, and to them. */
  downstream_cx_rx_bytes_total = 0;
  downstream_cx_tx_bytes_total = 0;
  idle_timeout = 0;
  max_downstream_connection_duration = 0;
  /** Outrigger's own: open connections; none is forgotten while there are some. */
  downstream_cx_active = 0;
  /** Outrigger's own: connections whose bytes turned out to be HTTP/2. */
  http2_preface_total = 0;
  /** Outrigger's own: connections of other sidecars that carry several of those above. */
  shared_cx_total = 0;
  shared_cx_active = 0;
}
