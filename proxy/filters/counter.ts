/** What a stage needs of the metrics: cells bound when configuration arrives, so that counting is one addition. */

export interface Counter {
  inc(): void;
}

/** Counts nothing: for stages that nobody watches. */
export const NO_COUNTER: Counter = { inc: () => {} };
