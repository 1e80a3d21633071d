/**
 * Writes log lines to a file or stream: collected in memory, written together when there are enough or after a while.
 * A disk or pipe that does not keep up costs lines, never memory or time of requests.
 */
import { close, closeSync, constants, open, openSync, write } from "node:fs";
import type { Clock, Timer } from "../../core/clock.ts";
import { codeOf, messageOf, UserError } from "../../core/errors.ts";

/** Enough for one write. Envoy's own limit is the same. */
const FLUSH_BYTES = 64 * 1024;
/** What may wait in all; further lines are dropped and counted. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** Writes bytes somewhere; `done` is called once, with what went wrong or null. */
export interface LogTarget {
  write(bytes: Buffer, done: (error: Error | null) => void): void;
  /** Opens the same place again, as after a log rotation. */
  reopen(): void;
  close(): void;
}

export interface LogWriterOptions {
  readonly clock: Clock;
  /** How long a line may wait, ms (Envoy's `--file-flush-interval-msec`). */
  readonly flushIntervalMs: number;
  /** Told of the first failure of a row. */
  readonly onError: (message: string) => void;
}

export class LogWriter {
  readonly #target: LogTarget;
  readonly #options: LogWriterOptions;
  #text = "";
  /** Bytes handed to the target and not yet written. */
  #writing = 0;
  #timer: Timer | null = null;
  #failing = false;
  #reopenWanted = false;
  #idle: (() => void)[] = [];
  /** Lines that were not written, for the metrics. */
  dropped = 0;

  constructor(target: LogTarget, options: LogWriterOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** Takes a line (bytes as latin1, its newline included). */
  append(line: string): void {
    if (this.#text.length + this.#writing + line.length > MAX_WAITING_BYTES) {
      this.dropped++;
      return;
    }
    this.#text += line;
    if (this.#text.length >= FLUSH_BYTES && this.#writing === 0) this.flush();
    else this.#timer ??= this.#options.clock.after(this.#options.flushIntervalMs, () => this.#onTimer());
  }

  /** Hands everything that waits to the target. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#text === "" || this.#writing > 0) return;
    const bytes = Buffer.from(this.#text, "latin1");
    this.#text = "";
    this.#writing = bytes.length;
    this.#target.write(bytes, (error) => this.#onWritten(error));
  }

  /** Writes to a new file of the same name from the next write on; nothing is lost. */
  reopen(): void {
    // Not while a write is under way: its descriptor could by then belong to another file.
    if (this.#writing > 0) this.#reopenWanted = true;
    else this.#target.reopen();
  }

  /** Resolves when everything is written (or lost) and the target closed. */
  async close(): Promise<void> {
    this.flush();
    while (this.#writing > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
      this.flush();
    }
    this.#target.close();
  }

  #onTimer(): void {
    this.#timer = null;
    this.flush();
  }

  #onWritten(error: Error | null): void {
    this.#writing = 0;
    if (this.#reopenWanted) this.#target.reopen();
    this.#reopenWanted = false;
    if (error !== null && !this.#failing) this.#options.onError(`access log: ${error.message}`);
    this.#failing = error !== null;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
    if (this.#text.length >= FLUSH_BYTES) this.flush();
    else if (this.#text !== "") {
      this.#timer ??= this.#options.clock.after(this.#options.flushIntervalMs, () => this.#onTimer());
    }
  }
}

/**
 * Throws if the file can't be appended to: a log that could never be written is an error of the configuration. A pipe
 * that nobody reads yet is none.
 */
export function checkWritable(path: string): void {
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
  try {
    closeSync(openSync(path, O_APPEND | O_CREAT | O_NONBLOCK | O_WRONLY, 0o644));
  } catch (error) {
    if (codeOf(error) !== "ENXIO") throw new UserError(`access log ${path} cannot be opened: ${messageOf(error)}`);
  }
}

/** Appends to a file, which is opened at the first write and made if it is not there. */
export function fileTarget(path: string): LogTarget {
  let fd: number | null = null;
  const closeFile = (): void => {
    if (fd !== null) close(fd, () => undefined);
    fd = null;
  };
  const writeAll = (to: number, bytes: Buffer, done: (error: Error | null) => void): void => {
    write(to, bytes, (error, written) => {
      if (error !== null) done(error);
      else if (written < bytes.length) writeAll(to, bytes.subarray(written), done);
      else done(null);
    });
  };
  return {
    write(bytes, done) {
      if (fd !== null) {
        writeAll(fd, bytes, done);
        return;
      }
      open(path, "a", 0o644, (error, opened) => {
        if (error !== null) {
          done(error);
          return;
        }
        fd = opened;
        writeAll(opened, bytes, done);
      });
    },
    reopen: closeFile,
    close: closeFile,
  };
}

/** Writes to standard output or error, which stay open. */
export function streamTarget(stream: NodeJS.WriteStream): LogTarget {
  return {
    write: (bytes, done) => {
      stream.write(bytes, (error) => done(error ?? null));
    },
    reopen: () => undefined,
    close: () => undefined,
  };
}
