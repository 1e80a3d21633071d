/**
 * What a TLS ClientHello says in the clear: the server name and the protocols offered (RFC 8446, section 4.1.2; RFC
 * 6066, section 3; RFC 7301). Only read, never answered: OpenSSL sees the same bytes again.
 */

export interface ClientHello {
  /** Lower case, "" for none. */
  readonly serverName: string;
  readonly alpn: readonly string[];
}

/** More bytes are needed to tell. */
export const MORE = 0;
/** These bytes do not begin a TLS connection. */
export const NOT_TLS = 1;

/** A hello longer than this is nobody's: Envoy's tls_inspector stops at 16 KiB too. */
const MAX_HELLO = 16_384;

/** Nobody cuts a hello into more pieces except to have them put together again and again. */
const MAX_RECORDS = 64;

const RECORD_HANDSHAKE = 0x16;
const CLIENT_HELLO = 1;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;

/** Reads the first bytes of a connection. Gives the same result however they were split; never throws. */
export function readClientHello(buf: Buffer): ClientHello | typeof MORE | typeof NOT_TLS {
  // The hello may be spread over several records: their contents are put together first.
  const parts: Buffer[] = [];
  let pos = 0;
  let have = 0;
  let needed = 4;
  while (have < needed) {
    if (pos < buf.length && buf[pos] !== RECORD_HANDSHAKE) return NOT_TLS;
    if (pos + 1 < buf.length && buf[pos + 1] !== 3) return NOT_TLS;
    if (pos + 5 > buf.length) return MORE;
    const length = buf.readUInt16BE(pos + 3);
    if (length === 0 || length > MAX_HELLO + 256 || parts.length === MAX_RECORDS) return NOT_TLS;
    const part = buf.subarray(pos + 5, Math.min(pos + 5 + length, buf.length));
    parts.push(part);
    have += part.length;
    if (parts.length === 1 && part.length > 0 && part[0] !== CLIENT_HELLO) return NOT_TLS;
    if (needed === 4 && have >= 4) {
      needed += Buffer.concat(parts, 4).readUIntBE(1, 3);
      if (needed > MAX_HELLO) return NOT_TLS;
    }
    if (have < needed && part.length < length) return MORE;
    pos += 5 + length;
  }
  return readExtensions(Buffer.concat(parts, needed).subarray(4));
}

/** Walks a ClientHello's body. What is cut short or contradicts itself has no names, and OpenSSL will refuse it. */
function readExtensions(body: Buffer): ClientHello {
  const none: ClientHello = { serverName: "", alpn: [] };
  // legacy_version, random
  let pos = 34;
  if (pos >= body.length) return none;
  pos += 1 + (body[pos] as number);
  if (pos + 2 > body.length) return none;
  pos += 2 + body.readUInt16BE(pos);
  if (pos + 1 > body.length) return none;
  pos += 1 + (body[pos] as number);
  if (pos + 2 > body.length) return none;
  const end = Math.min(body.length, pos + 2 + body.readUInt16BE(pos));
  pos += 2;
  let serverName = "";
  let alpn: string[] = [];
  while (pos + 4 <= end) {
    const type = body.readUInt16BE(pos);
    const length = body.readUInt16BE(pos + 2);
    const value = body.subarray(pos + 4, Math.min(end, pos + 4 + length));
    pos += 4 + length;
    if (type === EXTENSION_SERVER_NAME) serverName = readServerName(value);
    else if (type === EXTENSION_ALPN) alpn = readAlpn(value);
  }
  return { serverName, alpn };
}

function readServerName(value: Buffer): string {
  // list length, name type 0 (host_name), name length
  if (value.length < 5 || value[2] !== 0) return "";
  return value.toString("latin1", 5, 5 + value.readUInt16BE(3)).toLowerCase();
}

function readAlpn(value: Buffer): string[] {
  const protocols: string[] = [];
  let pos = 2;
  while (pos < value.length) {
    const length = value[pos] as number;
    if (length === 0 || pos + 1 + length > value.length) break;
    protocols.push(value.toString("latin1", pos + 1, pos + 1 + length));
    pos += 1 + length;
  }
  return protocols;
}
