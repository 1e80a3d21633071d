import assert from "node:assert/strict";
import { test } from "node:test";
import { UserError } from "../../core/errors.ts";
import { programUser } from "./program-user.ts";

const lookUp = (key: string): string =>
  key === "ada" || key === "1000" ? "ada:x:1000:1001:Ada:/home/ada:/bin/sh\n" : "";
const ADA = { uid: 1000, gid: 1001, env: { HOME: "/home/ada", USER: "ada", LOGNAME: "ada" } };

test("a user is known by name or number, with group and home", () => {
  assert.deepEqual(programUser("ada", lookUp, 0), ADA);
  assert.deepEqual(programUser("1000", lookUp, 0), ADA);
  assert.equal(programUser(undefined, lookUp, 1000), null);
});

test("a number that nobody has will do, with its own group or another", () => {
  assert.deepEqual(programUser("4711", lookUp, 0), { uid: 4711, gid: 4711, env: {} });
  assert.deepEqual(programUser("1000:5", lookUp, 0), { uid: 1000, gid: 5, env: {} });
});

test("a name that nobody has, or what is no name, is bad usage", () => {
  for (const text of ["bob", "", "-x", "a:b", "ada:"]) {
    assert.throws(
      () => programUser(text, lookUp, 0),
      (error) => error instanceof UserError && error.exitCode === 2,
    );
  }
});

test("only root chooses another user", () => {
  assert.throws(() => programUser("4711", lookUp, 1000), /only root may/);
  assert.deepEqual(programUser("ada", lookUp, 1000), ADA);
});
