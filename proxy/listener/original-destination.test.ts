import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { KernelOriginalDestination, loadOriginalDestination, NO_ORIGINAL_DESTINATION } from "./original-destination.ts";
import type { SocketOptions } from "./socket-options.ts";

/** A socket that was accepted at `host`. */
function accepted(host: string, port: number, localFamily = host.includes(":") ? "IPv6" : "IPv4"): net.Socket {
  return { _handle: { fd: 7 }, localAddress: host, localPort: port, localFamily } as unknown as net.Socket;
}

/** A kernel that translated IPv4 and IPv6 connections as given, and knows whether sockets are transparent. */
function kernel(translated: { 0?: Buffer; 41?: Buffer }, transparent = 0): SocketOptions {
  return {
    get(fd, level, option, value) {
      assert.equal(fd, 7);
      if (option !== 80) {
        assert.deepEqual([level, option], [level, level === 0 ? 19 : 75]);
        value.fill(0)[0] = transparent;
        return true;
      }
      const address = translated[level as 0 | 41];
      address?.copy(value);
      assert.equal(value.length, level === 0 ? 16 : 28);
      return address !== undefined;
    },
    setInt: () => false,
    listen: () => false,
  };
}

const IPV4 = Buffer.from("0200 1f90 c0000207 0000000000000000".replaceAll(" ", ""), "hex");
const IPV6 = Buffer.from("0a00 01bb 00000000 20010db8000000000000000000000007 00000000".replaceAll(" ", ""), "hex");

test("what the kernel translated is read from its socket addresses", () => {
  const originals = new KernelOriginalDestination(kernel({ 0: IPV4, 41: IPV6 }));
  assert.deepEqual(originals.of(accepted("127.0.0.1", 15001)), { host: "192.0.2.7", port: 8080 });
  assert.deepEqual(originals.of(accepted("::1", 15001)), { host: "2001:db8::7", port: 443 });
});

test("an IPv4 connection on an IPv6 socket was translated by IPv4", () => {
  const originals = new KernelOriginalDestination(kernel({ 0: IPV4, 41: IPV6 }));
  assert.deepEqual(originals.of(accepted("::ffff:127.0.0.1", 15001, "IPv6")), { host: "192.0.2.7", port: 8080 });
});

test("a connection to the socket's own address was not intercepted", () => {
  const originals = new KernelOriginalDestination(kernel({ 0: IPV4 }));
  assert.equal(originals.of(accepted("192.0.2.7", 8080)), null);
  assert.equal(originals.of(accepted("::ffff:192.0.2.7", 8080, "IPv6")), null);
  assert.equal(new KernelOriginalDestination(kernel({})).of(accepted("127.0.0.1", 80)), null);
});

test("a transparent socket's own address is where the connection was going", () => {
  for (const translated of [{}, { 0: IPV4, 41: IPV6 }]) {
    const originals = new KernelOriginalDestination(kernel(translated, 1));
    assert.deepEqual(originals.of(accepted("192.0.2.7", 8080)), { host: "192.0.2.7", port: 8080 });
    assert.deepEqual(originals.of(accepted("2001:db8::7", 443)), { host: "2001:db8::7", port: 443 });
    assert.deepEqual(originals.of(accepted("::ffff:192.0.2.7", 8080, "IPv6")), { host: "192.0.2.7", port: 8080 });
  }
});

test("where it is not to be had, no connection was intercepted", () => {
  assert.equal(NO_ORIGINAL_DESTINATION.of(accepted("192.0.2.7", 8080)), null);
});

test("real sockets that nothing intercepted have none, open or closed", async (t) => {
  const originals = await loadOriginalDestination();
  for (const [host, to] of [
    ["127.0.0.1", "127.0.0.1"],
    ["::", "127.0.0.1"],
  ] as const) {
    const server = net.createServer().listen(0, host);
    t.after(() => server.close());
    await once(server, "listening");
    const client = net.connect((server.address() as net.AddressInfo).port, to);
    const [socket] = (await once(server, "connection")) as [net.Socket];
    assert.equal(originals.of(socket), null);
    client.destroy();
    socket.destroy();
    assert.equal(originals.of(socket), null);
  }
});
