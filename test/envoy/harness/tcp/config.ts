/** The bootstrap of an area about opaque bytes: a listener, a cluster and a log file for each case. */
import type { JsonObject } from "../case.ts";
import { cluster, filter, host } from "../config.ts";
import type { TcpArea, TcpCase } from "./case.ts";

const LOG_FORMAT = [
  "%RESPONSE_CODE% %RESPONSE_FLAGS% details=%RESPONSE_CODE_DETAILS% ended=%CONNECTION_TERMINATION_DETAILS%",
  "rx=%BYTES_RECEIVED% tx=%BYTES_SENT% attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT% cluster=%UPSTREAM_CLUSTER%",
  "host=%UPSTREAM_HOST% to=%UPSTREAM_REMOTE_ADDRESS% up=%UPSTREAM_TRANSPORT_FAILURE_REASON% %PROTOCOL%",
  "sni=%REQUESTED_SERVER_NAME% chain=%FILTER_CHAIN_NAME% route=%ROUTE_NAME% %ACCESS_LOG_TYPE%",
].join(" ");

export interface TcpPlaces {
  /** The first octets and groups of the case's own networks. */
  readonly net: string;
  readonly net6: string;
  readonly listener: number;
  /** By name of a server. */
  readonly servers: Readonly<Record<string, number>>;
  readonly logFile: string;
}

export const idOf = (area: TcpArea, testCase: TcpCase): string => `${area.name}-${area.cases.indexOf(testCase)}`;

/** The bootstrap of these cases, each at its places. */
export function tcpBootstrap(cases: readonly { id: string; case: TcpCase; places: TcpPlaces }[]): string {
  const all = cases.map(({ id, case: testCase, places }) => resourcesOf(id, testCase, places));
  return JSON.stringify(
    {
      static_resources: {
        listeners: all.flatMap(({ listeners }) => listeners),
        clusters: all.flatMap(({ clusters }) => clusters),
      },
    },
    null,
    1,
  );
}

/** With the case's own networks in their places. */
export function inNetworks(text: string, { net, net6 }: Pick<TcpPlaces, "net" | "net6">): string {
  return text.replaceAll("{net}", net).replaceAll("{net6}", net6);
}

function resourcesOf(id: string, testCase: TcpCase, places: TcpPlaces) {
  const log = (kind: string): JsonObject =>
    filter("file", "FileAccessLog", {
      path: places.logFile,
      log_format: { text_format_source: { inline_string: `${kind}: ${testCase.log ?? LOG_FORMAT}\n` } },
    });
  const proxy = filter("envoy.filters.network.tcp_proxy", "TcpProxy", {
    stat_prefix: "test",
    ...(testCase.proxy?.["weighted_clusters"] ? {} : { cluster: "{case}" }),
    access_log: [log("proxy")],
    ...testCase.proxy,
  });
  const filters = [...(testCase.before ?? []), proxy];
  const listener: JsonObject = {
    name: "{case}",
    address: { socket_address: { address: "127.0.0.1", port_value: "{port:listener}" } },
    filter_chains: testCase.chains === undefined ? [{ filters }] : testCase.chains(filters),
    ...(testCase.listenerLog ? { access_log: [log("listener")] } : {}),
    ...testCase.listener,
  };
  const clusters = [cluster("{case}", [host("up")], testCase.cluster), ...(testCase.clusters ?? [])];
  const text = JSON.stringify({ listeners: [listener, ...(testCase.listeners ?? [])], clusters });
  const ports: Readonly<Record<string, number>> = { ...places.servers, listener: places.listener };
  const filled = inNetworks(text, places)
    .replaceAll("{case}", id)
    .replaceAll("{logFile}", places.logFile)
    .replaceAll("{namespace}", `/proc/${process.pid}/ns/net`)
    .replaceAll(/"\{port:([\w-]+)\}"/g, (_, name: string) => {
      const port = ports[name];
      if (port === undefined) throw new Error(`${id}: there is no port "${name}"`);
      return String(port);
    });
  return JSON.parse(filled) as { listeners: JsonObject[]; clusters: JsonObject[] };
}
