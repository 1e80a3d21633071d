/** `docs/cli.md` lists every command and flag that there is, and no other. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { Command } from "commander";
import { adminPages } from "./admin/pages.ts";
import { addControlPlaneCommand } from "./control-plane-command.ts";
import { addDemoCommand } from "./demo-command.ts";
import { addInitCommand } from "./init-command.ts";
import { addInjectCommand } from "./inject-command.ts";
import { addProxyCommand } from "./proxy-command.ts";
import { addRunCommand } from "./run-command.ts";
import { addSidecarCommand } from "./sidecar-command.ts";
import { addTokenCommand } from "./token-command.ts";
import { addWaitCommand } from "./wait-command.ts";

const text = readFileSync(path.join(import.meta.dirname, "..", "docs", "cli.md"), "utf8");
const program = new Command();
for (const add of [
  addProxyCommand,
  addSidecarCommand,
  addRunCommand,
  addControlPlaneCommand,
  addTokenCommand,
  addWaitCommand,
  addInitCommand,
  addInjectCommand,
  addDemoCommand,
])
  add(program);

/** The flags in the first cells of the tables between the command's heading and the next one. */
function documented(command: string): string[] {
  const section = text.split(`## outrigger ${command}\n`)[1]?.split("\n## ")[0] ?? "";
  const cells = section.split("\n").map((line) => /^\| (`-[^|]*?) \|/.exec(line)?.[1] ?? "");
  return cells.flatMap((cell) => [...cell.matchAll(/`(--?[^`]*)`/g)].map(([, flag = ""]) => flag)).sort();
}

describe("docs/cli.md", () => {
  const visible = program.createHelp().visibleCommands(program);
  for (const command of visible.filter((one) => one.name() !== "help")) {
    test(`lists the flags of ${command.name()}`, () => {
      const flags = command.options.flatMap(({ flags }) => flags.split(", ")).sort();
      assert.deepEqual(documented(command.name()), flags);
    });
  }

  test("lists every admin page", () => {
    const missing = adminPages(() => 0).filter(
      ({ path: page }) => page !== "/" && page !== "/help" && !new RegExp(`${page}[\`?]`).test(text),
    );
    assert.deepEqual(
      missing.map(({ path: page }) => page),
      [],
    );
  });
});
