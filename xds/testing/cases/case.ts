/**
 * One bootstrap and whether it loads. The verdicts were taken from Envoy's `--mode validate`; where Outrigger's differs
 * the case says why, so that the same table can be put to both.
 */
import type { Json } from "../bootstrap-json.ts";

export interface ValidityCase {
  readonly name: string;
  readonly bootstrap: Json;
  /** What Outrigger says; undefined: it accepts. The path is its last part, below what all cases share. */
  readonly refused?: { readonly path: string; readonly message: RegExp };
  /** Why Envoy gives the other verdict; undefined: it gives the same. */
  readonly envoyDiffers?: string;
}

/** Cases of the same kind: name, bootstrap, and where and why it is refused. */
export type Row = readonly [name: string, bootstrap: Json, path?: string, message?: RegExp, envoyDiffers?: string];

export const cases = (...rows: readonly Row[]): ValidityCase[] =>
  rows.map(([name, bootstrap, path, message, envoyDiffers]) => ({
    name,
    bootstrap,
    ...(path !== undefined && message ? { refused: { path, message } } : {}),
    ...(envoyDiffers === undefined ? {} : { envoyDiffers }),
  }));
