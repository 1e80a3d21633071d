/**
 * `node scripts/image.ts [--reference REF] [--output FILE] [--target outrigger|proxy] [--root DIR]`: builds the image that
 * the Containerfile builds, without a registry and without a container builder, as an archive that `ctr images import`,
 * `docker load`, `podman load`, kind and k3s take. Beside it lie its bill of materials and, as JSON, digest and sizes.
 * A reference without a tag gets the beginning of the digest for one. `--root` takes a root file system that `scripts/image-root.ts` has made already.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeArchive } from "./image/archive.ts";
import { targetConfig } from "./image/containerfile.ts";
import { layerEntries, unpackedSize } from "./image/layer.ts";

const source = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { name, version, license, description } = JSON.parse(
  readFileSync(path.join(source, "package.json"), "utf8"),
) as Readonly<Record<"name" | "version" | "license" | "description", string>>;

/** Node's names for processors, and Go's, in which images are described. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

const { values: flags } = parseArgs({
  options: {
    reference: { type: "string", default: `${name}:${version}` },
    output: { type: "string", default: path.join(source, ".cache", "image", "outrigger.tar") },
    target: { type: "string", default: "outrigger" },
    root: { type: "string" },
  },
});
const architecture = ARCHITECTURES[process.arch];
if (architecture === undefined) throw new Error(`there is no image for ${process.arch}`);
const config = targetConfig(readFileSync(path.join(source, "Containerfile"), "utf8"), flags.target);
const output = path.resolve(flags.output);
mkdirSync(path.dirname(output), { recursive: true });

const folder = mkdtempSync(path.join(path.dirname(output), "building-"));
try {
  const root = flags.root ?? makeRoot(path.join(folder, "root"));
  const owner = Number.parseInt(config.User, 10);
  const layer = layerEntries(root, {
    "var/lib/outrigger": { mode: 0o700, owner },
    tmp: { mode: 0o1777, owner: 0 },
  });
  const { reference, digest, packed } = await writeArchive(output, {
    layer,
    config,
    architecture,
    reference: flags.reference,
    labels: {
      "org.opencontainers.image.title": name,
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.licenses": license,
      "org.opencontainers.image.description": description,
    },
  });
  const beside = output.replace(/\.tar$/, "");
  copyFileSync(path.join(root, "app", "sbom.cdx.json"), `${beside}.cdx.json`);
  const sizes = { packed, unpacked: unpackedSize(layer), archive: statSync(output).size };
  writeFileSync(`${beside}.json`, `${JSON.stringify({ reference, digest, ...sizes })}\n`);
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(`${reference} ${digest}: ${mb(sizes.packed)} packed, ${mb(sizes.unpacked)} unpacked; ${output}`);
} finally {
  rmSync(folder, { recursive: true });
}

function makeRoot(root: string): string {
  const script = (file: string, ...args: readonly string[]) =>
    execFileSync(process.execPath, [path.join(source, "scripts", file), ...args], { stdio: "inherit" });
  script("build.ts");
  script("image-root.ts", root, ...(flags.target === "proxy" ? [] : ["--iptables"]));
  return root;
}
