/** Listeners and filter chains that load or do not. */
import {
  address,
  any,
  bootstrap,
  chain,
  hcm,
  type Json,
  listener,
  named,
  withChains,
  withCluster,
} from "../bootstrap-json.ts";
import { cases } from "./case.ts";

const on = (fields: Json): Json => bootstrap(listener(fields));
const matching = (...matches: readonly Json[]): Json =>
  withChains(...matches.map((match, i) => chain(undefined, { name: `n${i}`, filter_chain_match: match })));
const range = (prefix: string, length: number): Json => ({
  prefix_ranges: [{ address_prefix: prefix, prefix_len: length }],
});
const at = (name: string, host: string, port: number): Json => listener({ name, address: address(host, port) });
const listenerFilter = (name: string): Json => on({ listener_filters: [named("f", any(`extensions.${name}`))] });
const unbound = (port: number, ...bind: readonly boolean[]): Json =>
  bootstrap(
    ...bind.map((bind_to_port, i) => listener({ name: `n${i}`, address: address("127.0.0.1", port), bind_to_port })),
  );
const TLS = "extensions.transport_sockets.tls.v3.DownstreamTlsContext";

export const LISTENER_CASES = cases(
  ["no filter chains", on({ filter_chains: undefined }), "listeners[0]", /a filter chain is required/],
  ["only the default chain", on({ filter_chains: undefined, default_filter_chain: chain() })],
  ["a chain without filters", withChains(chain([]))],
  ["no name", on({ name: undefined })],
  ["no address", on({ address: undefined }), "listeners[0].address", /is required/],
  ["a name for an address", bootstrap(at("l", "localhost", 1)), "socket_address.address", /malformed IP address/],
  ["no port", on({ address: { socket_address: { address: "127.0.0.1" } } }), "port_value", /is required/],
  [
    "an address twice",
    bootstrap(at("a", "127.0.0.1", 81), at("b", "127.0.0.1", 81)),
    "listeners[1].address",
    /already the address of listener "a"/,
  ],
  ["port 0 twice", bootstrap(at("a", "127.0.0.1", 0), at("b", "127.0.0.1", 0))],
  ["the wildcard beside one address", bootstrap(at("a", "0.0.0.0", 81), at("b", "127.0.0.1", 81))],
  [
    "a name twice",
    bootstrap(at("l", "127.0.0.1", 81), at("l", "127.0.0.1", 82)),
    "listeners[1].name",
    /another listener of this name/,
    "the second takes the first one's place",
  ],
  [
    "the HTTP manager before another filter",
    withChains(chain([named("a", hcm()), named("b", hcm())])),
    "filters[0]",
    /must be the last/,
  ],
  [
    "access rules alone",
    withChains(chain([named("a", any("extensions.filters.network.rbac.v3.RBAC", { stat_prefix: "s" }))])),
    "filters[0]",
    /must be the HTTP connection manager or/,
  ],
  [
    "access rules without a prefix",
    withChains(chain([named("a", any("extensions.filters.network.rbac.v3.RBAC")), named("b", hcm())])),
    "stat_prefix",
    /is required/,
  ],
  [
    "a filter without a type",
    withChains(chain([{ name: "envoy.filters.network.http_connection_manager" }])),
    "typed_config",
    /is required/,
  ],
  ["a filter without a name", withChains(chain([named("", hcm())])), "filters[0].name", /is required/],
  [
    "an unknown filter",
    withChains(chain([named("a", { "@type": "type.googleapis.com/google.protobuf.Struct" })])),
    "typed_config",
    /not supported here/,
  ],
  [
    "inspectors",
    on({
      listener_filters: ["tls_inspector.v3.TlsInspector", "http_inspector.v3.HttpInspector"].map((type) =>
        named(type, any(`extensions.filters.listener.${type}`)),
      ),
    }),
  ],
  [
    "a listener filter of another kind",
    listenerFilter("access_loggers.stream.v3.StdoutAccessLog"),
    "typed_config",
    /not supported here/,
  ],
  ["the original destination", listenerFilter("filters.listener.original_dst.v3.OriginalDst")],
  ["connections handed to other listeners", on({ use_original_dst: true })],
  ["a transparent socket", on({ transparent: true })],
  [
    "an address that is not there yet",
    on({ freebind: true }),
    "freebind",
    /is not supported yet/,
    "sockets that wait for their address",
  ],
  [
    "a chain for the rest that matches something",
    on({ default_filter_chain: chain(undefined, { filter_chain_match: { destination_port: 5 } }) }),
  ],
  [
    "one address for two listeners without a socket",
    unbound(81, false, false),
    "listeners[1].address",
    /already the address/,
  ],
  ["one address with a socket and without", unbound(81, true, false), "listeners[1].address", /already the address/],
  ["port 0 twice without a socket", unbound(0, false, false), "listeners[1].address", /already the address/],
  [
    "a further address that is taken",
    bootstrap(
      listener({
        name: "a",
        address: address("127.0.0.1", 82),
        additional_addresses: [{ address: address("127.0.0.1", 83) }],
      }),
      at("b", "127.0.0.1", 83),
    ),
    "listeners[1].address",
    /already the address of listener "a"/,
  ],
  ["a negative timeout", on({ listener_filters_timeout: "-1s" }), "listener_filters_timeout", /must not be negative/],
  [
    "a secret that is not there",
    withChains(
      chain(undefined, {
        transport_socket: named(
          "tls",
          any(TLS, { common_tls_context: { tls_certificate_sds_secret_configs: [{ name: "s" }] } }),
        ),
      }),
    ),
    "common_tls_context",
    /there is no secret "s"/,
  ],
);

