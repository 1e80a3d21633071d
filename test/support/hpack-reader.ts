/** A reader of header blocks (RFC 7541) for tests, slow and strict; it shares nothing with the proxy's codec. */

export type Field = readonly [name: string, value: string];

/** Appendix A; a value follows its name after a blank. */
const STATIC: readonly Field[] = (
  ":authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|" +
  ":status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|" +
  "accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|" +
  "content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|" +
  "cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|" +
  "last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|" +
  "server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate"
)
  .split("|")
  .map((entry): Field => {
    const blank = entry.indexOf(" ");
    return blank < 0 ? [entry, ""] : [entry.slice(0, blank), entry.slice(blank + 1)];
  });

/** Appendix B: lengths of the codes of the bytes 0 to 255, in base 36. The code is canonical, so lengths are all of it. */
const LENGTHS =
  "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f56565666577666567" +
  "655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklm" +
  "llnmmppooqnqrqqrrrrrsrrrrrq";

/** By length and code. */
const SYMBOLS = new Map<string, number>();

function fillSymbols(): void {
  const lengths = [...LENGTHS].map((digit) => Number.parseInt(digit, 36));
  const order = lengths.map((_, symbol) => symbol).sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
  let code = 0;
  let before = 0;
  for (const symbol of order) {
    const length = lengths[symbol] ?? 0;
    code *= 2 ** (length - before);
    SYMBOLS.set(`${length}:${code}`, symbol);
    code++;
    before = length;
  }
}

fillSymbols();

export function readHuffman(bytes: Buffer): string {
  let text = "";
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      const symbol = SYMBOLS.get(`${++length}:${code}`);
      if (symbol === undefined) continue;
      text += String.fromCharCode(symbol);
      code = 0;
      length = 0;
    }
  }
  if (length > 7 || code !== 2 ** length - 1) throw new Error("Huffman padding is not the beginning of EOS");
  return text;
}

/** Reads the header blocks of one direction of a connection, in their order. */
export class HpackReader {
  #dynamic: Field[] = [];
  #limit = 4096;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  read(block: Buffer): Field[] {
    this.#bytes = block;
    this.#at = 0;
    const fields: Field[] = [];
    while (this.#at < block.length) {
      const first = block[this.#at] as number;
      if (first & 0x80) fields.push(this.#entry(this.#integer(7)));
      else if (first & 0x40) fields.push(this.#remember(this.#literal(6)));
      else if (first & 0x20) {
        this.#limit = this.#integer(5);
        this.#evict();
      } else fields.push(this.#literal(4));
    }
    return fields;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Error("the header block ends within a field");
    return byte;
  }

  #integer(bits: number): number {
    const most = 2 ** bits - 1;
    let value = this.#byte() & most;
    if (value < most) return value;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  #text(): string {
    const huffman = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const bytes = this.#bytes.subarray(this.#at, (this.#at += length));
    if (bytes.length < length) throw new Error("the header block ends within a text");
    return huffman ? readHuffman(bytes) : bytes.toString("latin1");
  }

  #entry(index: number): Field {
    const field = index <= STATIC.length ? STATIC[index - 1] : this.#dynamic[index - STATIC.length - 1];
    if (field === undefined) throw new Error(`there is no header field ${index}`);
    return field;
  }

  #literal(bits: number): Field {
    const index = this.#integer(bits);
    const name = index === 0 ? this.#text() : this.#entry(index)[0];
    return [name, this.#text()];
  }

  #remember(field: Field): Field {
    this.#dynamic.unshift(field);
    this.#evict();
    return field;
  }

  #evict(): void {
    const size = (): number => this.#dynamic.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    while (size() > this.#limit) this.#dynamic.pop();
  }
}
