/** What an operator does to the process reaches every worker: log levels, log rotation, the end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { secured } from "./support/running-proxy.ts";
import { eventually } from "./support/running-workers.ts";
import { connectTo, ok, Upstream, until } from "./support/wire.ts";
import { type ProxyCommand, startCommand } from "./support/workers-command.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n";

async function askOnce(port: number): Promise<void> {
  const client = await connectTo(port);
  client.write(GET);
  assert.equal((await client.message()).body, "x");
  client.destroy();
}

const calls = (proxy: ProxyCommand, count: number): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, () => askOnce(proxy.port)));

const accessLog = (file: string, line: string) => ({
  name: "file",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
    path: file,
    log_format: { text_format_source: { inline_string: `${line}\n` } },
  },
});

test("a level that /logging sets holds in both workers", async (t) => {
  const proxy = await startCommand(t, secured({ upstreams: [1] }));
  /** Each connection that is no TLS is a line of the worker that it came to. */
  const refused = async (): Promise<void> => {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await connectTo(proxy.port);
        client.write(GET);
        await client.gone();
        client.destroy();
      }),
    );
  };
  const lines = (): number => proxy.log().split("connection refused").length - 1;
  const level = async (name: string): Promise<void> => {
    const answer = await fetch(`${proxy.admin}/logging?listener=${name}`, { method: "POST" });
    assert.match(await answer.text(), new RegExp(`listener: ${name}`));
    // Numbers come after the level, on the same way.
    await (await fetch(`${proxy.admin}/stats`)).text();
  };
  await refused();
  await until(() => lines() === 20);
  await level("error");
  await refused();
  await level("info");
  await refused();
  await until(() => lines() === 40);
});

test("SIGUSR1 opens the logs of both workers again", async (t) => {
  const upstream = await Upstream.serving(t, () => ok("x"));
  const dir = mkdtempSync(path.join(tmpdir(), "outrigger-workers-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [file, rotated] = [path.join(dir, "access.log"), path.join(dir, "access.log.1")];
  const manager = { access_log: [accessLog(file, "%RESPONSE_CODE%")] };
  const proxy = await startCommand(
    t,
    { upstreams: [upstream.port], manager },
    { proxy: ["--file-flush-interval-msec", "10"] },
  );
  const lines = (name: string): number => readFileSync(name, "utf8").split("\n").length - 1;
  await calls(proxy, 30);
  await until(() => existsSync(file) && lines(file) === 30);
  renameSync(file, rotated);
  proxy.child.kill("SIGUSR1");
  // Whoever has not opened it again yet goes on in the old one. Thirty calls are never all of one worker.
  await eventually(async () => {
    const before = lines(rotated);
    const fresh = existsSync(file) ? lines(file) : 0;
    await calls(proxy, 30);
    await until(() => lines(rotated) + (existsSync(file) ? lines(file) : 0) === before + fresh + 30);
    return lines(rotated) === before;
  });
});

test("all that is logged on standard output is written whole before the process ends", async (t) => {
  const upstream = await Upstream.serving(t, () => ok("x"));
  const log = accessLog("/dev/stdout", `%RESPONSE_CODE% ${"y".repeat(2000)} end`);
  const proxy = await startCommand(t, { upstreams: [upstream.port], manager: { access_log: [log] } });
  for (let i = 0; i < 5; i++) await calls(proxy, 40);
  const closed = once(proxy.child, "close");
  proxy.child.kill("SIGTERM");
  assert.deepEqual(await closed, [0, null]);
  const lines = proxy.output().split("\n");
  assert.equal(lines.pop(), "");
  assert.equal(lines.length, 200);
  assert.ok(lines.every((line) => /^200 y{2000} end$/.test(line)));
});
