/** The areas in the order in which they run. */
import type { Area } from "../harness/case.ts";
import { rewriting } from "./rewriting.ts";
import { routing } from "./routing.ts";

export const areas: readonly Area[] = [routing, rewriting];
