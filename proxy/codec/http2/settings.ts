/** SETTINGS (RFC 9113, section 6.5): the peer's as they are in force, and ours until they are acknowledged. */
import type { Http2Options } from "../../../model/http.ts";
import type { HpackDecoder } from "./hpack/decoder.ts";
import type { Outbox } from "./outbox.ts";
import {
  DEFAULT_MAX_FRAME,
  DEFAULT_WINDOW,
  ErrorCode,
  FrameType,
  MAX_MAX_FRAME,
  MAX_WINDOW,
  Setting,
  writeUint32,
} from "./protocol.ts";

const ENTRY = 6;
const DEFAULT_TABLE_SIZE = 4096;

export class PeerSettings {
  /** RFC 9113, section 6.5.2: a server may say of push only that there is none. */
  readonly mostPush: number;
  headerTableSize = DEFAULT_TABLE_SIZE;
  maxConcurrentStreams = Infinity;
  initialWindow = DEFAULT_WINDOW;
  maxHeaderListSize = Infinity;
  enableConnectProtocol = false;

  constructor(mostPush: number) {
    this.mostPush = mostPush;
  }
}

export interface SettingsError {
  readonly code: number;
  readonly message: string;
}

/** Puts a frame's settings in force, in their order; returns what is wrong with it. */
export function readSettings(buf: Buffer, start: number, end: number, peer: PeerSettings): SettingsError | null {
  if ((end - start) % ENTRY !== 0) return { code: ErrorCode.frameSizeError, message: "SETTINGS have a wrong length" };
  for (let at = start; at < end; at += ENTRY) {
    const value = buf.readUInt32BE(at + 2);
    switch (buf.readUInt16BE(at)) {
      case Setting.headerTableSize:
        peer.headerTableSize = value;
        break;
      case Setting.enablePush:
        if (value > peer.mostPush) return { code: ErrorCode.protocolError, message: "SETTINGS_ENABLE_PUSH is wrong" };
        break;
      case Setting.maxConcurrentStreams:
        peer.maxConcurrentStreams = value;
        break;
      case Setting.initialWindowSize:
        if (value > MAX_WINDOW)
          return { code: ErrorCode.flowControlError, message: "SETTINGS_INITIAL_WINDOW_SIZE is too large" };
        peer.initialWindow = value;
        break;
      case Setting.maxFrameSize:
        // Ours are never larger than what every peer takes.
        if (value < DEFAULT_MAX_FRAME || value > MAX_MAX_FRAME)
          return { code: ErrorCode.protocolError, message: "SETTINGS_MAX_FRAME_SIZE is out of range" };
        break;
      case Setting.maxHeaderListSize:
        peer.maxHeaderListSize = value;
        break;
      case Setting.enableConnectProtocol:
        if (value > 1 || (peer.enableConnectProtocol && value === 0))
          return { code: ErrorCode.protocolError, message: "SETTINGS_ENABLE_CONNECT_PROTOCOL is wrong" };
        peer.enableConnectProtocol = value === 1;
        break;
      default:
        // RFC 9113, section 6.5.2: unknown settings are ignored.
        break;
    }
  }
  return null;
}

/** What we tell the peer. Larger tables hold at once, smaller ones from its acknowledgement on. */
export class LocalSettings {
  readonly #options: Http2Options;
  readonly #firstWindow: number;
  readonly #decoder: HpackDecoder;

  /** `firstWindow`: what the peer may send on a new stream. */
  constructor(options: Http2Options, firstWindow: number, decoder: HpackDecoder) {
    this.#options = options;
    this.#firstWindow = firstWindow;
    this.#decoder = decoder;
  }

  /** Writes the SETTINGS frame: what both sides tell, and what only one does. */
  write(outbox: Outbox, more: readonly (readonly [number, number])[]): void {
    const { hpackTableSize } = this.#options;
    const window = this.#firstWindow;
    const settings: (readonly [number, number])[] = [...more];
    if (hpackTableSize !== DEFAULT_TABLE_SIZE) settings.push([Setting.headerTableSize, hpackTableSize]);
    if (window !== DEFAULT_WINDOW) settings.push([Setting.initialWindowSize, window]);
    const { buf, at } = outbox.frame(FrameType.settings, 0, 0, settings.length * ENTRY);
    settings.forEach(([id, value], i) => {
      buf.writeUInt16BE(id, at + i * ENTRY);
      writeUint32(buf, at + i * ENTRY + 2, value);
    });
    if (hpackTableSize > DEFAULT_TABLE_SIZE) this.#decoder.setMaxTableSize(hpackTableSize);
  }

  onAcknowledged(): void {
    if (this.#options.hpackTableSize < DEFAULT_TABLE_SIZE) this.#decoder.setMaxTableSize(this.#options.hpackTableSize);
  }
}
