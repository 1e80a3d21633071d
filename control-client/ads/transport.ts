/** A stream of messages to a control plane, without its gRPC: what a session drives, and what tests script. */

export interface StreamHandlers {
  /** The connection is up; requests may be sent from now on. */
  connected(): void;
  message(bytes: Uint8Array): void;
  /** Once, and last: the stream ended or could not be opened. `reason` is for people. */
  closed(reason: string): void;
}

export interface XdsStream {
  send(message: Uint8Array): void;
  /** Breaks the stream off; `closed` is not called thereafter. */
  cancel(): void;
  /** Says goodbye: the server knows that the client leaves on purpose. `closed` is not called thereafter. */
  leave(): void;
}

export interface XdsTransport {
  /** Where the newest stream goes, for people; "" before the first. */
  readonly target: string;
  /** Begins to connect. No handler is called before it returns. */
  open(handlers: StreamHandlers): XdsStream;
}
