/** What a Node process really holds: its heap after a collection, asked for through its inspector. */
import { once } from "node:events";

/** For the process that is to be asked. */
export const INSPECTABLE: readonly string[] = ["--inspect=127.0.0.1:0"];

/** Bytes that live objects take, and the buffers that they keep outside the heap. */
export interface LiveMemory {
  readonly heap: number;
  readonly buffers: number;
}

interface HeapUsage {
  readonly usedSize: number;
  readonly backingStorageSize: number;
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

export class LiveMemoryProbe {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #id = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const { id, result, error } = JSON.parse(String(data)) as Reply;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error.message));
    });
    socket.addEventListener("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the inspector has gone"));
    });
  }

  /** Connects to a process that was started with `INSPECTABLE`; `output` is what it has written so far. */
  static async connect(output: string): Promise<LiveMemoryProbe> {
    const url = /ws:\/\/\S+/.exec(output)?.[0];
    if (url === undefined) throw new Error(`no inspector was announced:\n${output}`);
    const socket = new WebSocket(url);
    await once(socket, "open");
    return new LiveMemoryProbe(socket);
  }

  /** Collects garbage and measures what is left. */
  async measure(): Promise<LiveMemory> {
    // What finalisers and weak references let go is collected by the second.
    for (let i = 0; i < 2; i++) await this.#ask("HeapProfiler.collectGarbage");
    const { usedSize, backingStorageSize } = (await this.#ask("Runtime.getHeapUsage")) as HeapUsage;
    return { heap: usedSize, buffers: backingStorageSize };
  }

  close(): void {
    this.#socket.close();
  }

  #ask(method: string): Promise<unknown> {
    const id = ++this.#id;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#socket.send(JSON.stringify({ id, method }));
    return answer.promise;
  }
}
