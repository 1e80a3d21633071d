/** Errors that are meant for people: a message that stands alone, a position where there is one, and an exit code. */

/** One thing wrong with an input, and where. */
export interface Problem {
  /** A sentence without a trailing full stop. */
  readonly message: string;
  /** Where in the value: `static_resources.clusters[2].lb_policy`. */
  readonly path?: string;
  /** Name of the resource that holds it: `cluster "orders"`. */
  readonly resource?: string;
  /** File and position, 1-based. */
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** `file:line:column: resource: path: message`, leaving out what is unknown. */
export function formatProblem(problem: Problem): string {
  const parts: string[] = [];
  if (problem.file !== undefined) {
    let at = problem.file;
    if (problem.line !== undefined) at += `:${problem.line}`;
    if (problem.line !== undefined && problem.column !== undefined) at += `:${problem.column}`;
    parts.push(at);
  }
  if (problem.resource) parts.push(problem.resource);
  if (problem.path) parts.push(problem.path);
  parts.push(problem.message);
  return parts.join(": ");
}

/** Bad input from a person or a peer: printed without a stack trace. Exit code 2 is bad usage, 1 anything else. */
export class UserError extends Error {
  readonly problems: readonly Problem[];
  readonly exitCode: number;

  constructor(problems: string | readonly Problem[], exitCode = 1) {
    const list = typeof problems === "string" ? [{ message: problems }] : problems;
    super(list.map(formatProblem).join("\n"));
    this.name = "UserError";
    this.problems = list;
    this.exitCode = exitCode;
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a Node system error (`ECONNREFUSED`), or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
