import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HeaderGroups, HeaderMap, headerTag } from "./header-map.ts";

type Field = readonly [name: string, value: string];

/** Fills the map as a parser does: fields are found in the text of a head. */
function parse(map: HeaderMap, fields: readonly Field[]): void {
  map.text = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  let at = 0;
  for (const [name, value] of fields) {
    const tag = headerTag(name.length, name.charCodeAt(name.length >> 1), name.charCodeAt(name.length - 1));
    const nameEnd = at + name.length;
    const valueEnd = nameEnd + 2 + value.length;
    map.push(tag, at, nameEnd, nameEnd + 2, valueEnd, valueEnd + 2);
    at = valueEnd + 2;
  }
}

/** The same as a plain list: what the map must behave like. */
class Reference {
  fields: Field[] = [];

  values(name: string): string[] {
    return this.fields.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
  }

  remove(name: string): void {
    this.fields = this.fields.filter(([key]) => key.toLowerCase() !== name);
  }
}

const NAMES = ["a", "x-a", "X-A", "x-b", "xyz", "x-forwarded-for", "X-Forwarded-For", "x-forwarded-bar"];
const field: fc.Arbitrary<Field> = fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom("", "1", "two", "a,b"));
const step = fc.oneof(
  field.map(([name, value]) => ({ kind: "append", name, value }) as const),
  field.map(([name, value]) => ({ kind: "set", name, value }) as const),
  fc.constantFrom(...NAMES).map((name) => ({ kind: "remove", name: name.toLowerCase() }) as const),
);

test("a map behaves like a list of fields, message after message", () => {
  const map = new HeaderMap();
  const message = fc.tuple(fc.array(field, { maxLength: 6 }), fc.array(step, { maxLength: 8 }));
  fc.assert(
    fc.property(fc.array(message, { maxLength: 3 }), (messages) => {
      for (const [parsed, steps] of messages) {
        const reference = new Reference();
        map.clear();
        parse(map, parsed);
        reference.fields.push(...parsed);
        for (const one of steps) {
          if (one.kind === "append") {
            map.append(one.name, one.value);
            reference.fields.push([one.name, one.value]);
          } else if (one.kind === "set") {
            map.set(one.name, one.value);
            reference.remove(one.name.toLowerCase());
            reference.fields.push([one.name, one.value]);
          } else {
            assert.equal(map.remove(one.name), reference.values(one.name).length > 0);
            reference.remove(one.name);
          }
        }
        expectSame(map, reference);
        expectSame(map.clone(), reference);
      }
    }),
  );
});

function expectSame(map: HeaderMap, reference: Reference): void {
  assert.equal(map.size, reference.fields.length);
  const seen: Field[] = [];
  map.forEach((name, value) => {
    seen.push([name, value]);
  });
  assert.deepEqual(seen, reference.fields);
  assert.equal(map.toHttp1(), reference.fields.map(([name, value]) => `${name}: ${value}\r\n`).join(""));
  for (const name of new Set(NAMES.map((one) => one.toLowerCase()))) {
    const values = reference.values(name);
    assert.deepEqual(map.getAll(name), values);
    assert.equal(map.has(name), values.length > 0);
    assert.equal(map.first(name), values[0] ?? null);
    assert.equal(map.get(name), values.length === 0 ? null : values.join(","));
    assert.equal(
      map.some(name, (value) => value === "two"),
      values.includes("two"),
    );
  }
}

test("a line that was kept out of the map is not passed on", () => {
  const map = new HeaderMap();
  map.text = "a: 1\r\nhost: x\r\nb: 2\r\n";
  map.push(headerTag(1, 97, 97), 0, 1, 3, 4, 6);
  map.push(headerTag(1, 98, 98), 15, 16, 18, 19, 21);
  assert.equal(map.toHttp1(), "a: 1\r\nb: 2\r\n");
});

test("groups never miss a field, in any case, parsed or added", () => {
  const groups = new HeaderGroups().add(1, ["x-a", "x-b"]).add(2, ["x-forwarded-for"]);
  fc.assert(
    fc.property(fc.array(field), fc.array(field), (parsed, added) => {
      const map = new HeaderMap();
      parse(map, parsed);
      for (const [name, value] of added) map.append(name, value);
      const found = map.groups(groups);
      if (map.has("x-a") || map.has("x-b")) assert.ok(found & 1);
      if (map.has("x-forwarded-for")) assert.ok(found & 2);
    }),
  );
});

test("fields of no group raise no alarm, and removed ones none either", () => {
  const groups = new HeaderGroups().add(1, ["connection"]).add(2, ["x-request-id"]);
  const map = HeaderMap.of({ "User-Agent": "curl", Accept: "*/*", Cookie: "a=b" });
  assert.equal(map.groups(groups), 0);
  parse(map, [["Connection", "close"]]);
  assert.equal(map.groups(groups), 1);
  map.remove("connection");
  assert.equal(map.groups(groups), 0);
});

test("a name whose length is another one's but for 65,536 more letters is not taken for it", () => {
  const map = new HeaderMap();
  parse(map, [[`etag${"a".repeat(65_535)}g`, "1"]]);
  assert.ok(!map.has("etag"));
  assert.equal(map.get("etag"), null);
});
