/**
 * Asks h2spec, strict cases included, how an HTTP/2 server keeps to RFC 9113 and RFC 7541:
 * `node scripts/h2spec.ts --port N [--host H] [--path P] [--tls] [SECTION…]`, a section being `http2/6.9` or the like.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { goTool } from "./go-tools.ts";

export interface H2specTarget {
  readonly port: number;
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** Path that is asked for, best one that answers 200 with a body. Default: `/`. */
  readonly path?: string;
  /** TLS with ALPN `h2`; the certificate is not verified. */
  readonly tls?: boolean;
  /** Only these sections. Default: all. */
  readonly sections?: readonly string[];
  /** How long a case waits for an answer. Default: 2. */
  readonly timeoutSeconds?: number;
}

export interface H2specCase {
  /** `http2/6.9.1: Sends SETTINGS frame to set …` */
  readonly name: string;
  /** What was expected and what came instead; null if the case passed. */
  readonly failure: string | null;
}

/** Runs h2spec against a server. Rejects if it could not run; `program` is its path. */
export async function runH2spec(program: string, target: H2specTarget): Promise<readonly H2specCase[]> {
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-h2spec-"));
  try {
    const report = path.join(folder, "report.xml");
    const { host = "127.0.0.1", tls = false, sections = [], timeoutSeconds = 2 } = target;
    const output = await run(program, [
      ...["--strict", "--junit-report", report, "--timeout", String(timeoutSeconds)],
      ...["--host", host, "--port", String(target.port), "--path", target.path ?? "/"],
      ...(tls ? ["--tls", "--insecure"] : []),
      ...sections,
    ]);
    const cases = readReport(readText(report));
    if (cases.length === 0) throw new Error(`h2spec ran no case:\n${output.slice(-2000)}`);
    return cases;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    const keep = (chunk: Buffer): void => {
      text += chunk.toString();
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", reject);
    child.once("close", () => resolve(text));
  });
}

/** The cases of h2spec's JUnit report, in its order. */
export function readReport(xml: string): H2specCase[] {
  const cases: H2specCase[] = [];
  for (const match of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const [, attributes = "", content = ""] = match;
    const of = (name: string): string => unescapeXml(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    const failure = /<(?:failure|error|skipped)[^>]*>([\s\S]*?)<\/(?:failure|error|skipped)>/.exec(content);
    cases.push({
      name: `${of("package")}: ${of("classname")}`,
      failure: failure === null ? null : unescapeXml(failure[1] ?? "").trim(),
    });
  }
  return cases;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return ENTITIES[name] ?? whole;
  });
}

/** A paragraph for each failed case; "" if all passed. */
export function describeFailures(cases: readonly H2specCase[]): string {
  return cases
    .filter(({ failure }) => failure !== null)
    .map(({ name, failure }) => `${name}\n  ${failure?.replaceAll("\n", "\n  ")}`)
    .join("\n");
}

async function main(): Promise<void> {
  process.exitCode = 1;
  const { values, positionals } = parseArgs({
    options: {
      port: { type: "string" },
      host: { type: "string", default: "127.0.0.1" },
      path: { type: "string", default: "/" },
      tls: { type: "boolean", default: false },
      timeout: { type: "string", default: "2" },
    },
    allowPositionals: true,
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1) {
    console.error("h2spec needs a port: node scripts/h2spec.ts --port N [--host H] [--path P] [--tls] [SECTION…]");
    return;
  }
  const program = goTool("h2spec");
  if (program === null) return;
  const { host, tls } = values;
  const timeoutSeconds = Number(values.timeout);
  const cases = await runH2spec(program, { port, host, path: values.path, tls, sections: positionals, timeoutSeconds });
  const failed = cases.filter(({ failure }) => failure !== null);
  if (failed.length > 0) console.log(describeFailures(cases));
  console.log(`${cases.length} cases, ${failed.length} failed`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

if (import.meta.main) await main();
