/** kubectl and helm against the cluster that `KUBECONFIG` names, every call with a limit of time. */
import { execFile } from "node:child_process";

export interface CommandOptions {
  /** Standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
}

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Longer than any wait that a command is told to make. */
const LIMIT_MS = 240_000;

/** Never rejects for what the command says; rejects where it cannot be started or takes too long. */
export function attempt(command: string, args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const { input = "", timeoutMs = LIMIT_MS } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === "number") resolve({ status: code, stdout, stderr });
        else reject(new Error(`${command} ${args.join(" ")}: ${error?.message ?? "no exit code"}\n${stdout}${stderr}`));
      },
    );
    // Some end before they have read what they are given.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

/** Standard output; rejects with standard error where the command fails. */
export async function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await attempt(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

export const kubectl = (args: readonly string[], options?: CommandOptions): Promise<string> =>
  run("kubectl", args, options);

export const helm = (args: readonly string[], options?: CommandOptions): Promise<string> => run("helm", args, options);
