/** What telemetry learns of the configuration's way; it implements this, the client calls it. */
import type { Problem } from "../core/errors.ts";

export interface XdsObserver {
  /** A stream to `server` is open. */
  connected(server: string): void;
  /** It ended, or none could be opened. */
  disconnected(server: string, reason: string): void;
  /** A response was taken: `changed` resources differ from what was held. `api` is Envoy's abbreviation (`CDS`). */
  accepted(api: string, version: string, changed: number): void;
  /** A response was refused, whole or in part. */
  rejected(api: string, version: string, problems: readonly Problem[]): void;
  /** Message bytes on the wire, without gRPC's framing. */
  bytes(direction: "received" | "sent", count: number): void;
}

export const noObserver: XdsObserver = {
  connected() {},
  disconnected() {},
  accepted() {},
  rejected() {},
  bytes() {},
};
