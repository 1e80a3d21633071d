/** The package that reads kubeconfig files, which not everybody has: an image for clusters goes without. */
import type { TestContext } from "node:test";
import { skip } from "./tools.ts";

/** Not known to the compiler, as in the program. */
const CLIENT_PACKAGE: string = "@kubernetes/client-node";

/** Whether the test can go on: without the package it is skipped. */
export async function requireKubeconfigPackage(t: TestContext): Promise<boolean> {
  try {
    await import(CLIENT_PACKAGE);
    return true;
  } catch {
    return skip(t, `${CLIENT_PACKAGE} is not installed`);
  }
}
