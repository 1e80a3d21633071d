/** `npm run build`: one bundled file in `dist/`, and the launcher that starts it with the right Node and flags. */
import { chmodSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, type Plugin } from "esbuild";

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** A package that a module loads late, synchronously, is still part of the bundle; esbuild only knows a bare `require`. */
const lateRequires: Plugin = {
  name: "late-requires",
  setup({ onLoad }) {
    onLoad({ filter: /\/core\/re2\.ts$/ }, ({ path: file }) => ({
      loader: "ts",
      contents: readFileSync(file, "utf8").replaceAll(/createRequire\(import\.meta\.url\)\((?=")/g, "require("),
    }));
  },
};

const common = {
  bundle: true,
  platform: "node",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  write: false,
  outdir: "dist",
} as const satisfies BuildOptions;

/**
 * CommonJS, because in an ES module every built-in module that any part of the bundle names is loaded at the start:
 * HTTP/2, readline and others cost a sidecar that never uses them 4 MB.
 */
const { outputFiles, metafile } = await build({
  ...common,
  entryPoints: { outrigger: "cli/main.ts" },
  format: "cjs",
  target: "node26",
  outExtension: { ".js": ".cjs" },
  metafile: true,
  plugins: [lateRequires],
  // Loaded only where tracing is on; kept apart so that a sidecar without tracing pays nothing for them. koffi is native
  // code, found by its platform's package, and loaded only by a listener that asks for original destinations.
  external: ["@opentelemetry/*", "koffi"],
  // Asked for only where there is no bundle (`cli/workers/entry.ts`).
  logOverride: { "empty-import-meta": "silent" },
});
const launcher = await build({
  ...common,
  entryPoints: { launcher: "cli/launcher.ts" },
  format: "esm",
  target: "node20",
});

mkdirSync("dist", { recursive: true });
for (const { path: file, contents } of [...outputFiles, ...launcher.outputFiles]) replace(file, contents, 0o755);
const bundled = packages(Object.keys(metafile.inputs));
replace("dist/THIRD-PARTY-LICENSES.txt", licences(bundled), 0o644);
// For the image's bill of materials.
replace("dist/packages.json", `${JSON.stringify(bundled)}\n`, 0o644);

/** A file is replaced whole, so that what runs from `dist/` meanwhile, or starts, never finds half a bundle. */
function replace(file: string, contents: string | Uint8Array, mode: number): void {
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, contents);
  chmodSync(fresh, mode);
  renameSync(fresh, file);
}

/** Folders of the packages that are in the bundle, as `package-lock.json` names them. */
function packages(inputs: readonly string[]): readonly string[] {
  const dirs = inputs.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  return [...new Set(dirs)].sort();
}

/** The bundle holds other people's work: the licences of the packages that are in it go with it. */
function licences(dirs: readonly string[]): string {
  return dirs
    .map((dir) => {
      const { name, version, license } = JSON.parse(readFileSync(`${dir}/package.json`, "utf8")) as Record<
        string,
        string
      >;
      const texts = globSync(`${dir}/{LICENSE,LICENCE,License,license,COPYING,NOTICE}*`).map((file) =>
        readFileSync(file, "utf8"),
      );
      return `${name} ${version} (${license})\n\n${texts.join("\n")}`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
}
