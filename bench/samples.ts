/** Collects what the rounds measured, and makes one result of each case and proxy: medians, and ratios to the baseline. */
import { median, type Result, withRatios } from "./report.ts";

/** What one measurement may tell. */
export type Figures = Partial<Omit<Record<keyof Result, number>, "case" | "proxy" | "ratio_to_envoy" | "ratio_to_own">>;

export class Samples {
  readonly #samples = new Map<string, Figures[]>();
  readonly failures: string[] = [];

  add(name: string, proxy: string, figures: Figures): void {
    const key = `${name}\t${proxy}`;
    this.#samples.set(key, [...(this.#samples.get(key) ?? []), figures]);
    const shown = Object.entries(figures).map(([figure, value]) => [figure, Number(value.toFixed(2))]);
    process.stderr.write(`  ${name} ${proxy} ${JSON.stringify(Object.fromEntries(shown))}\n`);
  }

  /** What `measure` resolves to is added; null is a proxy that can't do the case; an error counts and is told at the end. */
  async measure(name: string, proxy: string, measure: () => Promise<Figures | null>): Promise<void> {
    try {
      const figures = await measure();
      if (figures !== null) this.add(name, proxy, figures);
    } catch (error) {
      this.failures.push(`${name} ${proxy}: ${(error as Error).message}`);
      this.add(name, proxy, { errors: 1 });
    }
  }

  results(): Result[] {
    return withRatios(
      [...this.#samples].map(([key, list]) => {
        const [name = "", proxy = ""] = key.split("\t");
        const figure = (of: keyof Figures): number | null => {
          const values = list.flatMap((sample) => sample[of] ?? []);
          return values.length === 0 ? null : Number(median(values).toFixed(3));
        };
        return {
          case: name,
          proxy,
          cpu_us_per_request: figure("cpu_us_per_request"),
          cpu_s_per_gb: figure("cpu_s_per_gb"),
          rps: figure("rps"),
          p50_ms: figure("p50_ms"),
          p99_ms: figure("p99_ms"),
          p999_ms: figure("p999_ms"),
          rss_mb: figure("rss_mb"),
          ready_ms: figure("ready_ms"),
          busy: figure("busy"),
          errors: list.reduce((sum, sample) => sum + (sample.errors ?? 0), 0),
        };
      }),
    );
  }
}
