/** The flag `--app-health`: which questions about the program's health the sidecar may be asked. */
import { InvalidArgumentError } from "commander";

/** `tcp/5432`, `grpc/9000/shop.v1.Orders`, `https/8443/healthz`: the flag, and what a request's path ends in. */
export type AppHealthCheck = string;

export interface ParsedCheck {
  readonly kind: "tcp" | "grpc" | "https";
  readonly port: number;
  /** Path (with its query) or service, after a slash; "" for `tcp`. */
  readonly rest: string;
}

/** Parses the flag, which may come repeatedly. */
export function appHealthCheck(argument: string, before: readonly AppHealthCheck[]): readonly AppHealthCheck[] {
  if (parseCheck(argument) === null) {
    throw new InvalidArgumentError("tcp/PORT, grpc/PORT/SERVICE or https/PORT/PATH is needed.");
  }
  return [...before, argument];
}

/** null for what is none. */
export function parseCheck(argument: string): ParsedCheck | null {
  const [, kind = "", digits = "", rest = ""] = /^(tcp|grpc|https)\/(\d{1,5})(\/\S*)?$/.exec(argument) ?? [];
  const port = Number(digits);
  const fits = kind === "tcp" ? rest === "" : rest !== "";
  if (!fits || port < 1 || port > 65_535) return null;
  return { kind: kind as ParsedCheck["kind"], port, rest };
}
