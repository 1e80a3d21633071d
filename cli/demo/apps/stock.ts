/** The stock service: counts what is there; on cue it hangs, which is worse for its callers than being gone. */
import { createServer, type ServerResponse } from "node:http";
import { takesCue, WELL_BEHAVED } from "./cue.ts";

export function stock(port: number, name: string): void {
  let cue = WELL_BEHAVED;
  const waiting = new Set<ServerResponse>();
  const answer = (response: ServerResponse): unknown => response.end(`42 at ${name}`);
  createServer((request, response) => {
    const taken = takesCue(request, response, (next) => {
      cue = next;
      if (cue.stalled) return;
      for (const held of waiting) answer(held);
      waiting.clear();
    });
    if (taken) return;
    if (cue.stalled) waiting.add(response.once("close", () => waiting.delete(response)));
    else answer(response);
  }).listen(port, "127.0.0.1");
}
