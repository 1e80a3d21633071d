/** Reads a sidecar's Prometheus metrics. */
import { httpGet } from "./http-get.ts";
import type { DemoWorkload } from "./mesh.ts";

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples of a text exposition; label values as they are written there. */
export function parseExposition(text: string): readonly Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    const [, name, labels = "", value] = LINE.exec(line) ?? [];
    if (name === undefined) continue;
    const pairs = [...labels.matchAll(LABEL)].map(([, key = "", text = ""]): [string, string] => [key, text]);
    samples.push({ name, labels: Object.fromEntries(pairs), value: Number(value) });
  }
  return samples;
}

/** What the sidecar measures at present. Rejects where it does not answer. */
export async function scrape({ name, sidecar }: DemoWorkload): Promise<readonly Sample[]> {
  const { status, body, error } = await httpGet(`http://${sidecar.address}:${sidecar.metricsPort}/metrics`, 2000);
  if (status !== 200) throw new Error(`the metrics of ${name}'s sidecar cannot be read: ${error ?? status}`);
  return parseExposition(body);
}

/** The sum of a metric over the samples with these labels. */
export function sum(samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels);
  return samples
    .filter((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value))
    .reduce((total, { value }) => total + value, 0);
}
