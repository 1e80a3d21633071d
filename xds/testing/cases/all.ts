/** Every validity case, by what it is about. */

import { ACCESS_LOG_CASES } from "./access-log-cases.ts";
import type { ValidityCase } from "./case.ts";
import { ADDRESS_CASES, HTTP2_CASES, PROTOCOL_CASES } from "./cluster-cases.ts";
import { CHAIN_CASES, FAULT_CASES, OVERRIDE_CASES, RBAC_CASES } from "./filter-cases.ts";
import { FORWARD_CASES, RETRY_CASES, WEIGHT_CASES } from "./forward-cases.ts";
import { CHAIN_MATCH_CASES, LISTENER_CASES, NAMESPACE_CASES, PREDICATE_CASES } from "./listener-cases.ts";
import { MANAGER_CASES } from "./manager-cases.ts";
import { ACTION_CASES, DOMAIN_CASES, HEADER_CASES, MATCH_CASES, MATCHER_CASES } from "./route-cases.ts";
import { BIND_CASES, ORIGINAL_DST_CASES, TCP_CASES } from "./tcp-cases.ts";

/** By group; a case's name is unique in its group. */
export const VALIDITY_CASES: Readonly<Record<string, readonly ValidityCase[]>> = {
  "domains of virtual hosts": DOMAIN_CASES,
  "route matches": MATCH_CASES,
  "header and query matchers": MATCHER_CASES,
  "header mutations": HEADER_CASES,
  "route actions": ACTION_CASES,
  forwarding: FORWARD_CASES,
  "weighted clusters": WEIGHT_CASES,
  "retry policies": RETRY_CASES,
  "HTTP filter chains": CHAIN_CASES,
  "access rules": RBAC_CASES,
  faults: FAULT_CASES,
  "per-route overrides": OVERRIDE_CASES,
  listeners: LISTENER_CASES,
  "filter chain matches": CHAIN_MATCH_CASES,
  "network namespaces": NAMESPACE_CASES,
  "where listener filters do not run": PREDICATE_CASES,
  "TCP proxies": TCP_CASES,
  "original destinations": ORIGINAL_DST_CASES,
  "source addresses": BIND_CASES,
  "connection managers": MANAGER_CASES,
  "additional addresses of endpoints": ADDRESS_CASES,
  "protocols of clusters": PROTOCOL_CASES,
  "HTTP/2 options": HTTP2_CASES,
  "access logs and local replies": ACCESS_LOG_CASES,
};
