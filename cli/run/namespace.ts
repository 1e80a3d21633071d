/**
 * A network namespace, with a private view of mounts, for one program and what it starts. Nobody outside sees it, and
 * nothing of it is left when its holder ends: a shell that waits for the end of a pipe from this process, however that
 * comes about, then ends all processes in the namespace, with which it is gone.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { systemClock } from "../../core/clock.ts";
import { UserError } from "../../core/errors.ts";
import { machine, type System } from "../init/system.ts";
import type { ProgramUser } from "../sidecar/program-user.ts";

/**
 * Ends every process of its own network namespace but itself, also those that left the program's group or session, until
 * there are none: some may be born meanwhile.
 */
const END_ALL = `
again=yes
while [ "$again" ]; do
  again=
  for process in /proc/[0-9]*; do
    if [ "\${process#/proc/}" != $$ ] && [ "$process/ns/net" -ef /proc/$$/ns/net ]; then
      kill -KILL "\${process#/proc/}" 2>/dev/null && again=yes
    fi
  done
  if [ "$again" ]; then sleep 0.05; fi
done`;

/** A terminal's or a shell's signals are not for the holder: it ends last. */
const HOLD = `trap '' HUP INT QUIT TERM\necho ready\nread -r nothing\n${END_ALL}`;

/** In the working directory that the program was called in. */
const START = 'cd "$1" && shift && exec "$@"';

/** What ending takes no longer than, unless the kernel holds a process. */
const END_MS = 3000;

export class Namespace {
  /** Of the network namespace, for sockets that are made in it. */
  readonly path: string;
  /** Settles when the holder has ended although nobody asked it to. */
  readonly lost: Promise<void>;
  /** Runs commands inside. Files that it reads are the machine's, but for the kernel's of the network. */
  readonly system: System;
  readonly #holder: ChildProcess;
  /** Keeps the namespace reachable where the holder is gone. */
  readonly #descriptor: number;
  #closing = false;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
    this.path = `/proc/${holder.pid}/ns/net`;
    this.#descriptor = openSync(this.path, "r");
    this.lost = new Promise((resolve) => {
      holder.once("exit", () => {
        if (!this.#closing) resolve();
      });
    });
    this.system = {
      run: (program, args, input) => {
        const result = machine.run("nsenter", [...this.#enter(), "--", program, ...args], input);
        // What the shell says of programs that are not there, nsenter does, too.
        return result.code === 127 ? { code: null, stdout: "", stderr: "" } : result;
      },
      read: (file) => {
        const { code, stdout } = this.system.run("cat", [file]);
        return code === 0 ? stdout : null;
      },
      sleep: machine.sleep,
    };
  }

  /** Rejects with a UserError that says what the kernel or the machine refuses. */
  static async make(): Promise<Namespace> {
    const args = ["--net", "--mount", "--", "sh", "-c", HOLD];
    const holder = spawn("unshare", args, { stdio: ["pipe", "pipe", "pipe"], detached: true });
    let said = "";
    holder.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const failed = new Promise<string>((resolve) => {
      holder.once("error", () => resolve("unshare is not installed (package util-linux)"));
      holder.once("close", () => resolve(said.trim() || "unshare ended"));
    });
    const refused = await Promise.race([failed, once(holder.stdout, "data").then(() => null)]);
    if (refused !== null) throw new UserError(`a network namespace cannot be made: ${refused}`);
    // It is not for the holder to keep this process from ending.
    holder.unref();
    const namespace = new Namespace(holder);
    const entered = machine.run("nsenter", [...namespace.#enter(), "--", "true"]);
    if (entered.code === 0) return namespace;
    await namespace.close();
    const why = entered.code === null ? "nsenter is not installed (package util-linux)" : entered.stderr.trim();
    throw new UserError(`a network namespace was made, and cannot be entered: ${why}`);
  }

  /** A file as it is seen inside. */
  file(path: string): string {
    return `/proc/${this.#holder.pid}/root${path}`;
  }

  /** Starts a program inside, with this process's terminal and working directory. */
  start(program: string, args: readonly string[], env: NodeJS.ProcessEnv, user: ProgramUser | null): ChildProcess {
    const identity = user === null ? [] : [`--setgid=${user.gid}`, `--setuid=${user.uid}`];
    const command = ["sh", "-c", START, "sh", process.cwd(), program, ...args];
    return spawn("nsenter", [...this.#enter(), ...identity, "--", ...command], {
      stdio: "inherit",
      env: { ...env, ...user?.env },
    });
  }

  /** Ends all that is still inside; with the last process the namespace is gone. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const ended =
      this.#holder.exitCode === null && this.#holder.signalCode === null ? once(this.#holder, "exit") : null;
    if (ended === null) {
      spawnSync("nsenter", [`--net=/proc/${process.pid}/fd/${this.#descriptor}`, "--", "sh", "-c", END_ALL]);
    } else {
      this.#holder.stdin?.end();
      await Promise.race([ended, new Promise<void>((resolve) => systemClock.after(END_MS, resolve))]);
    }
    closeSync(this.#descriptor);
  }

  #enter(): readonly string[] {
    return [`--net=${this.path}`, `--mount=/proc/${this.#holder.pid}/ns/mnt`];
  }
}
