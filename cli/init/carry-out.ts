/** Carries a plan out: all of it, or what was done is taken back. */
import { messageOf, UserError } from "../../core/errors.ts";
import { type Command, refusal } from "./iptables.ts";
import type { DrainStep, Plan, Step } from "./plan.ts";
import { openConnections, type System } from "./system.ts";

const POLL_MS = 100;

/** Throws a UserError: what failed, and that nothing was changed. */
export function apply(system: System, plan: Plan): void {
  const done: Step[] = [];
  for (const step of plan) {
    if ("drain" in step) continue;
    const failure = run(system, step.command);
    if (failure === null) {
      done.push(step);
      continue;
    }
    // Tables take effect one by one: of the step that failed the first may have.
    const undone = takeBack(system, step.command.input === undefined ? done : [...done, step]);
    throw new UserError(`${failure.message}; ${undone}`);
  }
}

function takeBack(system: System, done: readonly Step[]): string {
  const problems: string[] = [];
  for (const step of done.toReversed()) {
    try {
      for (const command of step.undo()) {
        const failure = run(system, command);
        if (failure !== null) problems.push(failure.message);
      }
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  return problems.length === 0
    ? "nothing was changed"
    : `and what was done before could not be taken back (${problems.join("; ")}): run outrigger init --cleanup`;
}

/**
 * Removes: what can't be removed does not keep the rest from going. Connections that are open may go on for `drainMs`.
 * Returns how many were then still open. Throws a UserError with all that failed.
 */
export function remove(system: System, plan: Plan, drainMs: number): number {
  const problems: string[] = [];
  let cut = 0;
  for (const step of plan) {
    if ("drain" in step) cut = drain(system, step, drainMs);
    else {
      const failure = run(system, step.command);
      if (failure !== null) problems.push(failure.message);
    }
  }
  if (problems.length > 0) throw new UserError(problems.join("\n"));
  return cut;
}

function drain(system: System, step: DrainStep, drainMs: number): number {
  let open = openConnections(system, step.drain);
  for (let waited = 0; open > 0 && waited < drainMs; waited += POLL_MS) {
    system.sleep(POLL_MS);
    open = openConnections(system, step.drain);
  }
  return open;
}

function run(system: System, command: Command): UserError | null {
  const result = system.run(command.program, command.args, command.input);
  return result.code === 0 ? null : refusal(command, result);
}

/** The plan as a shell would run it. */
export function printPlan(plan: Plan): string {
  return plan.map((step) => ("drain" in step ? printDrain(step) : printStep(step))).join("\n");
}

function printDrain({ drain }: DrainStep): string {
  return `# then waits for open connections at the local ports ${drain.join(" and ")}\n`;
}

function printStep({ title, command: { program, args, input } }: Step): string {
  const line = [program, ...args].join(" ");
  return input === undefined ? `# ${title}\n${line}\n` : `# ${title}\n${line} <<'RULES'\n${input}RULES\n`;
}
