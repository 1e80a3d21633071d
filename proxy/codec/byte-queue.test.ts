/** What goes in comes out, in whatever pieces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BLOCK_SIZE } from "./blocks.ts";
import { ByteQueue } from "./byte-queue.ts";

const size = fc.oneof(
  fc.integer({ min: 1, max: 100 }),
  fc.constantFrom(8191, 8192, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, BLOCK_SIZE + 9000, 3 * BLOCK_SIZE),
);

test("bytes come out as they went in, however many at once", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ push: size, take: size }), { minLength: 1, maxLength: 8 }), (steps) => {
      const queue = new ByteQueue();
      let next = 0;
      let expected = 0;
      let waiting = 0;
      const takeOne = (most: number): void => {
        const bytes = queue.peek().subarray(0, most);
        assert.ok(bytes.length > 0, "bytes wait, and none are to be had");
        for (const byte of bytes) if (byte !== expected++ % 251) assert.fail(`byte ${expected} is another`);
        queue.consume(bytes.length);
        waiting -= bytes.length;
      };
      for (const { push, take } of steps) {
        const bytes = Buffer.alloc(push);
        for (let i = 0; i < push; i++) bytes[i] = next++ % 251;
        queue.push(bytes);
        waiting += push;
        assert.equal(queue.length, waiting);
        takeOne(take);
      }
      while (waiting > 0) takeOne(Infinity);
      assert.equal(queue.length, 0);
    }),
    { numRuns: 100 },
  );
});
