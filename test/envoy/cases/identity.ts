/** What is told of a caller's certificate, and what its identity opens. */
import type { Area, Case, ClientTls, JsonObject } from "../harness/case.ts";
import { ANY, filter, to } from "../harness/config.ts";
import { get } from "../harness/http.ts";
import {
  CALLER,
  CALLER_NAME,
  downstream,
  INSPECTOR,
  REQUIRED,
  refusal,
  secured,
  trusting,
} from "../harness/tls-config.ts";

const mutual = secured(downstream(["orders"], trusting("mesh"), REQUIRED));
const xfcc = "By=spiffe://before;Hash=abc;URI=spiffe://first";
const ALL_DETAILS = { subject: true, cert: false, chain: false, dns: true, uri: true };

function forwarding(
  mode: string,
  details: JsonObject,
  tls: ClientTls | undefined,
  headers: Record<string, string>,
): Case {
  const label = `${tls === undefined ? "plaintext" : "mTLS"}${"x-forwarded-client-cert" in headers ? ", header given" : ""}`;
  return {
    name: `client certificate forwarded: ${mode}, ${label}`,
    manager: { forward_client_cert_details: mode, set_current_client_cert_details: details },
    ...(tls === undefined ? {} : { ...mutual, tls }),
    steps: get("/", headers),
  };
}

const GIVEN = { "x-forwarded-client-cert": xfcc };
const forwarded: Case[] = [
  ...["SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"].flatMap((mode) => [
    forwarding(mode, ALL_DETAILS, CALLER, GIVEN),
    forwarding(mode, ALL_DETAILS, undefined, GIVEN),
  ]),
  forwarding("SANITIZE_SET", {}, CALLER, {}),
  forwarding("SANITIZE_SET", ALL_DETAILS, { certificate: "other" }, {}),
  forwarding("SANITIZE_SET", { cert: true, chain: true, subject: true }, CALLER, {}),
];

const principal = (
  match: JsonObject,
  tls: ClientTls = CALLER,
): Pick<Case, "filters" | "tls" | "chains" | "listener" | "steps"> => ({
  ...mutual,
  tls,
  filters: [
    filter("envoy.filters.http.rbac", "RBAC", {
      rules: { action: "ALLOW", policies: { peers: { permissions: [{ any: true }], principals: [match] } } },
    }),
  ],
  steps: get("/"),
});

const rules: Case[] = [
  { name: "principal by its name", ...principal({ authenticated: { principal_name: { exact: CALLER_NAME } } }) },
  {
    name: "another principal",
    ...principal({ authenticated: { principal_name: { exact: CALLER_NAME } } }, { certificate: "other" }),
  },
  {
    name: "principal by suffix",
    ...principal({ authenticated: { principal_name: { suffix: "/sa/other" } } }, { certificate: "other" }),
  },
  { name: "any authenticated principal", ...principal({ authenticated: {} }) },
  {
    name: "principal that is not",
    ...principal({ not_id: { authenticated: { principal_name: { prefix: "spiffe://mesh.test/ns/shop/" } } } }),
  },
  {
    name: "requested server name",
    ...mutual,
    tls: CALLER,
    filters: [
      filter("envoy.filters.http.rbac", "RBAC", {
        rules: {
          action: "ALLOW",
          policies: {
            names: { permissions: [{ requested_server_name: { exact: "alpha.test" } }], principals: [{ any: true }] },
          },
        },
      }),
    ],
    steps: get("/"),
  },
  {
    name: "principal of the connection allowed",
    listener: INSPECTOR,
    chains: (manager) => [
      { filters: [networkRule(CALLER_NAME), manager], ...downstream(["orders"], trusting("mesh"), REQUIRED) },
    ],
    tls: CALLER,
    steps: get("/"),
  },
  {
    name: "principal of the connection denied",
    listener: INSPECTOR,
    chains: (manager) => [
      { filters: [networkRule(CALLER_NAME), manager], ...downstream(["orders"], trusting("mesh"), REQUIRED) },
    ],
    tls: { certificate: "other" },
    steps: get("/"),
    view: refusal,
  },
  {
    name: "TLS in headers",
    ...mutual,
    tls: CALLER,
    routes: [
      to(
        ANY,
        {},
        {
          request_headers_to_add: [
            "%DOWNSTREAM_PEER_URI_SAN%",
            "%DOWNSTREAM_LOCAL_URI_SAN%",
            "%DOWNSTREAM_PEER_SUBJECT%",
            "%DOWNSTREAM_PEER_ISSUER%",
            "%DOWNSTREAM_TLS_VERSION%",
            "%DOWNSTREAM_PEER_FINGERPRINT_256%",
            "%DOWNSTREAM_PEER_SERIAL%",
            "%REQUESTED_SERVER_NAME%",
            "%DOWNSTREAM_PEER_CERT_V_START(%Y)%",
          ].map((value, index) => ({ header: { key: `x-${index}`, value } })),
        },
      ),
    ],
    steps: get("/"),
  },
];

function networkRule(name: string): JsonObject {
  return filter("envoy.filters.network.rbac", "NetworkRBAC", {
    stat_prefix: "tcp",
    rules: {
      action: "ALLOW",
      policies: {
        peers: { permissions: [{ any: true }], principals: [{ authenticated: { principal_name: { exact: name } } }] },
      },
    },
  });
}

export const identity: Area = {
  name: "identity",
  cases: [...forwarded, ...rules],
};
