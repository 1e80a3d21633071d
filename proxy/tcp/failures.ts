/** One table from what kept an opaque connection from being served to what logs say of it: Envoy's flags, and a sentence. */
import { Flag } from "../../model/flags.ts";

export interface TcpFailure {
  /** Bits of model/flags.ts. */
  readonly flags: number;
  /** What happened; no full stop. */
  readonly sentence: string;
}

export const tcpFailures = {
  noCluster: { flags: Flag.NC, sentence: "the cluster does not exist" },
  noHealthyUpstream: { flags: Flag.UH, sentence: "no endpoint is in service" },
  connect_failure: { flags: Flag.UF, sentence: "the upstream could not be reached" },
  connect_timeout: { flags: Flag.UF, sentence: "the upstream did not accept a connection in time" },
  connections: { flags: Flag.UO, sentence: "the cluster has as many connections as it may (max_connections)" },
  pending: { flags: 0, sentence: "too many connections to the cluster are being opened (max_pending_requests)" },
  breakerOpen: {
    flags: Flag.UO,
    sentence: "the circuit breaker is open: connections to the upstream have been failing",
  },
  idle: { flags: 0, sentence: "no byte went either way for too long" },
  maxDuration: { flags: Flag.DT, sentence: "the connection lasted as long as it may" },
} as const satisfies Record<string, TcpFailure>;
