/**
 * gRPC's own interoperability suite, client and server in Go, directly and through two sidecars with mutual TLS between
 * them: `node scripts/grpc-interop.ts [--envoy] [CASE…]`. What passes directly has to pass through them too.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { reservePorts } from "../test/envoy/harness/ports.ts";
import { untilAccepts } from "../test/support/accepts.ts";
import { type Side, startTwoSidecars } from "../test/support/two-sidecars.ts";
import { goTool } from "./go-tools.ts";

/** All cases of the Go client but those that need a cloud account, and `pick_first_unary`, which no Go server answers. */
export const INTEROP_CASES: readonly string[] = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "custom_metadata",
  "status_code_and_message",
  "special_status_message",
  "unimplemented_method",
  "unimplemented_service",
  "orca_per_rpc",
  "orca_oob",
  "rpc_soak",
  "channel_soak",
];

const CASE_LIMIT_MS = 30_000;
/** Several cases mostly wait. */
const AT_ONCE = 4;

/** Without it the ORCA cases have nothing that reads the reports. */
const SERVICE_CONFIG = '{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}';
const SOAK = ["--soak_iterations", "30", "--soak_overall_timeout_seconds", "20"];

export interface InteropOutcome {
  readonly name: string;
  readonly passes: boolean;
  /** The end of what the client wrote. */
  readonly output: string;
}

/** Runs cases against `server`, `host:port`; outcomes in the order of `cases`. */
export async function runInterop(client: string, server: string, cases = INTEROP_CASES): Promise<InteropOutcome[]> {
  const outcomes: InteropOutcome[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < cases.length; index = next++) {
      const name = cases[index] as string;
      outcomes[index] = { name, ...(await runCase(client, server, name)) };
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return outcomes;
}

function runCase(client: string, server: string, name: string): Promise<Omit<InteropOutcome, "name">> {
  const [host = "", port = ""] = server.split(":");
  const args = ["--server_host", host, "--server_port", port, "--test_case", name, ...SOAK];
  if (name.startsWith("orca")) args.push("--service_config_json", SERVICE_CONFIG);
  return new Promise((resolve, reject) => {
    const child = spawn(client, args, { stdio: ["ignore", "pipe", "pipe"], timeout: CASE_LIMIT_MS });
    let text = "";
    const keep = (chunk: Buffer): void => {
      text = (text + chunk.toString()).slice(-2000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      const late = signal === null ? "" : `\nended after ${CASE_LIMIT_MS / 1000} s`;
      resolve({ passes: code === 0, output: text.trim() + late });
    });
  });
}

export interface InteropServer {
  readonly port: number;
  stop(): void;
}

/** Starts the suite's server; resolves once it accepts connections. */
export async function startInteropServer(program: string): Promise<InteropServer> {
  const [port = 0] = await reservePorts(1);
  const child: ChildProcess = spawn(program, ["--port", String(port)], { stdio: "ignore" });
  await untilAccepts(port);
  return { port, stop: () => void child.kill("SIGKILL") };
}

export interface InteropComparison {
  readonly direct: readonly InteropOutcome[];
  readonly through: readonly InteropOutcome[];
  /** Cases that pass directly but not through the sidecars. */
  readonly broken: readonly InteropOutcome[];
}

/** Runs all cases both ways. */
export async function compareInterop(
  programs: { readonly client: string; readonly server: string },
  side: Side = "outrigger",
  cases: readonly string[] = INTEROP_CASES,
): Promise<InteropComparison> {
  const server = await startInteropServer(programs.server);
  try {
    const sidecars = await startTwoSidecars({ backend: server.port, side });
    try {
      const direct = await runInterop(programs.client, `127.0.0.1:${server.port}`, cases);
      const through = await runInterop(programs.client, `127.0.0.1:${sidecars.port}`, cases);
      const broken = through.filter(({ passes }, index) => !passes && direct[index]?.passes);
      return { direct, through, broken };
    } finally {
      await sidecars.stop();
    }
  } finally {
    server.stop();
  }
}

async function main(): Promise<void> {
  process.exitCode = 1;
  const { values, positionals } = parseArgs({
    options: { envoy: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const client = goTool("grpc-interop-client");
  const server = goTool("grpc-interop-server");
  if (client === null || server === null) return;
  const cases = positionals.length > 0 ? positionals : INTEROP_CASES;
  const { direct, through, broken } = await compareInterop(
    { client, server },
    values.envoy ? "envoy" : "outrigger",
    cases,
  );
  const word = (passes: boolean | undefined): string => (passes ? "passes" : "FAILS").padEnd(8);
  console.log(`${"case".padEnd(30)}${"direct".padEnd(8)}through two sidecars`);
  for (const [index, { name, passes }] of direct.entries()) {
    console.log(`${name.padEnd(30)}${word(passes)}${word(through[index]?.passes)}`);
  }
  for (const { name, output } of broken) console.log(`\n${name}:\n${output}`);
  process.exitCode = broken.length > 0 ? 1 : 0;
}

if (import.meta.main) await main();
