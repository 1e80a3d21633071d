/** The areas in the order in which they run. */
import type { Area } from "../harness/case.ts";
import { balancing } from "./balancing.ts";
import { filters } from "./filters.ts";
import { malformed } from "./malformed.ts";
import { retries } from "./retries.ts";
import { rewriting } from "./rewriting.ts";
import { routing } from "./routing.ts";
import { timeouts } from "./timeouts.ts";
import { tls } from "./tls.ts";
import { upstreams } from "./upstreams.ts";

export const areas: readonly Area[] = [
  timeouts,
  retries,
  balancing,
  upstreams,
  tls,
  malformed,
  routing,
  rewriting,
  filters,
];
