/** Ports of the machine by which its own users reach the program: connections are handed on as they are. */
import net from "node:net";
import { codeOf, messageOf, UserError } from "../../core/errors.ts";
import { formatAddress } from "../../model/address.ts";
import type { InsideSockets } from "./inside.ts";

export interface PublishedPort {
  /** Of this machine. */
  readonly host: string;
  readonly port: number;
  /** Of the program, at its 127.0.0.1. */
  readonly inside: number;
}

/** Each side's bytes and end are the other's; what is cut off on one side must not look like an end on the other. */
export function join(one: net.Socket, other: net.Socket): void {
  one.on("error", () => other.resetAndDestroy());
  other.on("error", () => one.resetAndDestroy());
  one.pipe(other);
  other.pipe(one);
}

const INSIDE_HOST = "127.0.0.1";

/** Listens. Rejects with a UserError where the port can't be had. */
export async function publish({ host, port, inside }: PublishedPort, sockets: InsideSockets): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }, (caller) => {
    try {
      join(caller, sockets.connect(INSIDE_HOST, inside));
    } catch {
      // The namespace is gone, and so is the program.
      caller.resetAndDestroy();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const at = formatAddress({ kind: "tcp", host, port });
      const why = codeOf(error) === "EADDRINUSE" ? "the port is in use" : messageOf(error);
      reject(new UserError(`--publish: cannot listen on ${at}: ${why}`));
    });
    server.listen(port, host, resolve);
  });
  return server;
}
