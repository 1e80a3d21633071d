/** The `grpc-timeout` header (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Timeout"). */

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1 / 1000,
  n: 1 / 1_000_000,
};

/** Most digits that a value may have. */
const LARGEST = 99_999_999;

/** Milliseconds, parts of one rounded up; null if it is not there or not valid. */
export function parseGrpcTimeout(text: string | null): number | null {
  const match = text === null ? null : /^(\d{1,8})([HMSmun])$/.exec(text);
  if (match === null) return null;
  return Math.ceil(Number(match[1]) * (UNIT_MS[match[2] as string] as number));
}

/** In milliseconds where they fit into eight digits, else in the next unit that does, rounded down. */
export function formatGrpcTimeout(ms: number): string {
  if (ms <= LARGEST) return `${ms}m`;
  let time = Math.floor(ms / 1000);
  for (const unit of ["S", "M"]) {
    if (time <= LARGEST) return `${time}${unit}`;
    time = Math.floor(time / 60);
  }
  return `${Math.min(time, LARGEST)}H`;
}
