/** A log that nobody reads, apart from what else tests have, so that a test of little loads little. */
import type { Logger } from "../../core/log.ts";

export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
