/** Internal requests as Envoy 1.40 tells them apart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { request, streamInfo } from "../../test/support/routes.ts";
import { compileInternal } from "./internal-request.ts";

const TEN = { unixSockets: false, cidrs: [{ address: "10.0.0.0", prefixLength: 8 }] };

function judge(
  options: Partial<Parameters<typeof compileInternal>[0]>,
  remoteAddress: string,
  forwardedFor: string | null,
): boolean {
  const test = compileInternal({ useRemoteAddress: true, xffNumTrustedHops: 0, internalAddresses: TEN, ...options });
  const asked = request("/", forwardedFor === null ? [] : [["x-forwarded-for", forwardedFor]]);
  return test?.(asked, streamInfo({ remoteAddress })) ?? false;
}

test("without the configuration nobody is", () => {
  assert.equal(compileInternal({ useRemoteAddress: true, xffNumTrustedHops: 0 }), null);
});

test("the first proxy looks at its peer, and believes no other proxy", () => {
  assert.equal(judge({}, "10.1.2.3", null), true);
  assert.equal(judge({}, "11.1.2.3", null), false);
  assert.equal(judge({}, "10.1.2.3", "10.1.2.3"), false);
});

test("a later proxy looks at an x-forwarded-for of one address", () => {
  const inner = { useRemoteAddress: false };
  assert.equal(judge(inner, "11.1.1.1", "10.1.2.3"), true);
  assert.equal(judge(inner, "10.1.2.3", "11.1.1.1"), false);
  assert.equal(judge(inner, "10.1.2.3", "10.1.2.3, 10.1.2.4"), false);
  assert.equal(judge(inner, "10.1.2.3", null), false);
  assert.equal(judge(inner, "10.1.2.3", "nonsense"), false);
});

test("without ranges the private ones are internal; a Unix socket only where it says so", () => {
  const none = { internalAddresses: { unixSockets: false, cidrs: [] } };
  for (const address of ["10.0.0.1", "172.31.0.1", "192.168.1.1", "127.0.0.1", "fd00::1", "::1"]) {
    assert.equal(judge(none, address, null), true, address);
  }
  for (const address of ["127.0.0.2", "172.32.0.1", "8.8.8.8", "2001:db8::1", ""]) {
    assert.equal(judge(none, address, null), false, address);
  }
  assert.equal(judge({ internalAddresses: { unixSockets: true, cidrs: [] } }, "", null), true);
});
