/**
 * XXH64 with seed 0 (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md): what Envoy hashes requests and hosts with,
 * so that the same request reaches the same host behind either. 64-bit words are pairs of 32-bit halves, because BigInt
 * arithmetic would cost microseconds.
 */

/** The five primes, high and low half. */
const P1H = 0x9e3779b1;
const P1L = 0x85ebca87;
const P2H = 0xc2b2ae3d;
const P2L = 0x27d4eb4f;
const P3H = 0x165667b1;
const P3L = 0x9e3779f9;
const P4H = 0x85ebca77;
const P4L = 0xc2b2ae63;
const P5H = 0x27d4eb2f;
const P5L = 0x165667c5;

/** The result of the last operation: one pair instead of one object for each step. */
let high = 0;
let low = 0;

function set(h: number, l: number): void {
  high = h | 0;
  low = l | 0;
}

function add(h: number, l: number): void {
  const sum = (low >>> 0) + (l >>> 0);
  high = (high + h + (sum > 0xffffffff ? 1 : 0)) | 0;
  low = sum | 0;
}

function xor(h: number, l: number): void {
  high ^= h;
  low ^= l;
}

function multiply(h: number, l: number): void {
  const a0 = low & 0xffff;
  const a1 = low >>> 16;
  const b0 = l & 0xffff;
  const b1 = l >>> 16;
  const p00 = a0 * b0;
  const middle = a0 * b1 + (p00 >>> 16);
  const middle2 = a1 * b0 + (middle % 65536);
  const carry = a1 * b1 + Math.floor(middle / 65536) + Math.floor(middle2 / 65536);
  high = (carry + Math.imul(high, l) + Math.imul(low, h)) | 0;
  low = ((middle2 % 65536) << 16) | (p00 & 0xffff);
}

/** 0 < bits < 32 */
function rotate(bits: number): void {
  const h = high;
  high = (h << bits) | (low >>> (32 - bits));
  low = (low << bits) | (h >>> (32 - bits));
}

/** Exclusive or with itself shifted right by `bits` (29, 32 or 33). */
function shiftMix(bits: number): void {
  if (bits < 32) xor(high >>> bits, (high << (32 - bits)) | (low >>> bits));
  else xor(0, high >>> (bits - 32));
}

function read32(text: string, at: number): number {
  return (
    (text.charCodeAt(at) & 0xff) |
    ((text.charCodeAt(at + 1) & 0xff) << 8) |
    ((text.charCodeAt(at + 2) & 0xff) << 16) |
    ((text.charCodeAt(at + 3) & 0xff) << 24)
  );
}

/** One lane's step: the accumulator is in `high`/`low`. */
function round(inputHigh: number, inputLow: number): void {
  const h = high;
  const l = low;
  set(inputHigh, inputLow);
  multiply(P2H, P2L);
  add(h, l);
  rotate(31);
  multiply(P1H, P1L);
}

const laneHigh = new Int32Array(4);
const laneLow = new Int32Array(4);

/** Consumes whole 32-byte stripes; returns how far it came. */
function stripes(text: string): number {
  set(P1H, P1L);
  add(P2H, P2L);
  laneHigh[0] = high;
  laneLow[0] = low;
  laneHigh[1] = P2H;
  laneLow[1] = P2L;
  laneHigh[2] = 0;
  laneLow[2] = 0;
  // −PRIME1
  set(~P1H, ~P1L);
  add(0, 1);
  laneHigh[3] = high;
  laneLow[3] = low;
  let at = 0;
  for (; at + 32 <= text.length; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      set(laneHigh[lane] as number, laneLow[lane] as number);
      round(read32(text, at + lane * 8 + 4), read32(text, at + lane * 8));
      laneHigh[lane] = high;
      laneLow[lane] = low;
    }
  }
  return at;
}

const LANE_ROTATION = [1, 7, 12, 18] as const;

function mergeLanes(): void {
  let h = 0;
  let l = 0;
  for (let lane = 0; lane < 4; lane++) {
    set(laneHigh[lane] as number, laneLow[lane] as number);
    rotate(LANE_ROTATION[lane] as number);
    add(h, l);
    h = high;
    l = low;
  }
  for (let lane = 0; lane < 4; lane++) {
    set(0, 0);
    round(laneHigh[lane] as number, laneLow[lane] as number);
    xor(h, l);
    multiply(P1H, P1L);
    add(P4H, P4L);
    h = high;
    l = low;
  }
}

/** The hash of `text`, whose characters are bytes (latin1), as an unsigned 64-bit number. */
export function xxHash64(text: string): bigint {
  const length = text.length;
  let at = 0;
  if (length >= 32) {
    at = stripes(text);
    mergeLanes();
  } else {
    set(P5H, P5L);
  }
  add(0, length);
  for (; at + 8 <= length; at += 8) {
    const h = high;
    const l = low;
    set(0, 0);
    round(read32(text, at + 4), read32(text, at));
    xor(h, l);
    rotate(27);
    multiply(P1H, P1L);
    add(P4H, P4L);
  }
  if (at + 4 <= length) {
    const h = high;
    const l = low;
    set(0, read32(text, at));
    multiply(P1H, P1L);
    xor(h, l);
    rotate(23);
    multiply(P2H, P2L);
    add(P3H, P3L);
    at += 4;
  }
  for (; at < length; at++) {
    const h = high;
    const l = low;
    set(0, text.charCodeAt(at) & 0xff);
    multiply(P5H, P5L);
    xor(h, l);
    rotate(11);
    multiply(P1H, P1L);
  }
  shiftMix(33);
  multiply(P2H, P2L);
  shiftMix(29);
  multiply(P3H, P3L);
  shiftMix(32);
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
