/** For which destination ports a listener filter does not run: `listener.v3.ListenerFilterChainMatchPredicate`. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ListenerFilterChainMatchPredicate_MatchSetSchema,
  ListenerFilterChainMatchPredicateSchema,
  type ListenerFilterChainMatchPredicate as PredicateMessage,
} from "../generated/envoy/config/listener/v3/listener_components_pb.js";
import type { PortPredicate } from "../model/listener.ts";
import type { Place } from "./place.ts";

const ANY: PortPredicate = { kind: "any" };

/** A range may be empty or go beyond all ports, as in Envoy. */
export function decodePortPredicate(message: PredicateMessage, at: Place): PortPredicate {
  const { rule } = message;
  switch (rule.case) {
    case "anyMatch":
      if (!rule.value) at.field("any_match").error("must be true");
      return ANY;
    case "destinationPortRange":
      return { kind: "ports", start: rule.value.start, end: rule.value.end };
    case "orMatch":
      return { kind: "or", of: decodeRules(rule.value.rules, at.field("or_match")) };
    case "andMatch":
      return { kind: "and", of: decodeRules(rule.value.rules, at.field("and_match")) };
    case "notMatch":
      return { kind: "not", of: decodePortPredicate(rule.value, at.field("not_match")) };
    default:
      at.error("one of or_match, and_match, not_match, any_match and destination_port_range is required");
      return ANY;
  }
}

function decodeRules(rules: readonly PredicateMessage[], at: Place): readonly PortPredicate[] {
  if (rules.length < 2) at.field("rules").error("must have at least 2 entries");
  return rules.map((rule, i) => decodePortPredicate(rule, at.item("rules", i)));
}

export function encodePortPredicate(predicate: PortPredicate): PredicateMessage {
  return create(ListenerFilterChainMatchPredicateSchema, { rule: ruleOf(predicate) });
}

type Rule = NonNullable<MessageInitShape<typeof ListenerFilterChainMatchPredicateSchema>["rule"]>;

function ruleOf(predicate: PortPredicate): Rule {
  switch (predicate.kind) {
    case "any":
      return { case: "anyMatch", value: true };
    case "ports":
      return { case: "destinationPortRange", value: { start: predicate.start, end: predicate.end } };
    case "or":
      return { case: "orMatch", value: setOf(predicate.of) };
    case "and":
      return { case: "andMatch", value: setOf(predicate.of) };
    case "not":
      return { case: "notMatch", value: encodePortPredicate(predicate.of) };
  }
}

function setOf(predicates: readonly PortPredicate[]) {
  return create(ListenerFilterChainMatchPredicate_MatchSetSchema, { rules: predicates.map(encodePortPredicate) });
}
