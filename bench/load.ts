/** HTTP/1.1 callers: `wrk`, for as many requests as a proxy takes. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { LOAD_CORE } from "./processes.ts";

const run = promisify(execFile);

export interface ThroughputResult {
  readonly requests: number;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

/** As fast as the proxy answers. `script` is Lua for wrk (request bodies), `within` a command that runs it elsewhere. */
export async function saturate(
  url: string,
  connections: number,
  seconds: number,
  script: string | null,
  within: readonly string[] = [],
): Promise<ThroughputResult> {
  const dir = mkdtempSync(path.join(tmpdir(), "outrigger-bench-"));
  try {
    const lua = path.join(dir, "report.lua");
    writeFileSync(lua, `${script ?? ""}\n${REPORT}`);
    const args = [
      "-c",
      String(LOAD_CORE),
      ...within,
      "wrk",
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      "-s",
      lua,
      url,
    ];
    const { stdout } = await run("taskset", args, { maxBuffer: 1 << 24 });
    const line = /OUTRIGGER (.*)/.exec(stdout)?.[1];
    if (!line) throw new Error(`wrk printed no report:\n${stdout}`);
    const report = JSON.parse(line) as { requests: number; us: number; p50: number; p99: number; errors: number };
    return {
      requests: report.requests,
      rps: (report.requests * 1e6) / report.us,
      p50Ms: report.p50 / 1000,
      p99Ms: report.p99 / 1000,
      errors: report.errors,
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const REPORT = `
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('OUTRIGGER {"requests":%d,"us":%d,"p50":%d,"p99":%d,"errors":%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
`;
