/** Compiles protobuf sources with `buf`: the subset in `xds/proto`, and Envoy's full protos that ship with `@grpc/grpc-js-xds`. */
import { execFileSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const root = path.dirname(import.meta.dirname);
const subsetDir = path.join(root, "xds", "proto");
const deps = path.join(root, "node_modules", "@grpc", "grpc-js-xds", "deps");
const includes = ["envoy-api", "googleapis", "protoc-gen-validate", "xds"].map((name) => path.join(deps, name));

/** The subset's descriptors. */
export function subsetRegistry(): FileRegistry {
  return build(subsetDir);
}

/** The full descriptors of the files that the subset has too, and of all that they import. */
export function fullRegistry(): FileRegistry {
  const dir = mkdtempSync(path.join(os.tmpdir(), "full-protos-"));
  try {
    const wanted = globSync("**/*.proto", { cwd: subsetDir });
    const seen = new Set<string>();
    for (let file = wanted.pop(); file !== undefined; file = wanted.pop()) {
      if (seen.has(file)) continue;
      seen.add(file);
      const source = includes.map((include) => path.join(include, file)).find((candidate) => existsSync(candidate));
      if (!source) continue;
      mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
      // The validation rules that ship with the protos are older than the protos.
      const text = readFileSync(source, "utf8").replaceAll("ignore_empty: true", "");
      writeFileSync(path.join(dir, file), text);
      for (const [, imported = ""] of text.matchAll(/^import\s+(?:public\s+)?"([^"]+)"/gm)) {
        wanted.push(imported);
      }
    }
    return build(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function build(dir: string): FileRegistry {
  const buf = path.join(root, "node_modules", ".bin", "buf");
  const bytes = execFileSync(buf, ["build", dir, "--as-file-descriptor-set", "-o", "-"], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
}
