/** Ten thousand connections that do nothing: those that do something are served as ever. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import { startProxy } from "./support/running-proxy.ts";
import { ok, Upstream, until } from "./support/wire.ts";

const COUNT = 10_000;
const OPEN_FILES = Number(execFileSync("/bin/sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim()) || Infinity;

test(`under ${COUNT} idle connections no request fails`, {
  skip: OPEN_FILES < COUNT + 1000 ? `a process may have only ${OPEN_FILES} files open (ulimit -Hn)` : false,
}, async (t) => {
  const upstream = await Upstream.serving(t, () => ok("fine"));
  const proxy = await startProxy(t, {
    upstreams: [upstream.port],
    // They come faster than they are accepted; a connection for which the queue is full would wait a second.
    listener: { tcp_backlog_size: 4096 },
  });
  const script = path.join(import.meta.dirname, "support", "idle-clients.ts");
  const clients = spawn(process.execPath, [script, String(proxy.port), String(COUNT)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(() => clients.kill());
  let said = "";
  clients.stdout.on("data", (bytes: Buffer) => {
    said += bytes.toString();
  });
  await until(() => said.includes("open\n"), 20_000);
  await until(() => proxy.downstreamConnections === COUNT);
  for (let round = 0; round < 5; round++) {
    said = "";
    clients.stdin.write("\n");
    // A new connection is served among them.
    const client = await proxy.connect();
    client.write("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n");
    assert.equal((await client.message()).body, "fine");
    await until(() => said !== "", 10_000);
    assert.equal(said, "100/100 lost 0\n");
  }
  clients.stdin.end();
  await once(clients, "exit");
  await proxy.settled(10_000);
});
