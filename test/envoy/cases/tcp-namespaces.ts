/** Sockets in another network namespace than the proxy's, in whose own nothing is up. */
import type { JsonObject } from "../harness/case.ts";
import { cluster, host } from "../harness/config.ts";
import type { TcpArea, TcpCase, TcpStep } from "../harness/tcp/case.ts";

const inside = (address: string, port: number | string): JsonObject => ({
  address,
  port_value: port,
  network_namespace_filepath: "{namespace}",
});

const ping: readonly TcpStep[] = [{ send: "ping" }, { bytes: 4 }, { end: "half" }];

const between = (name: string, more: Partial<TcpCase>): TcpCase => ({
  name,
  listener: { address: { socket_address: inside("127.0.0.1", "{port:listener}") } },
  clusters: [cluster("{case}-b", [host("up")], { upstream_bind_config: { source_address: inside("127.0.0.6", 0) } })],
  proxy: { cluster: "{case}-b" },
  log: "%RESPONSE_FLAGS% %DOWNSTREAM_LOCAL_ADDRESS% %UPSTREAM_HOST% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%",
  steps: ping,
  ...more,
});

const source = (config: JsonObject): Partial<TcpCase> => ({
  clusters: [cluster("{case}-b", [host("up")], { upstream_bind_config: config })],
});

export const tcpNamespaces: TcpArea = {
  name: "tcp-namespaces",
  kind: "tcp",
  apart: true,
  cases: [
    between("a listener and its upstream", {}),
    between("an upstream in the proxy's own", { ...source({}), steps: [{ until: "end" }] }),
    between(
      "a source address of IPv6 beside",
      source({ source_address: inside("::1", 0), extra_source_addresses: [{ address: inside("127.0.0.7", 0) }] }),
    ),
    between("any source address", source({ source_address: inside("0.0.0.0", 0) })),
    between("an upstream in a namespace that is not there", {
      ...source({ source_address: { address: "127.0.0.1", port_value: 0, network_namespace_filepath: "/none" } }),
      steps: [{ until: "end" }],
      log: "%RESPONSE_FLAGS% %UPSTREAM_HOST%",
      differs: {
        why: "the log names who could not be called, and that it was the connection that failed",
        envoy: ["log proxy: URX -"],
        outrigger: ["log proxy: UF,URX 127.0.0.1:up"],
      },
    }),
  ],
};
