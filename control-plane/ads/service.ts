/** gRPC's view of `envoy.service.discovery.v3.AggregatedDiscoveryService`: its two methods and their messages. */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";

const SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

export const adsServiceDefinition = {
  streamAggregatedResources: bidirectional(
    `${SERVICE}/StreamAggregatedResources`,
    DiscoveryRequestSchema,
    DiscoveryResponseSchema,
  ),
  deltaAggregatedResources: bidirectional(
    `${SERVICE}/DeltaAggregatedResources`,
    DeltaDiscoveryRequestSchema,
    DeltaDiscoveryResponseSchema,
  ),
};

/** As the server has them: its responses are bytes already (`response-bytes.ts`). */
export const adsServerDefinition = {
  streamAggregatedResources: ready(adsServiceDefinition.streamAggregatedResources),
  deltaAggregatedResources: ready(adsServiceDefinition.deltaAggregatedResources),
};

function ready<I, O>(
  method: MethodDefinition<I, O>,
): Omit<MethodDefinition<I, O>, "responseSerialize"> & {
  readonly responseSerialize: (bytes: Buffer) => Buffer;
} {
  return { ...method, responseSerialize: (bytes) => bytes };
}

/** A method whose both sides stream, for grpc-js clients and servers. */
export function bidirectional<I extends DescMessage, O extends DescMessage>(
  path: string,
  input: I,
  output: O,
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: (message) => Buffer.from(toBinary(input, message)),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(output, message)),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}