const inside = (path: string, port = 81): Json => ({
  socket_address: { address: "127.0.0.1", port_value: port, network_namespace_filepath: path },
});
const endpointIn = (path: string): Json =>
  withCluster({
    load_assignment: { cluster_name: "c", endpoints: [{ lb_endpoints: [{ endpoint: { address: inside(path) } }] }] },
  });
const OWN = "/proc/self/ns/net";

export const NAMESPACE_CASES = cases(
  ["a listener in one", on({ address: inside(OWN) })],
  ["a listener in one that is not there", on({ address: inside("/none") })],
  ["a further address in one", on({ additional_addresses: [{ address: inside(OWN) }] })],
  ["one address in two", bootstrap(at("a", "127.0.0.1", 81), listener({ name: "b", address: inside(OWN) }))],
  [
    "one address twice in one",
    bootstrap(listener({ name: "a", address: inside(OWN) }), listener({ name: "b", address: inside(OWN) })),
    "listeners[1].address",
    /already the address/,
  ],
  [
    "a source address in one",
    withCluster({ upstream_bind_config: { source_address: inside(OWN, 0)["socket_address"] } }),
  ],
  ["an endpoint in one", endpointIn(OWN), "network_namespace_filepath", /is only for listeners and source addresses/],
);

const disabled = (predicate: Json): Json =>
  on({
    listener_filters: [
      {
        ...named("f", any("extensions.filters.listener.tls_inspector.v3.TlsInspector")),
        filter_disabled: predicate,
      },
    ],
  });
const ports = (start: number, end: number): Json => ({ destination_port_range: { start, end } });
const EVERY = { any_match: true };

export const PREDICATE_CASES = cases(
  ["any", disabled(EVERY)],
  ["any that is false", disabled({ any_match: false }), "any_match", /must be true/],
  ["nothing", disabled({}), "filter_disabled", /one of or_match/],
  ["a port", disabled(ports(80, 81))],
  ["ports from high to low", disabled(ports(81, 80))],
  ["ports beyond all ports", disabled(ports(-5, 80_000))],
  ["ports without bounds", disabled({ destination_port_range: {} })],
  ["either", disabled({ or_match: { rules: [ports(1, 2), { not_match: EVERY }] } })],
  ["both", disabled({ and_match: { rules: [EVERY, ports(1, 2)] } })],
  ["either of one", disabled({ or_match: { rules: [EVERY] } }), "or_match.rules", /at least 2/],
  ["all of none", disabled({ and_match: {} }), "and_match.rules", /at least 2/],
  ["not nothing", disabled({ not_match: {} }), "filter_disabled.not_match", /one of or_match/],
);

export const CHAIN_MATCH_CASES = cases(
  [
    "the same port",
    matching({ destination_port: 80 }, { destination_port: 80 }),
    "filter_chains[1].filter_chain_match",
    /same connections as filter chain "n0"/,
  ],
  ["nothing, twice", matching({}, {}), "filter_chains[1].filter_chain_match", /same connections/],
  [
    "a name in both",
    matching({ server_names: ["a", "b"] }, { server_names: ["b"] }),
    "filter_chains[1].filter_chain_match",
    /same connections/,
  ],
  [
    "a name in both but for its case",
    matching({ server_names: ["AA"] }, { server_names: ["aa"] }),
    "filter_chains[1].filter_chain_match",
    /same/,
  ],
  [
    "a port in both beside a name",
    matching({ server_names: ["a"], source_ports: [1, 2] }, { server_names: ["a"], source_ports: [2, 3] }),
    "filter_chains[1].filter_chain_match",
    /same/,
  ],
  [
    "a port in both beside other names",
    matching({ server_names: ["a"], source_ports: [1, 2] }, { server_names: ["b"], source_ports: [2, 3] }),
  ],
  [
    "the same port twice in one",
    matching({ source_ports: [5, 5] }),
    "filter_chains[0].filter_chain_match",
    /same connections as itself/,
  ],
  [
    "one network in two spellings",
    matching(range("10.0.0.1", 8), range("10.0.0.2", 8)),
    "filter_chains[1].filter_chain_match",
    /same/,
  ],
  ["networks inside each other", matching(range("10.0.0.0", 8), range("10.1.0.0", 16))],
  ["a wildcard for one label", matching({ server_names: ["*.a"] })],
  ["a wildcard for a part of a label", matching({ server_names: ["a*"] }), "server_names[0]", /whole first label/],
  ["a wildcard alone", matching({ server_names: ["*"] }), "server_names[0]", /whole first label/],
  ["a wildcard at the end", matching({ server_names: ["a.*"] }), "server_names[0]", /whole first label/],
  ["port 0", matching({ destination_port: 0 }), "destination_port", /from 1 to 65535/],
  ["source port 0", matching({ source_ports: [0] }), "source_ports[0]", /from 1 to 65535/],
  ["an address that is none", matching(range("zz", 8)), "address_prefix", /malformed IP address/],
  ["a suffix of an address", matching({ address_suffix: "a" }), "address_suffix", /is not supported/],
);
