/**
 * Reads of a cluster's API through `kubectl`, which knows every way of proving who one is, and is there where somebody
 * has just applied something.
 */
import { execFile } from "node:child_process";
import { ApiError, type Json, type KubernetesApi } from "../../control-plane/kubernetes/api.ts";
import { codeOf } from "../../core/errors.ts";

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** GET alone. Rejects with an `ApiError`, as far as kubectl tells; its status is 0 where it does not. */
export function kubectlApi(program = "kubectl"): Pick<KubernetesApi, "call"> {
  return {
    call: ({ path }, signal) =>
      new Promise<Json>((resolve, reject) => {
        const options = { signal, maxBuffer: MAX_ANSWER_BYTES };
        execFile(program, ["get", "--raw", path], options, (error, answer, said) => {
          if (error === null) resolve(parsed(answer));
          else if (signal.aborted) reject(signal.reason);
          else reject(failure(said.trim() || error.message));
        });
      }),
  };
}

/** `Error from server (NotFound): …` */
function failure(said: string): ApiError {
  const [, reason = ""] = /^Error from server \((\w+)\)/m.exec(said) ?? [];
  return new ApiError(STATUS[reason] ?? 0, reason, said);
}

const STATUS: Readonly<Record<string, number>> = { NotFound: 404, Forbidden: 403, Unauthorized: 401 };

/** Whether there is a kubectl to be run. */
export function hasKubectl(program = "kubectl"): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(program, ["version", "--client"], (error) => resolve(codeOf(error) !== "ENOENT"));
  });
}

/** null: it is none. */
function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}
