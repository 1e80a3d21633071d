/** Lines out of a stream of bytes, however these are cut: a watch is a line of JSON for each event. */
import { ApiError } from "./api.ts";

const NEWLINE = 0x0a;

/**
 * Whole lines that are not empty. What follows the last newline is lost with the connection that broke there. Throws an
 * `ApiError` for a line longer than `maxBytes`.
 */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    let begin = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, begin)) {
      held.push(chunk.subarray(begin, end));
      begin = end + 1;
      // Decoded as a whole: a character may be cut anywhere.
      const line = decoder.decode(held.length === 1 ? held[0] : Buffer.concat(held));
      held = [];
      size = 0;
      if (line.trim() !== "") yield line;
    }
    if (begin === chunk.length) continue;
    held.push(chunk.subarray(begin));
    size += chunk.length - begin;
    if (size > maxBytes) throw new ApiError(0, "", `the API server sent an event of more than ${maxBytes} bytes`);
  }
}
