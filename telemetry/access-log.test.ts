import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { HeaderMap } from "../core/header-map.ts";
import type { AccessLog, AccessLogFilter } from "../model/access-log.ts";
import { Flag } from "../model/flags.ts";
import { AccessLogSinks, compileAccessLog } from "./access-log.ts";
import type { FormatContext } from "./format.ts";
import { type RequestView, StreamInfo } from "./stream-info.ts";

/** Stands for the data plane's header matchers. */
const compileHeader =
  ({ name }: { readonly name: string }) =>
  (request: RequestView): boolean =>
    request.headers.has(name);

function context(responseCode = 200, flags = 0, durationMs = 12): FormatContext {
  const info = new StreamInfo({
    id: 1,
    remoteAddress: "127.0.0.1",
    remotePort: 4000,
    localAddress: "127.0.0.1",
    localPort: 80,
    tls: null,
    listener: "",
    filterChain: "",
  });
  info.startTime = Date.UTC(2026, 10, 21, 10, 33, 6, 296);
  info.startedAt = 5;
  info.endedAt = 5 + durationMs;
  info.responseCode = responseCode;
  info.flags = flags;
  info.bytesSent = 7;
  info.upstreamHost = "127.0.0.1:45077";
  const headers = HeaderMap.of({ "x-request-id": "7740e183", "x-forwarded-for": "10.1.2.3, 10.4.5.6" });
  return {
    info,
    request: { method: "GET", path: "/ok", authority: "h.example:80", scheme: "http", protocol: "HTTP/1.1", headers },
    responseHeaders: HeaderMap.of({ "x-envoy-upstream-service-time": "27" }),
    responseTrailers: null,
  };
}

