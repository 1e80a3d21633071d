/**
 * Header blocks for both ends of the test bench (RFC 7541). It shares nothing with the proxy's own: fields are written as
 * literals that touch no table, and what a proxy wrote is read by the letter of the RFC.
 */

/** A field line; bytes as latin1. */
export type Field = readonly [name: string, value: string];

/** Literals without indexing and without Huffman coding: the bytes are those of the case. */
export function encodeFields(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), encodeString(name), encodeString(value)]));
}

function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([encodeInteger(bytes.length, 7), bytes]);
}

function encodeInteger(value: number, prefix: number): Buffer {
  const limit = 2 ** prefix - 1;
  if (value < limit) return Buffer.from([value]);
  const bytes = [limit];
  let rest = value - limit;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

const STATIC_NAMES =
  ":authority,:method GET,:method POST,:path /,:path /index.html,:scheme http,:scheme https,:status 200,:status 204,:status 206,:status 304,:status 400,:status 404,:status 500,accept-charset,accept-encoding gzip, deflate,accept-language,accept-ranges,accept,access-control-allow-origin,age,allow,authorization,cache-control,content-disposition,content-encoding,content-language,content-length,content-location,content-range,content-type,cookie,date,etag,expect,expires,from,host,if-match,if-modified-since,if-none-match,if-range,if-unmodified-since,last-modified,link,location,max-forwards,proxy-authenticate,proxy-authorization,range,referer,refresh,retry-after,server,set-cookie,strict-transport-security,transfer-encoding,user-agent,vary,via,www-authenticate";

const STATIC: readonly Field[] = STATIC_NAMES.split(/,(?! )/).map((entry) => {
  const space = entry.indexOf(" ");
  return space < 0 ? [entry, ""] : [entry.slice(0, space), entry.slice(space + 1)];
});

/** Lengths of the Huffman codes of the bytes 0 to 255 and of EOS (RFC 7541, appendix B), as runs of `length` or `length*count`. */
const CODE_LENGTHS =
  "13 23 28*7 24 30 28*2 30 28*8 30 28*9 6 10*2 12 13 6 8 11 10*2 8 11 8 6*3 5*3 6*7 7 8 15 6 12 10 13 6 7*22 8 7 8 13 19 13 14 6 15 5 6 5 6 5 6*3 5 7*2 6*3 5 6 7 6 5*2 6 7*5 15 11 14 13 28 20 22 20*2 22*3 23 22 23*5 24 23 24*2 22 23 24 23*4 21 22 23 22 23*2 24 22 21 20 22*2 23*2 21 23 22*2 24 21 22 23*2 21*2 22 21 23 22 23*2 20 22*3 23 22*2 23 26*2 20 19 22 23 22 25 26*3 27*2 26 24 25 19 21 26 27*2 26 27 24 21*2 26*2 28 27*3 20 24 20 21 22 21*2 23 22*2 25*2 24*2 26 23 26 27 26*2 27*5 28 27*5 26 30";

/** The code is canonical: lengths alone give it. Keys are the length and the code. */
const SYMBOLS: ReadonlyMap<string, number> = canonical();

function canonical(): Map<string, number> {
  const lengths = CODE_LENGTHS.split(" ").flatMap((run) => {
    const [length = 0, count = 1] = run.split("*").map(Number);
    return Array.from({ length: count }, () => length);
  });
  const symbols = new Map<string, number>();
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    code *= 2;
    lengths.forEach((own, symbol) => {
      if (own === length) symbols.set(`${length}:${code++}`, symbol);
    });
  }
  return symbols;
}

function decodeHuffman(bytes: Buffer): string {
  const out: number[] = [];
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      const symbol = SYMBOLS.get(`${++length}:${code}`);
      if (symbol === undefined) continue;
      out.push(symbol);
      code = 0;
      length = 0;
    }
  }
  if (length > 7 || code !== 2 ** length - 1) throw new Error("malformed Huffman padding");
  return Buffer.from(out).toString("latin1");
}

const DEFAULT_TABLE_SIZE = 4096;

/** Reads the header blocks of one connection, in order. Throws on what the RFC forbids. */
export class HeaderReader {
  #table: Field[] = [];
  #limit = DEFAULT_TABLE_SIZE;
  #bytes = Buffer.alloc(0);
  #pos = 0;

  read(block: Buffer): Field[] {
    this.#bytes = Buffer.from(block);
    this.#pos = 0;
    const fields: Field[] = [];
    while (this.#pos < this.#bytes.length) {
      const first = this.#bytes[this.#pos] ?? 0;
      if (first >= 0x80) fields.push(this.#entry(this.#integer(7)));
      else if (first >= 0x40) {
        const field = this.#literal(6);
        this.#table.unshift(field);
        this.#evict();
        fields.push(field);
      } else if (first >= 0x20) {
        this.#limit = this.#integer(5);
        if (this.#limit > DEFAULT_TABLE_SIZE) throw new Error("table size above what was announced");
        this.#evict();
      } else fields.push(this.#literal(4));
    }
    return fields;
  }

  #entry(index: number): Field {
    const field = index <= STATIC.length ? STATIC[index - 1] : this.#table[index - STATIC.length - 1];
    if (field === undefined) throw new Error(`no table entry ${index}`);
    return field;
  }

  #literal(prefix: number): Field {
    const index = this.#integer(prefix);
    return [index === 0 ? this.#string() : this.#entry(index)[0], this.#string()];
  }

  #string(): string {
    const huffman = (this.#bytes[this.#pos] ?? 0) >= 0x80;
    const length = this.#integer(7);
    const bytes = this.#bytes.subarray(this.#pos, this.#pos + length);
    if (bytes.length < length) throw new Error("a string beyond its block");
    this.#pos += length;
    return huffman ? decodeHuffman(bytes) : bytes.toString("latin1");
  }

  #integer(prefix: number): number {
    const limit = 2 ** prefix - 1;
    let value = (this.#bytes[this.#pos++] ?? 0) & limit;
    if (value < limit) return value;
    for (let shift = 1; ; shift *= 128) {
      const byte = this.#bytes[this.#pos++];
      if (byte === undefined) throw new Error("an integer beyond its block");
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  }

  #evict(): void {
    let size = this.#table.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    for (; size > this.#limit; this.#table.length--) {
      const [name = "", value = ""] = this.#table.at(-1) ?? [];
      size -= name.length + value.length + 32;
    }
  }
}
