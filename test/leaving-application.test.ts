/** An application that stops listening before its sidecar is gone, as programs do that are told to end: no call is lost. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { LiveMesh } from "./support/live-mesh.ts";

const MANIFEST = `
apiVersion: v1
kind: Service
metadata: { name: shop }
spec: { ports: [{ name: http, port: 80 }] }
`;

async function application(t: TestContext): Promise<{ port: number; seen: () => number; leave: () => void }> {
  let seen = 0;
  const server = http.createServer((request, response) => {
    seen++;
    request.resume().on("end", () => response.end("bought"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const leave = () => {
    server.close();
    server.closeIdleConnections();
  };
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen: () => seen, leave };
}

function post(address: string): Promise<{ status: number; told: boolean }> {
  return new Promise((resolve, reject) => {
    const request = http.request(`http://${address}/`, { method: "POST" }, (response) => {
      response.resume().on("end", () => {
        resolve({ status: response.statusCode ?? 0, told: response.headers["x-outrigger-unseen"] !== undefined });
      });
    });
    request.on("error", reject).end("one");
  });
}

test("calls that reach the sidecar of an application that has left go to another instance, POST as well", {
  timeout: 90_000,
}, async (t) => {
  const [staying, leaving, caller] = await Promise.all([application(t), application(t), application(t)]);
  const mesh = await LiveMesh.start({ "shop.yaml": MANIFEST }, [
    { name: "staying", service: "shop", port: staying.port },
    { name: "leaving", service: "shop", port: leaving.port },
    { name: "caller", service: "caller", port: caller.port },
  ]);
  t.after(() => mesh.stop());
  const address = await mesh.addressFor("caller", "shop");
  const until = async (both: () => boolean) => {
    for (let calls = 0; calls < 500 && !both(); calls++) assert.equal((await post(address)).status, 200);
    assert.ok(both());
  };
  await until(() => staying.seen() > 5 && leaving.seen() > 5);
  leaving.leave();
  const before = { calls: 40, seen: staying.seen() + leaving.seen() };
  for (let call = 0; call < before.calls; call++) {
    assert.deepEqual(await post(address), { status: 200, told: false }, `call ${call}`);
  }
  assert.equal(staying.seen() + leaving.seen() - before.seen, before.calls, "some call was made twice");

  // Where no other instance is left, the caller gets the plain failure.
  staying.leave();
  await wait(100);
  const { status, told } = await post(address);
  assert.deepEqual([status, told], [503, false]);
});
