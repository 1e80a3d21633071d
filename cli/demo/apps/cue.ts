/** How the demo tells one of its programs to misbehave: `POST /cue`, on the program's own port, past the mesh. */
import type { IncomingMessage, ServerResponse } from "node:http";

export interface Cue {
  /** Calls to be answered with 500, of a hundred. */
  readonly failPercent: number;
  /** Take calls and never answer them. */
  readonly stalled: boolean;
}

export const WELL_BEHAVED: Cue = { failPercent: 0, stalled: false };

/** Answers `/cue` and says true; any other request is the program's own. */
export function takesCue(request: IncomingMessage, response: ServerResponse, act: (cue: Cue) => void): boolean {
  if (request.url !== "/cue") return false;
  let text = "";
  request.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  request.on("end", () => {
    if (text !== "") act({ ...WELL_BEHAVED, ...(JSON.parse(text) as Partial<Cue>) });
    response.end("ok\n");
  });
  return true;
}
