/** The file that a worker is started from. */
import type { WorkerStart } from "./messages.ts";

/** In the published bundle that is the bundle itself, which then finds out that it is a worker (`cli/main.ts`). */
export function workerEntry(): string | URL {
  return typeof __filename === "string" ? __filename : new URL("./worker-main.ts", import.meta.url);
}

/** Whether `workerData` is that of a worker of the data plane. */
export function isWorkerStart(data: unknown): data is WorkerStart {
  return typeof data === "object" && data !== null && "role" in data && data.role === "outrigger-data-plane";
}
