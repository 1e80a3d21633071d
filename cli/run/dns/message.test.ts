import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { answerFor, readQuestion, TYPE_A, TYPE_AAAA } from "./message.ts";
import { query } from "./testing/query.ts";

test("the question of a query is read, whatever the case of its name", () => {
  assert.deepEqual(readQuestion(query("Orders.Default", TYPE_A)), {
    name: "orders.default",
    type: TYPE_A,
    end: 12 + 16 + 4,
  });
  assert.equal(readQuestion(query("", TYPE_A))?.name, "");
});

test("what is no query with one question of class IN is none", () => {
  const good = query("orders", TYPE_A);
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] = value;
    return copy;
  };
  assert.equal(readQuestion(changed(2, 0x80)), null, "a response");
  assert.equal(readQuestion(changed(2, 0x28)), null, "an update");
  assert.equal(readQuestion(changed(5, 2)), null, "two questions");
  assert.equal(readQuestion(changed(good.length - 1, 3)), null, "class CHAOS");
  assert.equal(readQuestion(changed(12, 0xc0)), null, "a pointer");
  for (let length = 0; length < good.length; length++) assert.equal(readQuestion(good.subarray(0, length)), null);
});

test("no bytes make it throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      readQuestion(Buffer.from(bytes));
      readQuestion(Buffer.concat([Buffer.from("abcd01000001000000000000", "hex"), bytes]));
    }),
  );
});

test("an answer has the question, and the addresses of the type asked for", () => {
  const addresses = ["240.240.0.7", "fd00::9", "240.240.0.8"];
  const asked = query("orders", TYPE_A);
  const question = readQuestion(asked);
  assert.ok(question);
  const answer = answerFor(asked, question, addresses);
  assert.equal(answer.readUInt16BE(0), asked.readUInt16BE(0));
  // A response with authority, recursion desired and available, no error.
  assert.equal(answer.readUInt16BE(2), 0x8580);
  assert.deepEqual([answer.readUInt16BE(4), answer.readUInt16BE(6)], [1, 2]);
  assert.deepEqual(answer.subarray(12, question.end), asked.subarray(12, question.end));
  assert.equal(
    answer.subarray(question.end).toString("hex"),
    "c00c00010001000000050004f0f00007c00c00010001000000050004f0f00008",
  );
  const six = answerFor(asked, { ...question, type: TYPE_AAAA }, addresses);
  assert.equal(six.subarray(question.end).toString("hex"), `c00c001c0001000000050010fd00${"0".repeat(26)}09`);
  const other = answerFor(asked, { ...question, type: 16 }, addresses);
  assert.deepEqual([other.readUInt16BE(6), other.length], [0, question.end]);
});

test("additional records of the query are not taken for the answer's", () => {
  const asked = Buffer.concat([query("orders", TYPE_A), Buffer.from("0000291000000000000000", "hex")]);
  asked.writeUInt16BE(1, 10);
  const question = readQuestion(asked);
  assert.ok(question);
  const answer = answerFor(asked, question, []);
  assert.deepEqual([answer.length, answer.readUInt16BE(10)], [question.end, 0]);
});
