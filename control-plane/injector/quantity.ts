/** Kubernetes quantities (`100m`, `128Mi`), to compare them. */

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** NaN for what is none. */
export function quantityValue(text: string): number {
  const [, amount = "", suffix = ""] = /^(\d+\.?\d*|\.\d+)(.*)$/.exec(text) ?? [];
  if (amount === "") return Number.NaN;
  if (/^[eE][+-]?\d+$/.test(suffix)) return Number(`${amount}${suffix}`);
  return Number(amount) * (FACTORS[suffix] ?? Number.NaN);
}
