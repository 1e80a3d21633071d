/** Takes chunk framing off a body that goes on by HTTP/2; the framing has been checked where it came in. */
import { ChunkedDecoder, type ChunkSink } from "./chunked.ts";

export class Unchunker implements ChunkSink {
  readonly #decoder = new ChunkedDecoder();
  #give: (content: Buffer) => void = () => undefined;

  constructor() {
    this.#decoder.reset(false);
  }

  /** Gives the content in `bytes`, piece by piece. */
  feed(bytes: Buffer, give: (content: Buffer) => void): void {
    this.#give = give;
    this.#decoder.feed(bytes, 0, bytes.length, this);
  }

  onChunk(bytes: Buffer): void {
    this.#give(bytes);
  }
}
