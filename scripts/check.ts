/** `npm run check`: types, lint and formatting, and the architecture test; every part runs even if one fails. */
import { spawnSync } from "node:child_process";

const steps: readonly (readonly [string, readonly string[]])[] = [
  ["tsc", ["-p", "."]],
  ["biome", ["ci", ...(process.stdout.isTTY ? [] : ["--colors=off"]), "."]],
  ["node", ["--test", "test/architecture.test.ts"]],
];

let failed = false;
for (const [command, args] of steps) {
  console.log(`> ${command} ${args.join(" ")}`);
  if (spawnSync(command, [...args], { stdio: "inherit" }).status !== 0) failed = true;
}
process.exitCode = failed ? 1 : 0;
