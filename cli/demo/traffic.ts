/** Calls to the mesh, as its visitors make them, and their summary. */
import { Agent } from "node:http";
import grpc from "@grpc/grpc-js";
import { systemClock } from "../../core/clock.ts";
import { callPrices, type PriceResult, PricesClient } from "./grpc-call.ts";
import { type CallResult, call } from "./http-get.ts";
import type { DemoMesh } from "./mesh.ts";
import { sleep } from "./wait.ts";

/** Longer than any timeout in the mesh: a visitor who gives up counts as a failure. */
const VISITOR_TIMEOUT_MS = 5000;

export type Caller = () => Promise<CallResult>;

export interface Callers {
  /** The shop's page, through the visitor's sidecar: shop, orders and stock are on its way. */
  readonly page: Caller;
  /** Stock, through the visitor's sidecar. */
  readonly stock: Caller;
  /** Stock's instances in turn, past the mesh. */
  readonly stockDirectly: Caller;
  /** A price in gRPC, through the visitor's sidecar, all on one connection. */
  readonly price: () => Promise<PriceResult>;
  /** The same past the mesh: a gRPC client that knows the addresses of all instances. */
  readonly priceDirectly: () => Promise<PriceResult>;
  /** A price by way of two instances, through the visitor's sidecar. */
  readonly quote: (deadlineMs: number) => Promise<PriceResult>;
  close(): void;
}

/** `impatientMs`: how long callers of stock wait, with the mesh and without it. */
export function openCallers({ workloads, visit }: DemoMesh, impatientMs: number): Callers {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const throughSidecar = (service: string, timeoutMs: number): Caller => {
    const { host, port, prefix, authority } = visit(service);
    const to = { host, port, path: `${prefix}/`, headers: { host: authority } };
    return () => call({ ...to, agent, timeoutMs });
  };
  const prices = visit("prices");
  const instances = [workloads["stock-1"].appPort, workloads["stock-2"].appPort];
  const [meshed, direct] = [`ipv4:${prices.host}:${prices.port}`, `ipv4:${pricesOf(workloads).join(",")}`].map(
    (target) =>
      new PricesClient(target, grpc.credentials.createInsecure(), {
        // What `http_proxy` means to HTTP/1: the sidecar is asked, for the service that the authority names.
        "grpc.default_authority": prices.authority,
        "grpc.enable_http_proxy": 0,
      }),
  ) as [PricesClient, PricesClient];
  let turn = 0;
  return {
    page: throughSidecar("shop", VISITOR_TIMEOUT_MS),
    stock: throughSidecar("stock", impatientMs),
    stockDirectly: () => {
      const port = instances[turn++ % instances.length] ?? 0;
      return call({ host: "127.0.0.1", port, path: "/", agent, timeoutMs: impatientMs });
    },
    price: () => callPrices(meshed, "get", { deadlineMs: VISITOR_TIMEOUT_MS }),
    priceDirectly: () => callPrices(direct, "get", { deadlineMs: VISITOR_TIMEOUT_MS }),
    quote: (deadlineMs) => callPrices(meshed, "quote", { deadlineMs }),
    close() {
      agent.destroy();
      meshed.close();
      direct.close();
    },
  };
}

/** `host:port` of the instances of prices, past the mesh. */
function pricesOf(workloads: DemoMesh["workloads"]): readonly string[] {
  return Object.values(workloads).flatMap(({ service, appPort }) =>
    service === "prices" ? [`127.0.0.1:${appPort}`] : [],
  );
}

/** Calls one after the other, so that connections are there, and programs at speed, before anything is timed. */
export async function warmUp({ page, stock }: Callers): Promise<void> {
  await callMany(page, 20, 1);
  await callMany(stock, 20, 1);
}

/** `count` calls, `concurrency` at a time, as fast as they are answered. */
export async function callMany<Result>(
  caller: () => Promise<Result>,
  count: number,
  concurrency: number,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) results.push(await caller());
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return results;
}

export interface Stream<Result> {
  /** Those that have ended so far. */
  readonly results: readonly Result[];
  /** No more calls; resolves with all results when the last has ended. */
  stop(): Promise<readonly Result[]>;
}

/**
 * A call every `everyMs`, whether or not the last one has been answered, until it is stopped. Of a stream that nobody
 * looks at, `keep: false` forgets the results.
 */
export function callSteadily<Result>(
  caller: () => Promise<Result>,
  everyMs: number,
  { keep = true } = {},
): Stream<Result> {
  const results: Result[] = [];
  const open = new Set<Promise<void>>();
  let running = true;
  let due = systemClock.now();
  const pace = async (): Promise<void> => {
    while (running) {
      const one: Promise<void> = caller().then((result) => {
        if (keep) results.push(result);
        open.delete(one);
      });
      open.add(one);
      // A machine that was held up makes up for at most a few calls, not for all that it missed.
      due = Math.max(due + everyMs, systemClock.now() - 5 * everyMs);
      await sleep(Math.max(0, due - systemClock.now()));
    }
  };
  const paced = pace();
  return {
    results,
    async stop() {
      running = false;
      await paced;
      await Promise.all(open);
      return results;
    },
  };
}

/** No answer, or one that says that the server failed. */
export function hasFailed({ status }: CallResult): boolean {
  return status === 0 || status >= 500;
}

/** What the failures were, for people: `3 × 503, 1 × socket hang up`. */
export function failureKinds(results: readonly CallResult[]): string {
  const kinds = new Map<string, number>();
  for (const { status, error } of results.filter(hasFailed)) {
    const kind = status === 0 ? (error ?? "no answer") : String(status);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, count]) => `${count} × ${kind}`).join(", ");
}

/** The `q` quantile of the durations, ms. */
export function quantile(results: readonly CallResult[], q: number): number {
  const sorted = results.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}
