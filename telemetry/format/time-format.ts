/** `strftime` with Envoy's additions (`%s`, `%3f`, `%E3S`), compiled once per format string. */
import { type Command, FormatError } from "./context.ts";

/** Writes a time given as milliseconds since the Unix epoch. */
export type TimeFormat = (epochMs: number) => string;

type Piece = string | ((date: Date) => string);

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** What `%START_TIME%` writes by itself. */
const DEFAULT_TIME_FORMAT = "%Y-%m-%dT%H:%M:%E3SZ";

const pad = (value: number, width: number, fill = "0"): string => String(value).padStart(width, fill);
const hour12 = (d: Date): number => d.getUTCHours() % 12 || 12;
const dayOfYear = (d: Date): number => Math.floor((d.getTime() - Date.UTC(d.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;

/** Digits of the fraction of a second, cut (not rounded) to `digits`; below a millisecond the clock gives zeros. */
const fraction = (d: Date, digits: number): string =>
  pad(d.getUTCMilliseconds(), 3).padEnd(digits, "0").slice(0, digits);

/** Conversions that stand for another format. */
const SHORTHAND: Record<string, string> = {
  F: "%Y-%m-%d",
  T: "%H:%M:%S",
  D: "%m/%d/%y",
  R: "%H:%M",
  c: "%a %b %e %H:%M:%S %Y",
  x: "%m/%d/%y",
  X: "%H:%M:%S",
  r: "%I:%M:%S %p",
  h: "%b",
};

const CONVERSIONS: Record<string, Piece> = {
  Y: (d) => String(d.getUTCFullYear()),
  y: (d) => pad(d.getUTCFullYear() % 100, 2),
  C: (d) => pad(Math.floor(d.getUTCFullYear() / 100), 2),
  m: (d) => pad(d.getUTCMonth() + 1, 2),
  d: (d) => pad(d.getUTCDate(), 2),
  e: (d) => pad(d.getUTCDate(), 2, " "),
  j: (d) => pad(dayOfYear(d), 3),
  H: (d) => pad(d.getUTCHours(), 2),
  k: (d) => pad(d.getUTCHours(), 2, " "),
  I: (d) => pad(hour12(d), 2),
  l: (d) => pad(hour12(d), 2, " "),
  M: (d) => pad(d.getUTCMinutes(), 2),
  S: (d) => pad(d.getUTCSeconds(), 2),
  p: (d) => (d.getUTCHours() < 12 ? "AM" : "PM"),
  a: (d) => (DAYS[d.getUTCDay()] ?? "").slice(0, 3),
  A: (d) => DAYS[d.getUTCDay()] ?? "",
  b: (d) => (MONTHS[d.getUTCMonth()] ?? "").slice(0, 3),
  B: (d) => MONTHS[d.getUTCMonth()] ?? "",
  u: (d) => String(d.getUTCDay() || 7),
  w: (d) => String(d.getUTCDay()),
  s: (d) => String(Math.floor(d.getTime() / 1000)),
  z: "+0000",
  Z: "UTC",
  n: "\n",
  t: "\t",
  "%": "%",
};

/** `%E3S`, `%E*S`, `%E3f`, `%Ez`, and Envoy's own `%f` (nine digits), `%3f`. */
const EXTENDED = /(?:E(?:(\d|\*)([Sf])|(z)|(4Y))|([1-9]?)f)/y;

/** Compiles the argument of a command that writes a time. Throws `FormatError` for one that would break the line. */
export function compileTimeArgument(argument: string | null, command: Command): TimeFormat {
  const format = argument || DEFAULT_TIME_FORMAT;
  if (/\n|%n/.test(format)) {
    throw new FormatError("invalid time format: it contains a newline", command.position);
  }
  return compileTimeFormat(format);
}

/** Compiles `format` for times in UTC; an unknown conversion is written as it stands, as Envoy does. */
export function compileTimeFormat(format: string): TimeFormat {
  const pieces = parse(format);
  return (epochMs) => {
    const date = new Date(epochMs);
    let text = "";
    for (const piece of pieces) text += typeof piece === "string" ? piece : piece(date);
    return text;
  };
}

function parse(format: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  while (at < format.length) {
    const percent = format.indexOf("%", at);
    if (percent < 0 || percent === format.length - 1) {
      pieces.push(format.slice(at));
      break;
    }
    if (percent > at) pieces.push(format.slice(at, percent));
    at = percent + 1;
    EXTENDED.lastIndex = at;
    const extended = EXTENDED.exec(format);
    if (extended !== null) {
      pieces.push(extendedPiece(extended));
      at = EXTENDED.lastIndex;
      continue;
    }
    const letter = format[at] ?? "";
    const shorthand = SHORTHAND[letter];
    if (shorthand !== undefined) pieces.push(...parse(shorthand));
    else pieces.push(CONVERSIONS[letter] ?? `%${letter}`);
    at++;
  }
  return pieces;
}

function extendedPiece(match: RegExpExecArray): Piece {
  const [, width, unit, zone, year, envoyDigits] = match;
  if (zone !== undefined) return "+00:00";
  if (year !== undefined) return (d) => pad(d.getUTCFullYear(), 4);
  if (unit === undefined) {
    const digits = envoyDigits ? Number(envoyDigits) : 9;
    return (d) => fraction(d, digits);
  }
  const shortest = (d: Date): string => fraction(d, 3).replace(/0+$/, "");
  const digitsOf = width === "*" ? shortest : (d: Date): string => fraction(d, Number(width));
  if (unit === "f") return (d) => digitsOf(d) || "0";
  return (d) => {
    const digits = digitsOf(d);
    const seconds = pad(d.getUTCSeconds(), 2);
    return digits === "" ? seconds : `${seconds}.${digits}`;
  };
}
