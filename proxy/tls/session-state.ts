/**
 * The serialized form of a TLS session, made lighter: OpenSSL writes the server's certificate into it and parses it again
 * for every connection that resumes, which would cost a tenth of opening one. Whoever resumes has checked it before.
 */

const SEQUENCE = 0x30;
/** `[3] peer` of OpenSSL's SSL_SESSION. */
const PEER = 0xa3;

/** The session without the peer's certificate; as it came where it does not look like OpenSSL's. */
export function withoutPeer(session: Buffer): Buffer {
  const start = findSequence(session);
  if (start < 0) return session;
  const content = start + headLength(session, start);
  for (let at = content; at < session.length; ) {
    const end = at + elementLength(session, at);
    if (end > session.length || end <= at) return session;
    if (session[at] === PEER) {
      const rest = Buffer.concat([session.subarray(content, at), session.subarray(end)]);
      return Buffer.concat([Buffer.of(SEQUENCE), lengthOf(rest.length), rest]);
    }
    at = end;
  }
  return session;
}

/** Newer versions of Node put words of their own before it. */
function findSequence(session: Buffer): number {
  for (let at = 0; at < session.length - 2; at++) {
    if (session[at] === SEQUENCE && at + elementLength(session, at) === session.length) return at;
  }
  return -1;
}

/** Bytes of tag and length (DER, single-byte tags). */
function headLength(bytes: Buffer, at: number): number {
  const first = bytes[at + 1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}

function elementLength(bytes: Buffer, at: number): number {
  const head = headLength(bytes, at);
  if (head > 6 || at + head > bytes.length) return Number.POSITIVE_INFINITY;
  return head + (head === 2 ? (bytes[at + 1] ?? 0) : bytes.readUIntBE(at + 2, head - 2));
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  if (length < 0x100) return Buffer.of(0x81, length);
  return Buffer.of(0x82, length >> 8, length & 0xff);
}
