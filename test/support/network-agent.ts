/**
 * A process of its own in a network namespace, which listens and connects as it is told on stdin, a JSON command a line.
 * A server of it says first where the connection came from and was going, a JSON line, and then sends back what it gets.
 */
import net from "node:net";
import { createInterface } from "node:readline";
import koffi from "koffi";
import { loadOriginalDestination } from "../../proxy/listener/original-destination.ts";
import { descriptorOf, IP_TRANSPARENT, loadSocketOptions, SOL_IP } from "../../proxy/listener/socket-options.ts";

export interface Greeting {
  /** The port that the server listens at. */
  readonly at: number;
  readonly original: { readonly host: string; readonly port: number } | null;
  readonly from: string;
}

export type AgentCommand =
  | { readonly listen: { readonly host: string; readonly port: number; readonly transparent?: boolean } }
  | { readonly become: { readonly uid?: number; readonly gid?: number } }
  /** Connects and answers with the greeting; `keep` leaves the connection open under that name. */
  | {
      readonly connect: {
        readonly host: string;
        readonly port: number;
        readonly from?: string;
        readonly keep?: string;
      };
    }
  /** The same from any address at all. IPv4. */
  | { readonly spoof: { readonly host: string; readonly port: number; readonly from: string } }
  /** Sends a byte over a connection that was kept, and waits for it to come back. */
  | { readonly talk: string };

const WAIT_MS = 3000;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const originals = await loadOriginalDestination();
const options = await loadSocketOptions();
const library = koffi.load(null);
const makeSocket = library.func("int socket(int, int, int)");
const bindSocket = library.func("int bind(int, void *, uint32_t)");
const connectSocket = library.func("int connect(int, void *, uint32_t)");
const kept = new Map<string, net.Socket>();

function listen({ host, port, transparent = false }: { host: string; port: number; transparent?: boolean }) {
  return new Promise<string>((resolve, reject) => {
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined);
      const greeting: Greeting = { at: port, original: originals.of(socket), from: socket.remoteAddress ?? "" };
      socket.write(`${JSON.stringify(greeting)}\n`);
      socket.pipe(socket);
    });
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: false }, () => {
      const fd = descriptorOf(server);
      if (transparent && !(fd !== null && options?.setInt(fd, SOL_IP, IP_TRANSPARENT, 1)))
        reject(new Error("IP_TRANSPARENT"));
      resolve("listening");
    });
  });
}

/** The first line that a peer sends. */
function greetingOf(socket: net.Socket): Promise<Greeting> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.setTimeout(WAIT_MS, () => socket.destroy(new Error("ETIMEDOUT")));
    socket.on("data", function read(bytes: Buffer) {
      text += bytes.toString();
      if (!text.includes("\n")) return;
      socket.off("data", read);
      socket.setTimeout(0);
      resolve(JSON.parse(text) as Greeting);
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });
}

function ipv4Address(host: string, port: number): Buffer {
  const address = Buffer.alloc(16);
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_INET;
  address.writeUInt16BE(port, 2);
  for (const [i, byte] of host.split(".").entries()) address[4 + i] = Number(byte);
  return address;
}

/** A socket that is bound to somebody else's address, and may still be connecting. */
function spoofed({ host, port, from }: { host: string; port: number; from: string }): net.Socket {
  const fd = makeSocket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) as number;
  if (!options?.setInt(fd, SOL_IP, IP_TRANSPARENT, 1)) throw new Error("IP_TRANSPARENT");
  if (bindSocket(fd, ipv4Address(from, 0), 16) !== 0) throw new Error("bind");
  connectSocket(fd, ipv4Address(host, port), 16);
  return new net.Socket({ fd, readable: true, writable: true });
}

async function obey(command: AgentCommand): Promise<unknown> {
  if ("listen" in command) return listen(command.listen);
  if ("become" in command) {
    const { uid, gid } = command.become;
    if (gid !== undefined) process.setgid?.(gid);
    if (uid !== undefined) process.setuid?.(uid);
    return "done";
  }
  if ("talk" in command) return talk(command.talk);
  const spoof = "spoof" in command;
  const { host, port, from } = spoof ? command.spoof : command.connect;
  const socket = spoof
    ? spoofed(command.spoof)
    : net.connect({ host, port, ...(from === undefined ? {} : { localAddress: from }) });
  const greeting = await greetingOf(socket);
  const keep = spoof ? undefined : command.connect.keep;
  if (keep === undefined) socket.destroy();
  else kept.set(keep, socket);
  return greeting;
}

function talk(name: string): Promise<string> {
  const socket = kept.get(name);
  return new Promise((resolve, reject) => {
    if (socket === undefined || socket.destroyed) return reject(new Error("closed"));
    socket.setTimeout(WAIT_MS, () => reject(new Error("ETIMEDOUT")));
    socket.once("data", (bytes: Buffer) => resolve(bytes.toString()));
    socket.once("close", () => reject(new Error("closed")));
    socket.write("x");
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await obey(JSON.parse(line) as AgentCommand).then(
    (value) => ({ value }),
    (error: Error & { code?: string }) => ({ error: error.code ?? error.message }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
