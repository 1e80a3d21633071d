/** A short form of the soak: what a stream or a connection leaves behind shows in some thousands of them, too. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { describePart, grown, type SoakLoad, type SoakPart, soak } from "./soak.ts";

const LOAD: SoakLoad = { streams: 20_000, cancelled: 4_000, connections: 1_000 };
/** Bytes: code that is compiled late, pools that fill. It is 40 for a stream, and the least object that stays has more. */
const MOST_MORE = { streams: 800_000, cancelled: 500_000, connections: 600_000 };

describe("two sidecars hold no more after", () => {
  let parts: readonly SoakPart[] = [];
  before(async () => {
    parts = await soak(LOAD);
  });

  for (const name of ["streams", "cancelled", "connections"] as const) {
    test(`${LOAD[name]} ${name}`, () => {
      const part = parts.find((each) => each.name === name);
      assert.ok(part);
      assert.ok(grown(part) < MOST_MORE[name], describePart(part));
    });
  }
});
