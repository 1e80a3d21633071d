/** One opaque connection on its way to an endpoint, whatever is to carry it. */
import type { Address } from "../../model/address.ts";
import type { ByteEnd } from "../codec/byte-end.ts";

/** What came of an attempt; one of these is called once, never from inside `open`. */
export interface OpaqueResult {
  onConnected(end: ByteEnd): void;
  onConnectFailed(failure: ConnectFailure, detail: string): void;
}

export type ConnectFailure = "connect_failure" | "connect_timeout";

export class OpaqueAttempt {
  readonly result: OpaqueResult;
  /** Of the endpoint's addresses the one to connect to; null: any. */
  readonly meant: Address | null;
  /** The way to give up what is under way. */
  cancel: (() => void) | null = null;
  /** It was refused as a stream once, before any of its bytes were sent. */
  refused = false;
  over = false;

  constructor(result: OpaqueResult, meant: Address | null) {
    this.result = result;
    this.meant = meant;
  }
}
