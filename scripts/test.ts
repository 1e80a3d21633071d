/** `npm test [-- FILE…]`: every `*.test.ts` beside the code and in `test/`, with Node's own runner. */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

const named = process.argv.slice(2);
const files = named.length > 0 ? named : globSync("**/*.test.ts", { exclude: ["node_modules/**", "dist/**"] }).sort();
const result = spawnSync(process.execPath, ["--test", "--test-reporter=spec", "--test-timeout=120000", ...files], {
  stdio: "inherit",
});
process.exitCode = result.status ?? 1;
