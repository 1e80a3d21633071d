/**
 * An image as one file, in both forms that container runtimes import: OCI's image layout (`ctr images import`, `podman
 * load`, kind, k3s), and Docker's `manifest.json` over the same blobs (`docker load`).
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, renameSync, rmSync } from "node:fs";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { ImageConfig } from "./containerfile.ts";
import { type TarEntry, tarChunks } from "./tar.ts";

export interface ImageParts {
  readonly layer: readonly TarEntry[];
  readonly config: ImageConfig;
  /** As Go names it: `amd64`, `arm64`. */
  readonly architecture: string;
  /** `[REGISTRY/]NAME[:TAG]`; where there is no tag it is the beginning of the image's digest. */
  readonly reference: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface WrittenImage {
  /** With its tag. */
  readonly reference: string;
  /** `sha256:…` of the manifest: what the image is called in a registry, and what containerd shows. */
  readonly digest: string;
  /** Bytes of the packed layer, which is what a node fetches. */
  readonly packed: number;
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** Writes the archive. The same parts give the same bytes, as far as the same zlib packs them. */
export async function writeArchive(file: string, parts: ImageParts): Promise<WrittenImage> {
  const layerFile = `${file}.layer`;
  const archive = `${file}.new`;
  try {
    const { diffId, ...layer } = await writeLayer(layerFile, parts.layer);
    const config = json({
      architecture: parts.architecture,
      os: "linux",
      config: { ...parts.config, Labels: parts.labels },
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created_by: "scripts/image.ts" }],
    });
    const manifest = json({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...blobOf(config) },
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", ...layer }],
    });
    const { digest } = blobOf(manifest);
    const reference = tagged(parts.reference, digest);
    const entries = [
      folder("blobs"),
      folder("blobs/sha256"),
      ...[config, manifest].map((bytes) => text(blobPath(blobOf(bytes)), bytes)),
      { path: blobPath(layer), mode: 0o644, what: { kind: "file", file: layerFile, size: layer.size } } as const,
      text("index.json", indexOf(manifest, parts.architecture, reference)),
      text("manifest.json", dockerManifest(blobOf(config), layer, reference)),
      text("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    ];
    await pipeline(Readable.from(tarChunks(entries)), createWriteStream(archive));
    renameSync(archive, file);
    return { reference, digest, packed: layer.size };
  } finally {
    rmSync(layerFile, { force: true });
    rmSync(archive, { force: true });
  }
}

function tagged(reference: string, digest: string): string {
  return /:[^/]+$/.test(reference) ? reference : `${reference}:${digest.slice("sha256:".length, 19)}`;
}

/** The full name by which containerd and the kubelet know a reference: `outrigger:1` is `docker.io/library/outrigger:1`. */
export function fullReference(reference: string): string {
  const [first = "", ...rest] = reference.split("/");
  if (rest.length === 0) return `docker.io/library/${reference}`;
  return /[.:]|^localhost$/.test(first) ? reference : `docker.io/${reference}`;
}

function indexOf(manifest: Buffer, architecture: string, reference: string): Buffer {
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  return json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        mediaType,
        ...blobOf(manifest),
        annotations: {
          "io.containerd.image.name": fullReference(reference),
          "org.opencontainers.image.ref.name": fullReference(reference),
        },
        platform: { architecture, os: "linux" },
      },
    ],
  });
}

function dockerManifest(config: Blob, layer: Blob, reference: string): Buffer {
  return json([{ Config: blobPath(config), RepoTags: [reference], Layers: [blobPath(layer)] }]);
}

/** Packs the layer into a file. `diffId` is the digest of what is packed. */
async function writeLayer(file: string, entries: readonly TarEntry[]): Promise<Blob & { readonly diffId: string }> {
  const hash = createHash("sha256");
  const chunks = function* () {
    for (const chunk of tarChunks(entries)) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const gzip: Transform = createGzip({ level: 9 });
  await pipeline(Readable.from(chunks()), gzip, createWriteStream(file));
  const packed = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(file)) {
    packed.update(chunk as Buffer);
    size += (chunk as Buffer).length;
  }
  return { diffId: `sha256:${hash.digest("hex")}`, digest: `sha256:${packed.digest("hex")}`, size };
}

function blobOf(bytes: Buffer): Blob {
  return { digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, size: bytes.length };
}

function blobPath({ digest }: Blob): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function folder(path: string): TarEntry {
  return { path, mode: 0o755, what: { kind: "directory" } };
}

function text(path: string, bytes: Buffer): TarEntry {
  return { path, mode: 0o644, what: { kind: "bytes", bytes } };
}
