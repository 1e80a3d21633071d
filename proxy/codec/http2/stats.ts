/** What Envoy counts of an HTTP/2 codec (`http2.*`), with its names. One object for all connections that share a scope. */
export class Http2Stats {
  rx_reset = 0;
  tx_reset = 0;
  goaway_sent = 0;
  header_overflow = 0;
  rx_messaging_error = 0;
  inbound_empty_frames_flood = 0;
  inbound_priority_frames_flood = 0;
  inbound_window_update_frames_flood = 0;
  outbound_flood = 0;
  outbound_control_flood = 0;
  /** Streams that the peer reset before they were answered; Envoy counts it with the listener's `premature_reset`. */
  premature_reset_flood = 0;
  keepalive_timeout = 0;
  /** Connections that ended because the peer broke the protocol, floods not among them (`downstream_cx_protocol_error`). */
  protocol_errors = 0;
  streams_active = 0;
  /** Streams and connections that were opened, which Envoy counts where they come from (`downstream_rq_http2_total`). */
  streams_total = 0;
  connections_total = 0;
  connections_active = 0;
}
