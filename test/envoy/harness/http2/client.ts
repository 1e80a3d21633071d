/** The HTTP/2 caller of the test bench: prior knowledge, or over TLS with whatever ALPN the case offers. */
import type { ClientTls, Http2Step } from "../case.ts";
import type { ConnectionReport } from "../client.ts";
import { connect } from "../connect.ts";
import { TYPE } from "./frames.ts";
import { Http2Peer } from "./peer.ts";
import { runStep } from "./steps.ts";

const PROBE_LIMIT_MS = 2500;
/** How long a connection that was told to go away may stay before it counts as open. */
const GOING_MS = 400;

export interface Http2Run {
  readonly tls: ClientTls | undefined;
  readonly settings: Readonly<Record<number, number>> | undefined;
  readonly steps: readonly Http2Step[];
  /** Replaces placeholders in what is sent. */
  readonly fill: (text: string) => string;
}

/** Runs a case's steps on a new connection. */
export async function runHttp2(port: number, { tls, settings, steps, fill }: Http2Run): Promise<ConnectionReport> {
  const { raw, socket, ...ends } = await connect(port, tls);
  if (socket === null) return { ...ends, responses: [], outcome: "closed" };
  const peer = new Http2Peer(socket, { side: "client", ...(settings === undefined ? {} : { settings }) });
  const context = { peer, socket, stream: 1, fill, resetConnection: () => raw.resetAndDestroy() };
  let own = "";
  for (const step of steps) {
    await runStep(step, context);
    if ("end" in step && typeof step.end === "string") own = `${step.end} by the client`;
  }
  const outcome = own === "" || own.startsWith("half") ? await probe(peer) : own;
  socket.destroy();
  return { ...ends, responses: [], http2: peer, outcome };
}

/** The answer to a PING shows that the connection lives, and that all that was sent before it has arrived. */
async function probe(peer: Http2Peer): Promise<string> {
  const { pings } = peer;
  if (!peer.ended && peer.otherProtocol === null) peer.frame({ type: TYPE.ping, payload: Buffer.alloc(8) });
  await peer.until(() => peer.pings > pings || peer.goaways.length > 0, PROBE_LIMIT_MS);
  const goaways = peer.goaways.map(({ code, last }) => `GOAWAY ${code} last=${last}, `).join("");
  if (peer.goaways.length > 0) await peer.until(() => peer.ended, GOING_MS);
  else if (peer.pings > pings) return "kept";
  return goaways + (peer.ended ? "closed" : "open");
}
