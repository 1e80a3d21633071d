import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { withoutPeer } from "./session-state.ts";

const element = (tag: number, content: Buffer): Buffer => {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), content]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content]);
};
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

test("only the peer's certificate is left out, whatever stands around it", () => {
  const others = fc.array(fc.tuple(fc.constantFrom(0x02, 0x04, 0xa1, 0xa2, 0xa4), bytes(300)), { maxLength: 6 });
  fc.assert(
    fc.property(others, bytes(2000), others, (before, peer, after) => {
      const all = (list: readonly (readonly [number, Buffer])[]): Buffer[] =>
        list.map(([tag, body]) => element(tag, body));
      const session = element(0x30, Buffer.concat([...all(before), element(0xa3, peer), ...all(after)]));
      const expected = element(0x30, Buffer.concat([...all(before), ...all(after)]));
      assert.deepEqual(withoutPeer(session), expected);
      assert.deepEqual(withoutPeer(Buffer.concat([Buffer.from("\0prefix\0\0\x05names"), session])), expected);
      assert.deepEqual(withoutPeer(expected), expected);
    }),
  );
});

test("what is no session stays as it is", () => {
  fc.assert(
    fc.property(bytes(200), (any) => {
      const kept = withoutPeer(any);
      assert.ok(kept.length <= any.length);
      if (any[0] !== 0x30 && !any.includes(0x30)) assert.equal(kept, any);
    }),
  );
});
