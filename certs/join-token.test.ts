import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { promisify } from "node:util";
import { SimulatedClock } from "../core/clock.ts";
import { CertificateAuthority } from "./ca.ts";
import { JoinTokenError, JoinTokens, parseJoinToken, readRootPins } from "./join-token.ts";

const IDENTITY = { trustDomain: "mesh.test", namespace: "shop", serviceAccount: "orders" };
const PIN = Buffer.alloc(32, 7);
let dir: string;

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-token-"));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

test("a token is good once, for its identity, and carries the pins", () => {
  const tokens = new JoinTokens(dir, new SimulatedClock());
  const token = tokens.mint(IDENTITY, 60_000, [PIN, Buffer.alloc(32, 9)]);
  assert.deepEqual(parseJoinToken(token)?.rootPins, [PIN, Buffer.alloc(32, 9)]);
  assert.deepEqual(new JoinTokens(dir, new SimulatedClock()).redeem(` ${token}\n`), IDENTITY);
  assert.throws(() => tokens.redeem(token), /unknown, was used already, or has expired/);
  assert.deepEqual(fs.readdirSync(path.join(dir, "join-tokens")), []);
});

test("the disk holds no secret, and only the owner reads it", () => {
  const tokens = new JoinTokens(dir, new SimulatedClock());
  const secret = parseJoinToken(tokens.mint(IDENTITY, 60_000, [PIN]))?.secret ?? "none";
  const [name = ""] = fs.readdirSync(path.join(dir, "join-tokens"));
  const file = path.join(dir, "join-tokens", name);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.ok(!(name + fs.readFileSync(file, "utf8")).includes(secret));
});

test("an expired token is refused with the control plane's clock, and swept", () => {
  const clock = new SimulatedClock();
  const tokens = new JoinTokens(dir, clock);
  const token = tokens.mint(IDENTITY, 60_000, [PIN]);
  tokens.mint(IDENTITY, 60_000, [PIN]);
  const late = tokens.mint(IDENTITY, 120_000, [PIN]);
  clock.advance(60_000);
  assert.throws(
    () => tokens.redeem(token),
    (error) => error instanceof JoinTokenError && /expired at .*control plane's clock: /.test(error.message),
  );
  assert.equal(tokens.sweep(), 1);
  assert.deepEqual(tokens.redeem(late), IDENTITY);
});

test("what is no token, and a record that others could have written, are refused", () => {
  const tokens = new JoinTokens(dir, new SimulatedClock());
  for (const text of ["", "x", "orj1.short.pin", "orj1.../../etc/passwd", `orj1.${"a".repeat(43)}`]) {
    assert.throws(() => tokens.redeem(text), /this is not a join token/);
  }
  const token = tokens.mint(IDENTITY, 60_000, [PIN]);
  const [name = ""] = fs.readdirSync(path.join(dir, "join-tokens"));
  fs.chmodSync(path.join(dir, "join-tokens", name), 0o666);
  assert.throws(() => tokens.redeem(token), /mode 0666/);
  fs.chmodSync(path.join(dir, "join-tokens"), 0o777);
  assert.throws(() => new JoinTokens(dir, new SimulatedClock()), /mode 0777 lets others in/);
});

test("of many processes that redeem the same tokens at once, exactly one gets each", async () => {
  const clock = new SimulatedClock(Date.now());
  const tokens = new JoinTokens(dir, clock);
  const minted = Array.from({ length: 25 }, () => tokens.mint(IDENTITY, 600_000, [PIN]));
  const script = `
    import { JoinTokens } from ${JSON.stringify(path.join(import.meta.dirname, "join-token.ts"))};
    import { systemClock } from ${JSON.stringify(path.join(import.meta.dirname, "../core/clock.ts"))};
    const tokens = new JoinTokens(process.argv[1], systemClock);
    let won = 0;
    for (const token of process.argv.slice(2)) try { tokens.redeem(token); won++; } catch {}
    console.log(won);`;
  const run = () => promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, dir, ...minted]);
  const outputs = await Promise.all([run(), run(), run()]);
  assert.equal(
    outputs.reduce((sum, { stdout }) => sum + Number(stdout), 0),
    minted.length,
  );
});

test("the pins are those of the CA's bundle", () => {
  const ca = new CertificateAuthority({ stateDir: dir, trustDomain: "mesh.test", clock: new SimulatedClock() });
  ca.addRoot();
  const sorted = (pins: readonly Buffer[]): string[] => pins.map((pin) => pin.toString("hex")).sort();
  assert.equal(ca.pins().length, 2);
  assert.deepEqual(sorted(readRootPins(dir)), sorted(ca.pins()));
});
