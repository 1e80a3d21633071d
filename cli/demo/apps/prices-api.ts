/** The prices service as gRPC knows it. Its messages are JSON, so that the demo needs no schema of its own. */
import type { MethodDefinition } from "@grpc/grpc-js";
import type { Cue } from "./cue.ts";

export interface Price {
  /** Who answered. */
  readonly instance: string;
  readonly cents: number;
  /** What was left of the caller's deadline when the call arrived, ms: at each instance that it passed. */
  readonly leftMs: readonly number[];
}

const serialize = (value: object): Buffer => Buffer.from(JSON.stringify(value));

function unary<Request extends object, Response extends object>(name: string): MethodDefinition<Request, Response> {
  return {
    path: `/demo.Prices/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: (bytes) => JSON.parse(bytes.toString()) as Request,
    responseSerialize: serialize,
    responseDeserialize: (bytes) => JSON.parse(bytes.toString()) as Response,
  };
}

type Item = Readonly<Record<"item", string>>;

export const PRICES = {
  /** The price of an item. */
  get: unary<Item, Price>("Get"),
  /** The same after a moment, by way of another instance: a call that goes on to a second hop. */
  quote: unary<Item, Price>("Quote"),
  /** What `POST /cue` is to the other programs. */
  cue: unary<Partial<Cue>, Record<string, never>>("Cue"),
};
