/** Commands that read the clock and the process: times of day, host name, environment. */
import { hostname } from "node:os";
import type { FormatContext } from "./context.ts";
import { type Operator, type OperatorTable, optionalArgument, plain, withArgument } from "./operator.ts";
import { compileTimeArgument } from "./time-format.ts";

const time = (read: (context: FormatContext) => number): Operator =>
  optionalArgument((argument, command) => {
    const format = compileTimeArgument(argument, command);
    return (context) => format(read(context));
  });

/** Wall clock at the end of the request: its start and the monotonic time since. */
const emitTime = ({ info }: FormatContext): number =>
  info.endedAt === 0 ? info.startTime : info.startTime + (info.endedAt - info.startedAt);

export const PROCESS_OPERATORS: OperatorTable = {
  START_TIME: time((c) => c.info.startTime),
  EMIT_TIME: time(emitTime),
  HOSTNAME: plain(() => HOSTNAME),
  ENVIRONMENT: withArgument((name) => {
    const value = process.env[name] ?? null;
    return () => value;
  }),
};

const HOSTNAME = hostname();
