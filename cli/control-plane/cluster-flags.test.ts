import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { Command, CommanderError } from "commander";
import { parseAllDocuments } from "yaml";
import { UserError } from "../../core/errors.ts";
import { addControlPlaneCommand } from "../control-plane-command.ts";
import { checkClusterFlags } from "./cluster-flags.ts";

/** The flags as the command reads them; nothing is started. */
async function parse(...args: readonly string[]): Promise<Record<string, unknown>> {
  const program = new Command().exitOverride().configureOutput({ writeErr() {} });
  addControlPlaneCommand(program);
  const [command] = program.commands;
  if (command === undefined) throw new Error("there is no command");
  command.exitOverride().configureOutput({ writeErr() {} });
  command.action(() => checkClusterFlags(command));
  await program.parseAsync(["control-plane", ...args], { from: "user" });
  return command.opts();
}

const fails = (args: readonly string[], wanted: RegExp): Promise<void> =>
  assert.rejects(parse(...args), (error) => {
    assert.ok(error instanceof UserError || error instanceof CommanderError, String(error));
    assert.match(error.message, wanted);
    return true;
  });

interface Rendered {
  readonly kind?: string;
  readonly spec?: {
    readonly template?: { readonly spec?: { readonly containers?: readonly { readonly args?: readonly string[] }[] } };
  };
}

describe("flags of a control plane in a cluster", () => {
  test("all that the chart passes are known, whatever its values", async () => {
    const files = globSync(path.join(import.meta.dirname, "../../test/golden/charts/*.out.yaml"));
    assert.ok(files.length > 1);
    for (const file of files) {
      const documents = parseAllDocuments(readFileSync(file, "utf8"));
      const deployments = ("empty" in documents ? [] : documents)
        .map((document) => document.toJS() as Rendered | null)
        .filter((object) => object?.kind === "Deployment");
      for (const deployment of deployments) {
        const [command = "", ...args] = deployment?.spec?.template?.spec?.containers?.[0]?.args ?? [];
        assert.equal(command, "control-plane", file);
        const flags = await parse(...args.map((arg) => arg.replace("$(POD_NAMESPACE)", "outrigger-system")));
        assert.equal(flags["kubernetes"], true);
      }
    }
  });

  test("without --kubernetes they say nothing, and that is said", async () => {
    await fails(
      ["--ca-secret", "a", "--lease", "b"],
      /^--lease, --ca-secret: only for a control plane of a cluster; add --kubernetes/,
    );
    assert.equal((await parse("--config", "."))["caSecret"], "outrigger-ca");
  });

  test("those of the webhook go together", async () => {
    await fails(["--kubernetes", "--webhook-port", "1"], /--webhook-port needs --webhook-configuration/);
    await fails(
      ["--kubernetes", "--injector-settings", "a"],
      /--injector-settings is about the webhook: say by --webhook-port/,
    );
    await fails(["--kubernetes", "--webhook-configuration", "a"], /--webhook-configuration is about the webhook/);
    await parse("--kubernetes", "--webhook-port", "1", "--webhook-configuration", "a.b");
  });

  test("names are Kubernetes'", async () => {
    await fails(["--kubernetes", "--service", "a.b"], /lower-case letters, digits and dashes/);
    await fails(["--kubernetes", "--namespace", "A"], /a name is needed/);
    await fails(["--kubernetes", "--ca-secret", "a..b"], /a name is needed/);
    await fails(["--kubernetes", "--token-audience", "a b"], /an audience is needed/);
    await fails(["--kubernetes", "--config", "."], /cannot be used with/);
  });
});
