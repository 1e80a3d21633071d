/**
 * What a real Kubernetes API is made of for the tests of `test/kube-api`: etcd and kube-apiserver, built from the Go module
 * proxy, and the CRDs of Gateway API. `node scripts/kube-api.ts` builds what is missing into `.cache/` (some minutes of two
 * cores), and says how long it took.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { complain, findGo, goTool, toolFolder } from "./go-tools.ts";

const root = path.dirname(import.meta.dirname);
const GATEWAY_MODULE = path.join("test", "kube-api", "tools", "gateway-api");
const DOWNLOAD_LIMIT_MS = 120_000;

export interface KubeApiParts {
  readonly etcd: string;
  readonly apiServer: string;
  /** A folder of YAML files: those of Gateway API's standard channel. */
  readonly gatewayCrds: string;
}

/**
 * Paths of all parts. null where one is missing and is not to be built (`all`), or cannot be: stderr says which, and why.
 */
export function kubeApiParts(all = process.env["CI"] === "true"): KubeApiParts | null {
  const etcd = goTool("etcd", all);
  const apiServer = etcd && goTool("kube-apiserver", all);
  const gatewayCrds = apiServer && gatewayApiCrds(all);
  return etcd && apiServer && gatewayCrds ? { etcd, apiServer, gatewayCrds } : null;
}

function gatewayApiCrds(all: boolean): string | null {
  const folder = path.join(toolFolder(GATEWAY_MODULE), "gateway-api-crds");
  if (existsSync(folder)) return folder;
  if (!all) return complain("Gateway API's CRDs are not there yet: node scripts/kube-api.ts fetches them");
  const go = findGo();
  if (go === null) return complain("Go is not installed; Debian has it as golang-go");
  const { status, stdout, stderr } = spawnSync(go, ["mod", "download", "-json", "sigs.k8s.io/gateway-api"], {
    cwd: path.join(root, GATEWAY_MODULE),
    env: { GOTOOLCHAIN: "auto", ...process.env },
    encoding: "utf8",
    timeout: DOWNLOAD_LIMIT_MS,
  });
  if (status !== 0) return complain(`Go could not fetch Gateway API: ${stderr.trim().split("\n").at(-1)}`);
  const { Dir } = JSON.parse(stdout) as { readonly Dir: string };
  // Copied aside and renamed, so that another process never finds half of them.
  mkdirSync(path.dirname(folder), { recursive: true });
  const aside = mkdtempSync(`${folder}-`);
  try {
    const crds = path.join(aside, "crds");
    mkdirSync(crds);
    const from = path.join(Dir, "config", "crd", "standard");
    // Not with their permissions: what Go has fetched is read-only.
    for (const file of globSync("*.yaml", { cwd: from }))
      writeFileSync(path.join(crds, file), readFileSync(path.join(from, file)));
    renameSync(crds, folder);
    return folder;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

function main(): void {
  process.exitCode = 1;
  const began = performance.now();
  const parts = kubeApiParts(true);
  if (parts === null) return;
  const size = (file: string): string => `${(statSync(file).size / 2 ** 20).toFixed(0)} MB`;
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`etcd ${size(parts.etcd)}, kube-apiserver ${size(parts.apiServer)}; ${seconds} s`);
  process.exitCode = 0;
}

if (import.meta.main) main();
