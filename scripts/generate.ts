/**
 * Generates TypeScript-typed JavaScript for the message subset in `xds/proto/` into `generated/` (not committed).
 * Skips the work when the output is newer than every proto file, unless called with `--force`.
 * Runs on the oldest supported npm's own Node too (`npm ci` calls it before anything else), so it uses only plain APIs.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const protoDir = path.join(root, "xds", "proto");
const outDir = path.join(root, "generated");
const stamp = path.join(outDir, ".stamp");

const protos = readdirSync(protoDir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".proto"));
const newest = Math.max(...protos.map((name) => statSync(path.join(protoDir, name)).mtimeMs));

if (process.argv.includes("--force") || !existsSync(stamp) || statSync(stamp).mtimeMs < newest) {
  // Made beside the old ones, which stay if this fails.
  const fresh = path.join(root, ".cache", `generated.${process.pid}`);
  mkdirSync(fresh, { recursive: true });
  const bin = path.join(root, "node_modules", ".bin");
  const template = {
    version: "v2",
    plugins: [
      {
        local: path.join(bin, "protoc-gen-es"),
        out: fresh,
        opt: ["target=js+dts", "import_extension=js"],
        include_imports: true,
      },
    ],
  };
  const { status } = spawnSync(path.join(bin, "buf"), ["generate", protoDir, "--template", JSON.stringify(template)], {
    stdio: "inherit",
    env: { ...process.env, PATH: `${bin}${path.delimiter}${process.env["PATH"] ?? ""}` },
  });
  if (status !== 0) {
    // buf has said what is wrong.
    rmSync(fresh, { recursive: true, force: true });
    process.exit(1);
  }
  writeFileSync(path.join(fresh, "package.json"), '{"type":"module"}\n');
  writeFileSync(path.join(fresh, ".stamp"), "");
  rmSync(outDir, { recursive: true, force: true });
  renameSync(fresh, outDir);
}
