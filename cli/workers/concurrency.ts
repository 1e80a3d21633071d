/** What `--concurrency` asks for, and what of it can be had here. */
import { InvalidArgumentError } from "commander";
import { logger } from "../../core/log.ts";
import { systemCpuFacts, threadsForQuota } from "./cpu-quota.ts";

export const CONCURRENCY_HELP = "data-plane threads; 0: as many as the CPU quota allows";

/** The argument of a flag. */
export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("a whole number is needed.");
  return Number(text);
}

/** Systems whose kernels spread connections over sockets at one address (SO_REUSEPORT), by Node's name for them. */
const SPREADING: ReadonlySet<string> = new Set(["linux"]);

/** The number of threads to run. */
export function threadsFor(asked: number): number {
  const threads = asked === 0 ? threadsForQuota(systemCpuFacts()) : asked;
  if (threads === 1 || SPREADING.has(process.platform)) return threads;
  logger("main").warn({ asked, platform: process.platform }, "connections can't be spread here: one thread is run");
  return 1;
}
