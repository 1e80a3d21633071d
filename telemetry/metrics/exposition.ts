/** Writes samples in Prometheus' text format (version 0.0.4). */

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type MetricType = "counter" | "gauge" | "histogram";

/** One series as plain data, so that a worker can send it to the thread that is scraped. */
export interface Sample {
  /** `route="a",code="200"`, escaped; "" for a family without labels. */
  readonly labels: string;
  /** A counter's or gauge's value; a histogram's sum. */
  value: number;
  /** Observations per bucket, not cumulative; null for counters and gauges. */
  counts: Float64Array | null;
}

export interface FamilySamples {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  /** Upper bounds of a histogram's buckets; empty for others. */
  readonly bounds: readonly number[];
  readonly samples: readonly Sample[];
}

/** Length of the pieces that `exposition` yields, in characters: about a millisecond's work. */
const PIECE = 256 * 1024;

/** `a="x",b="y"` with backslashes, quotes and newlines escaped. */
export function formatLabels(names: readonly string[], values: readonly string[]): string {
  let text = "";
  for (let i = 0; i < names.length; i++) {
    text += `${i === 0 ? "" : ","}${names[i]}="${escapeValue(values[i] ?? "")}"`;
  }
  return text;
}

const SPECIAL = /[\\"\n]/;

function escapeValue(value: string): string {
  if (!SPECIAL.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function formatNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}

/** The text in pieces: a caller that gives way between them never holds up requests for long. */
export function* exposition(families: Iterable<FamilySamples>): Generator<string, void, undefined> {
  let text = "";
  for (const family of families) {
    if (family.samples.length === 0) continue;
    text += `# HELP ${family.name} ${family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n`;
    text += `# TYPE ${family.name} ${family.type}\n`;
    const bounds = family.bounds.map((bound) => `le="${formatNumber(bound)}"`);
    for (const sample of family.samples) {
      text +=
        sample.counts === null ? line(family.name, sample) : histogram(family.name, bounds, sample, sample.counts);
      if (text.length >= PIECE) {
        yield text;
        text = "";
      }
    }
  }
  if (text !== "") yield text;
}

function line(name: string, sample: Sample): string {
  const labels = sample.labels === "" ? "" : `{${sample.labels}}`;
  return `${name}${labels} ${formatNumber(sample.value)}\n`;
}

function histogram(name: string, bounds: readonly string[], sample: Sample, counts: Float64Array): string {
  const labels = sample.labels === "" ? "" : `{${sample.labels}}`;
  const more = sample.labels === "" ? "" : `,${sample.labels}`;
  let text = "";
  let cumulative = 0;
  for (let i = 0; i < bounds.length; i++) {
    cumulative += counts[i] ?? 0;
    text += `${name}_bucket{${bounds[i]}${more}} ${cumulative}\n`;
  }
  cumulative += counts[bounds.length] ?? 0;
  text += `${name}_bucket{le="+Inf"${more}} ${cumulative}\n`;
  return `${text}${name}_sum${labels} ${formatNumber(sample.value)}\n${name}_count${labels} ${cumulative}\n`;
}

/**
 * One set of families out of those of several workers: series with equal labels are added up. Gauges are added as
 * well, since each worker counts its own connections and requests.
 */
export function mergeFamilies(sets: readonly (readonly FamilySamples[])[]): FamilySamples[] {
  const merged = new Map<string, { family: FamilySamples; samples: Map<string, Sample> }>();
  for (const family of sets.flat()) {
    let entry = merged.get(family.name);
    if (!entry) merged.set(family.name, (entry = { family, samples: new Map() }));
    for (const sample of family.samples) {
      const known = entry.samples.get(sample.labels);
      if (known === undefined) {
        entry.samples.set(sample.labels, { ...sample, counts: sample.counts?.slice() ?? null });
      } else {
        known.value += sample.value;
        if (known.counts && sample.counts)
          for (const [i, n] of sample.counts.entries()) known.counts[i] = (known.counts[i] ?? 0) + n;
      }
    }
  }
  return [...merged.values()].map(({ family, samples }) => ({ ...family, samples: [...samples.values()] }));
}
