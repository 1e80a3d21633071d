/** The streams of an HTTP/2 connection as lines of text. */
import type { HttpText } from "../http-text.ts";
import { renderMessage } from "../render-message.ts";
import type { Http2Peer, StreamRecord } from "./peer.ts";

export function renderStreams(peer: Http2Peer): string[] {
  if (peer.otherProtocol !== null) return [`< not HTTP/2: ${peer.otherProtocol}`];
  const streams = [...peer.streams.values()].sort((a, b) => a.id - b.id);
  return [`settings: ${peer.settings.join(" ")}`, ...streams.flatMap(renderStream)];
}

function renderStream({ id, informational, head, body, trailers, ended, reset }: StreamRecord): string[] {
  const lines = informational.flatMap((headers) =>
    renderMessage({
      startLine: "HTTP/2",
      headers,
      body: Buffer.alloc(0),
      trailers: [],
      framing: "none",
      complete: true,
    }),
  );
  if (head !== null) {
    const message: HttpText = { startLine: "HTTP/2", headers: head, body, trailers, framing: "http2", complete: ended };
    lines.push(...renderMessage(message));
  }
  if (head === null && (ended || body.length > 0))
    lines.push(`DATA without a head: ${JSON.stringify(body.toString("latin1"))}`);
  if (reset !== null) lines.push(`reset ${reset}`);
  return lines.map((line) => `s${id}< ${line}`);
}
