/**
 * A million short streams through two sidecars, whose memory has to end where it began:
 * `OUTRIGGER_SOAK=1 node test/h2/soak.ts [STREAMS]`. It takes minutes, so no other test starts it.
 */
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { startTwoSidecars } from "../support/two-sidecars.ts";

const MB = 1024 * 1024;
const AT_ONCE = 64;
/** Heaps breathe: this much more than after the warm-up is no leak of a million streams. */
const MOST_MORE = 24 * MB;

function ask(session: http2.ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":path": "/short" });
    stream.on("error", reject);
    stream.on("end", resolve);
    stream.resume();
  });
}

async function run(session: http2.ClientHttp2Session, streams: number): Promise<void> {
  let left = streams;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await ask(session);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function main(streams: number): Promise<boolean> {
  const server = http2.createServer((_, answer) => answer.end("short"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sidecars = await startTwoSidecars({ backend: (server.address() as AddressInfo).port });
  const session = http2.connect(`http://127.0.0.1:${sidecars.port}`);
  try {
    await run(session, Math.ceil(streams / 20));
    const before = sidecars.rss();
    await run(session, streams);
    const more = sidecars.rss() - before;
    console.log(`${streams} streams: ${(before / MB).toFixed(1)} MB before, ${(more / MB).toFixed(1)} MB more after`);
    return more < MOST_MORE;
  } finally {
    session.destroy();
    await sidecars.stop();
    server.close();
  }
}

if (process.env["OUTRIGGER_SOAK"] === "1") {
  process.exitCode = (await main(Number(process.argv[2] ?? 1_000_000))) ? 0 : 1;
} else console.log("nothing was run: set OUTRIGGER_SOAK=1");
