/** The orders service, in two versions: looks up what is in stock; on cue, some of its calls fail. */
import { createServer } from "node:http";
import { systemRandom } from "../../../core/random.ts";
import { takesCue, WELL_BEHAVED } from "./cue.ts";
import { callPeer, type FindPeer } from "./peer.ts";

export function orders(port: number, version: string, find: FindPeer): void {
  let cue = WELL_BEHAVED;
  createServer(async (request, response) => {
    const taken = takesCue(request, response, (next) => {
      cue = next;
    });
    if (taken) return;
    if (systemRandom() * 100 < cue.failPercent) return void response.writeHead(500).end("no order today\n");
    const stock = await callPeer(find("stock"), "/stock");
    response.writeHead(stock.status === 200 ? 200 : 502, { "content-type": "application/json" });
    response.end(JSON.stringify({ version, stock: stock.body }));
  }).listen(port, "127.0.0.1");
}
