/** `npm run build`: one bundled file in `dist/`, and the launcher that starts it with the right Node and flags. */
import { rmSync } from "node:fs";
import { build } from "esbuild";

rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: { outrigger: "cli/main.ts", launcher: "cli/launcher.ts" },
  outdir: "dist",
  bundle: true,
  platform: "node",
  target: "node26",
  format: "esm",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  // Loaded only where tracing is on; kept apart so that a sidecar without tracing pays nothing for them.
  external: ["@opentelemetry/*"],
  banner: {
    js: 'import { createRequire as outriggerRequire } from "node:module"; const require = outriggerRequire(import.meta.url);',
  },
});
