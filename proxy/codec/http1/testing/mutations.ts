/** Texts that are almost right: what attackers send, and what fuzzing is for. */
import fc from "fast-check";

/** What has been used to smuggle: line ends, folds, separators, digits, and pieces of framing fields. */
const PIECES = [
  "\r\n",
  "\r",
  "\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "0",
  "5",
  "f",
  "\x7f",
  "\x80",
  "\xff",
  "/",
  "HTTP/1.0",
  "HTTP/1.1",
  "\r\n ",
  "\r\nHost: b",
  "\r\nContent-Length: 5",
  "\r\nContent-Length: +5",
  "\r\ncontent-length : 5",
  "\r\nTransfer-Encoding: chunked",
  "\r\ntransfer-encoding: xchunked",
  "\r\nTransfer-Encoding:\tchunked, identity",
  "\r\n\r\n",
];

const edit = fc.record({
  at: fc.nat(),
  remove: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(3), fc.nat(40)),
  insert: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom("", ...PIECES) },
    fc.string({ unit: "binary-ascii", maxLength: 3 }),
  ),
});

/** Some of `texts`, with up to a few edits. */
export function mutated(texts: readonly string[]): fc.Arbitrary<string> {
  return fc.tuple(fc.constantFrom(...texts), fc.array(edit, { maxLength: 3 })).map(([text, edits]) =>
    edits.reduce((before, { at, remove, insert }) => {
      const from = at % (before.length + 1);
      return before.slice(0, from) + insert + before.slice(from + remove);
    }, text),
  );
}

/** Bytes without any order, as latin1. */
export const noise: fc.Arbitrary<string> = fc
  .uint8Array({ maxLength: 200 })
  .map((bytes) => Buffer.from(bytes).toString("latin1"));
