import assert from "node:assert/strict";
import { test } from "node:test";
import type { SystemSockets } from "../../proxy/listener/system-sockets.ts";
import type { System } from "../init/system.ts";
import { mustBePossible } from "./surroundings.ts";

const SOCKETS: SystemSockets = { bind: () => -1, open: () => -1 };

/** A process with these capabilities, as a number in hexadecimal. */
function withRights(capabilities: string): System {
  return {
    run: () => ({ code: null, stdout: "", stderr: "" }),
    read: (file) => (file === "/proc/self/status" ? `Name:\tnode\nCapEff:\t${capabilities}\n` : null),
    sleep: () => undefined,
  };
}

const ALL = withRights("000001ffffffffff");

test("with rights and koffi on Linux a program can be run", async () => {
  assert.equal(await mustBePossible(ALL, "linux", async () => SOCKETS), SOCKETS);
  // NET_ADMIN, NET_RAW and SYS_ADMIN will do.
  assert.equal(await mustBePossible(withRights("0000000000203000"), "linux", async () => SOCKETS), SOCKETS);
});

test("what is missing is named", async () => {
  const refused = async (message: RegExp, ...args: Parameters<typeof mustBePossible>): Promise<void> => {
    await assert.rejects(mustBePossible(...args), { name: "UserError", message });
  };
  const load = async () => SOCKETS;
  await refused(/Linux's network namespaces: this is darwin$/, ALL, "darwin", load);
  await refused(/\(without SYS_ADMIN and NET_ADMIN and NET_RAW\)$/, withRights("0000000000000000"), "linux", load);
  await refused(/\(without SYS_ADMIN\)$/, withRights("0000000000003000"), "linux", load);
  await refused(/needs the package koffi/, ALL, "linux", async () => null);
});
