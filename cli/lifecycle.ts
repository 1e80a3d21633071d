/** Signals: the first SIGTERM or SIGINT drains, the second exits at once; SIGUSR1 opens log files again. */
import { stayAlive } from "../core/clock.ts";
import { logger } from "../core/log.ts";

const log = logger("main");

/** Exit status of a process ended by a second signal: 128 + SIGTERM. */
const EXIT_KILLED = 143;

export interface Lifecycle {
  readonly onStop: (signal: string) => Promise<void>;
  readonly onReopenLogs: () => void;
}

/** Installs the handlers and stays; the process ends with status 0 when a signal came and `onStop` has resolved. */
export function handleSignals(lifecycle: Lifecycle): void {
  stayAlive();
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) {
      log.warn({ signal }, "second signal: exiting at once");
      process.exit(EXIT_KILLED);
    }
    stopping = true;
    lifecycle.onStop(signal).then(
      () => process.exit(0),
      (error: Error) => {
        log.error({ error: error.message }, "stopping failed");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  process.on("SIGUSR1", () => lifecycle.onReopenLogs());
}
