/** As much of DNS (RFC 1035) as answering for the mesh's own names takes. */
import { parseIp } from "../../../core/ip.ts";

export interface Question {
  /** In lower case, without the final dot. */
  readonly name: string;
  readonly type: number;
  /** Where the question ends in the message. */
  readonly end: number;
}

export const TYPE_A = 1;
export const TYPE_AAAA = 28;
const CLASS_IN = 1;
const HEADER_BYTES = 12;
/** A response, and the server is one that recurses. */
const FLAG_RESPONSE = 0x8000;
const FLAG_AUTHORITATIVE = 0x0400;
const FLAG_RECURSION_AVAILABLE = 0x0080;
const FLAG_RECURSION_DESIRED = 0x0100;
const OPCODE = 0x7800;
const MAX_LABEL = 63;
/** A service may get another address at any time. */
const TTL_S = 5;

/** The one question of a standard query, class IN; null for anything else, malformed messages included. */
export function readQuestion(message: Buffer): Question | null {
  if (message.length < HEADER_BYTES || (message.readUInt16BE(2) & (FLAG_RESPONSE | OPCODE)) !== 0) return null;
  if (message.readUInt16BE(4) !== 1) return null;
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    // A question has nothing before it that it could point to (section 4.1.4).
    if (length === undefined || length > MAX_LABEL) return null;
    at++;
    if (length === 0) break;
    if (at + length > message.length) return null;
    labels.push(message.toString("latin1", at, at + length));
    at += length;
  }
  if (at + 4 > message.length || message.readUInt16BE(at + 2) !== CLASS_IN) return null;
  return { name: labels.join(".").toLowerCase(), type: message.readUInt16BE(at), end: at + 4 };
}

/** The answer to `query`: those of the addresses that are of the type asked for. There may be none: the name is there all the same. */
export function answerFor(query: Buffer, question: Question, addresses: readonly string[]): Buffer {
  const records = addresses.flatMap((address) => record(address, question.type));
  const head = Buffer.from(query.subarray(0, question.end));
  const desired = head.readUInt16BE(2) & FLAG_RECURSION_DESIRED;
  head.writeUInt16BE(FLAG_RESPONSE | FLAG_AUTHORITATIVE | FLAG_RECURSION_AVAILABLE | desired, 2);
  head.writeUInt16BE(records.length, 6);
  // Neither authority nor additional records (EDNS is one): not supported, which every client takes.
  head.writeUInt32BE(0, 8);
  return Buffer.concat([head, ...records]);
}

function record(address: string, type: number): readonly Buffer[] {
  const ip = parseIp(address);
  if (ip === null || (ip.length === 2 ? TYPE_A : TYPE_AAAA) !== type) return [];
  const bytes = Buffer.alloc(12 + 2 * ip.length);
  // The name is that of the question, which follows the header.
  bytes.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  bytes.writeUInt16BE(type, 2);
  bytes.writeUInt16BE(CLASS_IN, 4);
  bytes.writeUInt32BE(TTL_S, 6);
  bytes.writeUInt16BE(2 * ip.length, 10);
  for (const [i, group] of ip.entries()) bytes.writeUInt16BE(group, 12 + 2 * i);
  return [bytes];
}
