/** The shop front: shows a page for which it asks the orders service. */
import { createServer } from "node:http";
import { takesCue } from "./cue.ts";
import { callPeer, type FindPeer } from "./peer.ts";

export function shop(port: number, find: FindPeer): void {
  createServer(async (request, response) => {
    if (takesCue(request, response, () => undefined)) return;
    const order = await callPeer(find("orders"), "/orders/1");
    response.writeHead(order.status === 200 ? 200 : 502, { "content-type": "application/json" });
    response.end(order.status === 200 ? `{"order":${order.body}}` : `{"error":"orders answered ${order.status}"}`);
  }).listen(port, "127.0.0.1");
}
