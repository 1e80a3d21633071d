import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { requireTool } from "../../test/support/tools.ts";
import { fullReference, writeArchive } from "./archive.ts";
import { layerEntries, unpackedSize } from "./layer.ts";

const config = { User: "1337:1337", Env: ["PATH=/bin"], Entrypoint: ["/bin/app"], WorkingDir: "/" };

function temporary(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-archive-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** The same root file system, as different people under different umasks at different times have it. */
function rootIn(folder: string, moment: number, mask: number): string {
  const root = path.join(folder, `root-${moment}`);
  for (const name of ["var/state", "bin"]) mkdirSync(path.join(root, name), { recursive: true });
  const app = path.join(root, "bin", "app");
  writeFileSync(app, "#!");
  chmodSync(app, 0o777 & ~mask);
  writeFileSync(path.join(root, "Z"), "12345");
  symlinkSync("app", path.join(root, "bin", "other"));
  for (const name of ["bin/app", "Z", "bin"]) utimesSync(path.join(root, name), moment, moment);
  return root;
}

function parts(root: string, reference: string) {
  const layer = layerEntries(root, { "var/state": { mode: 0o700, owner: 1337 } });
  return { layer, config, architecture: "amd64", reference, labels: { title: "app" } };
}

test("the same content gives the same bytes, whoever made it and when", async (t) => {
  const folder = temporary(t);
  const [one, other] = [path.join(folder, "one.tar"), path.join(folder, "other.tar")];
  const first = await writeArchive(one, parts(rootIn(folder, 1000, 0o022), "localhost/app"));
  const second = await writeArchive(other, parts(rootIn(folder, 2000, 0o027), "localhost/app"));
  assert.deepEqual(first, second);
  assert.ok(readFileSync(one).equals(readFileSync(other)));
  assert.equal(first.reference, `localhost/app:${first.digest.slice(7, 19)}`);
  assert.deepEqual(
    readdirSync(folder).filter((name) => !name.startsWith("root")),
    ["one.tar", "other.tar"],
  );
});

test("every name in the archive is the digest of what it names, in OCI's form and in Docker's", async (t) => {
  if (!requireTool(t, "tar")) return;
  const folder = temporary(t);
  const archive = path.join(folder, "image.tar");
  const root = rootIn(folder, 1000, 0o022);
  const { digest, packed } = await writeArchive(archive, parts(root, "app:1"));
  assert.equal(spawnSync("tar", ["-xf", archive, "-C", folder]).status, 0);
  const json = (file: string) => JSON.parse(readFileSync(path.join(folder, file), "utf8"));
  const blob = (name: string) => {
    const bytes = readFileSync(path.join(folder, "blobs", name.replace(":", "/")));
    assert.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, name);
    return bytes;
  };
  assert.deepEqual(json("oci-layout"), { imageLayoutVersion: "1.0.0" });
  const [entry] = json("index.json").manifests;
  assert.equal(entry.digest, digest);
  assert.equal(entry.annotations["io.containerd.image.name"], "docker.io/library/app:1");
  const manifest = JSON.parse(blob(digest).toString());
  const layer = blob(manifest.layers[0].digest);
  assert.equal(layer.length, packed);
  assert.equal(manifest.layers[0].size, packed);
  const image = JSON.parse(blob(manifest.config.digest).toString());
  const unpacked = gunzipSync(layer);
  assert.deepEqual(image.rootfs.diff_ids, [`sha256:${createHash("sha256").update(unpacked).digest("hex")}`]);
  assert.deepEqual(image.config, { ...config, Labels: { title: "app" } });
  const [docker] = json("manifest.json");
  assert.deepEqual(docker.RepoTags, ["app:1"]);
  assert.ok(readFileSync(path.join(folder, docker.Layers[0])).equals(layer));
  assert.deepEqual(JSON.parse(readFileSync(path.join(folder, docker.Config), "utf8")), image);
  const listed = spawnSync("tar", ["-tvf", "-"], {
    input: unpacked,
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC" },
  });
  assert.deepEqual(
    listed.stdout
      .trim()
      .split("\n")
      .map((line) => line.replaceAll(/ +/g, " ")),
    [
      "-rw-r--r-- 0/0 5 1970-01-01 00:00 Z",
      "drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/",
      "-rwxr-xr-x 0/0 2 1970-01-01 00:00 bin/app",
      "lrwxrwxrwx 0/0 0 1970-01-01 00:00 bin/other -> app",
      "drwxr-xr-x 0/0 0 1970-01-01 00:00 var/",
      "drwx------ 1337/1337 0 1970-01-01 00:00 var/state/",
    ],
  );
  assert.equal(unpackedSize(parts(root, "app:1").layer), 7);
});

test("references are completed as container runtimes complete them", () => {
  assert.equal(fullReference("outrigger:1"), "docker.io/library/outrigger:1");
  assert.equal(fullReference("someone/outrigger:1"), "docker.io/someone/outrigger:1");
  assert.equal(fullReference("localhost/outrigger:1"), "localhost/outrigger:1");
  assert.equal(fullReference("registry.example/a/b:1"), "registry.example/a/b:1");
  assert.equal(fullReference("registry:5000/b:1"), "registry:5000/b:1");
});
