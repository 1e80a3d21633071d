import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { systemClock } from "../../core/clock.ts";
import { UserError } from "../../core/errors.ts";
import { controlPlaneRecordFile } from "../state-home.ts";
import { findControlPlane } from "./find-control-plane.ts";

function stateDir(): { readonly dir: string; [Symbol.dispose](): void } {
  const dir = mkdtempSync(path.join(tmpdir(), "find-control-plane-"));
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("a control plane that is started later, in plaintext, is waited for", async () => {
  using state = stateDir();
  const port = await deadPort();
  const found = findControlPlane(`127.0.0.1:${port}`, state.dir, systemClock);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const server = http2.createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { secure, ca } = await found;
  assert.equal(secure, false);
  assert.equal(ca.port, port + 2);
  await new Promise((resolve) => server.close(resolve));
});

test("a server that hangs up on a ClientHello speaks no TLS", async () => {
  using state = stateDir();
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.resetAndDestroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  assert.equal((await findControlPlane(`127.0.0.1:${port}`, state.dir, systemClock)).secure, false);
  await new Promise((resolve) => server.close(resolve));
});

test("what a control plane has left in its state directory is believed while it is down", async () => {
  using state = stateDir();
  const record = { xds: "127.0.0.1:1001", xdsTls: "127.0.0.1:1002", status: "127.0.0.1:1003", trustDomain: "mesh" };
  writeFileSync(controlPlaneRecordFile(state.dir), JSON.stringify(record));
  assert.deepEqual(await findControlPlane("127.0.0.1:1001", state.dir, systemClock), {
    host: "127.0.0.1",
    port: 1001,
    secure: false,
    ca: { host: "127.0.0.1", port: 1002 },
    trustDomain: "mesh",
  });
  assert.equal((await findControlPlane("127.0.0.1:1002", state.dir, systemClock)).secure, true);
});

test("what is no address is bad usage", async () => {
  await assert.rejects(findControlPlane("/no/socket", "/nowhere", systemClock), UserError);
});