function setup(t: TestContext) {
  const directory = mkdtempSync(path.join(tmpdir(), "outrigger-log-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const clock = new SimulatedClock();
  const errors: string[] = [];
  const sinks = new AccessLogSinks({ clock, flushIntervalMs: 1_000, onError: (message) => errors.push(message) });
  const file = path.join(directory, "access.log");
  const compile = (log: Partial<AccessLog>) =>
    compileAccessLog(
      {
        sink: { kind: "file", path: file },
        format: { kind: "text", template: "%RESPONSE_CODE%\n" },
        filter: null,
        ...log,
      },
      sinks,
      compileHeader,
      () => 0.25,
    );
  return { clock, sinks, file, errors, compile };
}

test("without a format, a line reads as Envoy's", async (t) => {
  const { compile, sinks, file } = setup(t);
  compile({ format: { kind: "text", template: "" } })(context());
  await sinks.close();
  assert.equal(
    readFileSync(file, "utf8"),
    '[2026-11-21T10:33:06.296Z] "GET /ok HTTP/1.1" 200 - 0 7 12 27 "10.1.2.3, 10.4.5.6" "-" "7740e183" "h.example:80" "127.0.0.1:45077"\n',
  );
});

test("empty values are left out where the format says so", async (t) => {
  const { compile, sinks, file } = setup(t);
  const text = { kind: "text", template: "[%TRACE_ID%]\n" } as const;
  const json = { kind: "json", fields: { trace: "%TRACE_ID%", code: "%RESPONSE_CODE%" } } as const;
  for (const format of [text, { ...text, omitEmpty: true }, json, { ...json, omitEmpty: true }]) {
    compile({ format })(context());
  }
  await sinks.close();
  assert.equal(readFileSync(file, "utf8"), '[-]\n[]\n{"code":200,"trace":null}\n{"code":200}\n');
});

test("a log may say in words why a call failed", async (t) => {
  const { compile, sinks, file } = setup(t);
  const failed = context(503, Flag.UH);
  failed.info.explanation = "no endpoint is in service";
  compile({ format: { kind: "json", fields: { why: "%OUTRIGGER_EXPLANATION%", ms: "%DURATION%" } } })(failed);
  await sinks.close();
  assert.equal(readFileSync(file, "utf8"), '{"ms":12,"why":"no endpoint is in service"}\n');
});

const FILTERS: readonly [filter: AccessLogFilter, written: readonly number[]][] = [
  [{ kind: "status_code", op: "ge", value: 500 }, [503]],
  [{ kind: "status_code", op: "le", value: 200 }, [200]],
  [{ kind: "status_code", op: "eq", value: 404 }, [404]],
  [{ kind: "status_code", op: "ne", value: 404 }, [200, 503]],
  [{ kind: "duration", op: "ge", value: 100 }, [404]],
  [{ kind: "response_flag", flags: [] }, [503]],
  [{ kind: "response_flag", flags: ["UH"] }, [503]],
  [{ kind: "response_flag", flags: ["UF"] }, []],
  [{ kind: "not_health_check" }, [200, 404, 503]],
  [{ kind: "traceable" }, []],
  [{ kind: "sample", fraction: { numerator: 25, denominator: 100 }, independent: true }, [200, 404, 503]],
  [{ kind: "sample", fraction: { numerator: 24, denominator: 100 }, independent: true }, []],
  // 503 stands for UNAVAILABLE, 404 for UNIMPLEMENTED.
  [{ kind: "grpc_status", statuses: [14], exclude: false }, [503]],
  [{ kind: "grpc_status", statuses: [14], exclude: true }, [200, 404]],
  [
    {
      kind: "header",
      header: { name: "x-debug", match: { kind: "present", present: true }, invert: false, treatMissingAsEmpty: false },
    },
    [404],
  ],
  [
    {
      kind: "and",
      filters: [
        { kind: "status_code", op: "ge", value: 400 },
        { kind: "response_flag", flags: [] },
      ],
    },
    [503],
  ],
  [
    {
      kind: "or",
      filters: [
        { kind: "status_code", op: "eq", value: 200 },
        { kind: "response_flag", flags: [] },
      ],
    },
    [200, 503],
  ],
];

for (const [filter, written] of FILTERS) {
  test(`filter ${JSON.stringify(filter)}`, async (t) => {
    const { compile, sinks, file } = setup(t);
    const log = compile({ filter });
    log(context(200));
    const slow = context(404, 0, 100.2);
    slow.request.headers.append("X-Debug", "1");
    log(slow);
    log(context(503, Flag.UH));
    await sinks.close();
    const text = written.length === 0 ? "" : readFileSync(file, "utf8");
    assert.deepEqual(text.split("\n").filter(Boolean).map(Number), written);
  });
}

test("a share of requests is chosen by the first 32 bits of their ids, as Envoy does", async (t) => {
  const { compile, sinks, file } = setup(t);
  const log = compile({ filter: { kind: "sample", fraction: { numerator: 8, denominator: 100 }, independent: false } });
  for (const [status, id] of [
    [201, "00000007-c5cd-4d3e-8a3b-0d6f0d3f6b1a"],
    [202, "00000008-c5cd-4d3e-8a3b-0d6f0d3f6b1a"],
    [203, "0000006b-c5cd-4d3e-8a3b-0d6f0d3f6b1a"],
    [204, "no uuid"],
  ] as const) {
    const about = context(status);
    about.request.headers.set("x-request-id", id);
    log(about);
  }
  await sinks.close();
  assert.equal(readFileSync(file, "utf8"), "201\n203\n");
});

test("logs of one file share it", async (t) => {
  const { compile, sinks, file } = setup(t);
  compile({})(context(200));
  compile({ format: { kind: "text", template: "other\n" } })(context());
  await sinks.close();
  assert.equal(readFileSync(file, "utf8"), "200\nother\n");
});

test("after a rotation, lines go to a new file of the old name", async (t) => {
  const { compile, sinks, file, clock } = setup(t);
  const log = compile({});
  log(context(200));
  clock.advance(1_000);
  while (!readable(file)) await new Promise((resolve) => setImmediate(resolve));
  renameSync(file, `${file}.1`);
  log(context(201));
  sinks.reopen();
  log(context(202));
  await sinks.close();
  const old = readFileSync(`${file}.1`, "utf8");
  const current = readFileSync(file, "utf8");
  assert.match(old, /^200\n/);
  assert.match(current, /202\n$/);
  assert.equal(old + current, "200\n201\n202\n");
});

function readable(file: string): boolean {
  try {
    return readFileSync(file, "utf8") !== "";
  } catch {
    return false;
  }
}

test("a file that cannot be opened is an error of the configuration, as in Envoy", (t) => {
  const { compile, file } = setup(t);
  const there = path.join(file, "not", "there");
  assert.throws(() => compile({ sink: { kind: "file", path: there } }), {
    name: "UserError",
    message: /^access log .*not\/there cannot be opened: ENOENT/,
  });
});

const noFullDevice = existsSync("/dev/full") ? false : "there is no /dev/full";

test("a full disk is told once, and requests go on", { skip: noFullDevice }, async (t) => {
  const { compile, sinks, errors } = setup(t);
  const log = compile({ sink: { kind: "file", path: "/dev/full" } });
  log(context());
  log(context());
  await sinks.close();
  assert.equal(errors.length, 1);
  assert.match(errors[0] ?? "", /^access log: ENOSPC/);
});
