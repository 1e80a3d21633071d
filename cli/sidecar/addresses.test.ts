import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { addressesOf, claimAddresses } from "./addresses.ts";

test("a claim keeps others away until it is released, and the same name gets the same network again", async () => {
  const name = `test/claims/${process.pid}`;
  const first = await claimAddresses(name);
  const second = await claimAddresses(name);
  assert.notDeepEqual([first.address, first.inboundPort], [second.address, second.inboundPort]);
  await first.release();
  const third = await claimAddresses(name);
  assert.equal(third.address, first.address);
  assert.equal(third.inboundPort, first.inboundPort);
  await second.release();
  await third.release();
});

test("a sidecar's ports can be bound while its claim holds", async () => {
  const claimed = await claimAddresses(`test/ports/${process.pid}`);
  for (const port of [claimed.inboundPort, claimed.outboundPort, claimed.adminPort, claimed.metricsPort]) {
    const server = net.createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, claimed.address, resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  }
  await claimed.release();
});

test("the other ports follow from the inbound listener's address", async () => {
  const claimed = await claimAddresses(`test/follow/${process.pid}`);
  const { release, ...addresses } = claimed;
  await release();
  assert.deepEqual(addressesOf(claimed.address, claimed.inboundPort), addresses);
  const single = addressesOf("127.0.0.1", 10_257);
  assert.deepEqual([single.outboundPort, single.adminPort, single.metricsPort], [10_256, 10_258, 10_259]);
  assert.deepEqual(single.loopback, { kind: "single", host: "127.0.0.1", firstPort: 10_262 });
});

test("a network in which one of the ports is taken by a stranger is passed over", async () => {
  const name = `test/stranger/${process.pid}`;
  const first = await claimAddresses(name);
  const stranger = net.createServer();
  await new Promise<void>((resolve) => stranger.listen(first.metricsPort, first.address, resolve));
  await first.release();
  const second = await claimAddresses(name);
  assert.notDeepEqual([second.address, second.inboundPort], [first.address, first.inboundPort]);
  await second.release();
  await new Promise((resolve) => stranger.close(resolve));
});
