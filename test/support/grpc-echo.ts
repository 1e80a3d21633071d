/** A gRPC service in `@grpc/grpc-js` whose messages are plain bytes: all four kinds of call, without a schema. */
import grpc from "@grpc/grpc-js";

type Bytes = Buffer;

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: (value: Bytes) => value,
  requestDeserialize: (value: Bytes) => value,
  responseSerialize: (value: Bytes) => value,
  responseDeserialize: (value: Bytes) => value,
});

export const ECHO = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  spread: method("Spread", false, true),
  chat: method("Chat", true, true),
};

export const EchoClient = grpc.makeGenericClientConstructor(ECHO, "Echo");
export type EchoClient = InstanceType<typeof EchoClient>;

export type ServerHandlers = {
  unary: grpc.handleUnaryCall<Bytes, Bytes>;
  collect: grpc.handleClientStreamingCall<Bytes, Bytes>;
  spread: grpc.handleServerStreamingCall<Bytes, Bytes>;
  chat: grpc.handleBidiStreamingCall<Bytes, Bytes>;
};

/** Starts a server on a port of 127.0.0.1. */
export async function startEcho(handlers: ServerHandlers): Promise<{ port: number; server: grpc.Server }> {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  server.addService(ECHO, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { port, server };
}
