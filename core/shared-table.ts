/**
 * Records in memory that all threads of the process see, found by name: the same name gives the same record in every
 * thread. Finding, making and freeing take a lock for a few microseconds, which happens when a configuration arrives;
 * what stands in a record is then read and written without it.
 *
 * A record is two words of its key, `sharedWords` that anyone may change, and one lane for each thread, which that thread
 * alone writes. What a thread holds stands in its lane and nowhere else, so that a thread that dies can be made to give
 * it back by clearing its lanes, wherever it was stopped.
 */

export interface TableSpec {
  /** Records at most. */
  readonly capacity: number;
  readonly sharedWords: number;
  /** Words of each lane; the first counts how often its thread has acquired the record. */
  readonly laneWords: number;
  /** How many words of a lane, from its first, stand for something that its thread holds and a dead one gives back. */
  readonly heldWords: number;
  /**
   * A shared word that one thread at a time may claim by putting a value into it that it also puts into the second word
   * of its lane. A dead thread's claim is set to 0.
   */
  readonly claim: number | null;
}

/** Ahead of the directory: the lock (0: free, else the thread's number and one), records ever used, the first free one. */
const LOCK = 0;
const USED = 1;
const FREE = 2;
const HEADER = 16;

/** A slot of the directory: two words of the key, and the record's number and one. */
const SLOT = 3;

/** Of a free record the second is 0, and the first is the number of the next free one, and one. */
const KEY_WORDS = 2;

/** How long a thread waits for the lock: far longer than anyone alive holds it. */
const PATIENCE_MS = 50;
const SPINS = 200;

/** How much memory a table takes, bytes. What is never touched costs nothing. */
export function tableBytes(spec: TableSpec, threads: number): number {
  return 4 * (HEADER + slotsFor(spec) * SLOT + spec.capacity * recordWords(spec, threads));
}

function slotsFor({ capacity }: TableSpec): number {
  return 2 ** Math.ceil(Math.log2(capacity * 2));
}

function recordWords({ sharedWords, laneWords }: TableSpec, threads: number): number {
  return KEY_WORDS + sharedWords + threads * laneWords;
}

export class SharedTable {
  readonly cells: Int32Array;
  readonly #spec: TableSpec;
  readonly #threads: number;
  readonly #thread: number;
  readonly #mask: number;
  readonly #records: number;
  readonly #stride: number;

  /** `buffer` has `tableBytes`; `thread` is 0 to `threads` − 1. */
  constructor(buffer: SharedArrayBuffer, spec: TableSpec, threads: number, thread: number) {
    this.cells = new Int32Array(buffer);
    this.#spec = spec;
    this.#threads = threads;
    this.#thread = thread;
    this.#mask = slotsFor(spec) - 1;
    this.#records = HEADER + slotsFor(spec) * SLOT;
    this.#stride = recordWords(spec, threads);
  }

  /**
   * The record of that name: where its shared words begin in `cells`. Each call is to be followed by one `release`. `init`
   * fills in a record that is new; until it has returned no other thread finds the record. −1: there is no room.
   */
  acquire(name: string, init?: (at: number) => void): number {
    const [low, high] = hashOf(name);
    if (!this.#lock()) return -1;
    try {
      let at = this.#find(low, high);
      if (at === -1) {
        at = this.#take();
        if (at === -1 && this.#sweep() > 0) at = this.#take();
        if (at === -1) return -1;
        this.cells[at - KEY_WORDS] = low;
        this.cells[at - 1] = high;
        init?.(at);
        this.#enter(low, high, at);
      }
      this.#add(this.lane(at), 1);
      return at;
    } finally {
      this.#unlock();
    }
  }

  /** Gives a record back; with the last thread's last use its name is forgotten. */
  release(at: number): void {
    const lane = this.lane(at);
    if ((this.cells[lane] as number) > 1) {
      this.#add(lane, -1);
      return;
    }
    this.#clearLane(at, this.#thread);
    // Without the lock nothing is lost: who next finds the table full collects what nobody uses.
    if (!this.#lock()) return;
    try {
      if (this.#unused(at)) this.#forget(at);
    } finally {
      this.#unlock();
    }
  }

  /** Where a thread's lane of a record begins; absent: this thread's own. */
  lane(at: number, thread: number = this.#thread): number {
    return at + this.#spec.sharedWords + thread * this.#spec.laneWords;
  }

  /** Records that are in use. */
  get size(): number {
    let size = 0;
    for (let i = 0; i < (this.cells[USED] as number); i++) if (this.#isUsed(this.#at(i))) size++;
    return size;
  }

  /** Gives back all that a thread holds that has ended and will not come back under this number before this returns. */
  releaseThread(thread: number): void {
    Atomics.compareExchange(this.cells, LOCK, thread + 1, 0);
    const used = Atomics.load(this.cells, USED);
    for (let i = 0; i < used; i++) {
      const at = this.#at(i);
      if (Atomics.load(this.cells, this.lane(at, thread)) > 0) this.#clearLane(at, thread);
    }
    if (!this.#lock()) return;
    try {
      this.#sweep();
    } finally {
      this.#unlock();
    }
  }

  #clearLane(at: number, thread: number): void {
    const { claim, heldWords } = this.#spec;
    const lane = this.lane(at, thread);
    if (claim !== null) {
      const mine = Atomics.load(this.cells, lane + 1);
      if (mine !== 0) Atomics.compareExchange(this.cells, at + claim, mine, 0);
    }
    // The first word last: while it is not 0 the record is this thread's.
    for (let word = heldWords - 1; word >= 0; word--) Atomics.store(this.cells, lane + word, 0);
  }

  #at(record: number): number {
    return this.#records + record * this.#stride + KEY_WORDS;
  }

  #isUsed(at: number): boolean {
    return !this.#unused(at);
  }

  #unused(at: number): boolean {
    for (let thread = 0; thread < this.#threads; thread++) {
      if (Atomics.load(this.cells, this.lane(at, thread)) > 0) return false;
    }
    return true;
  }

  #find(low: number, high: number): number {
    const { cells } = this;
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = HEADER + slot * SLOT;
      const record = cells[entry + 2] as number;
      if (record === 0) return -1;
      if (cells[entry] !== low || cells[entry + 1] !== high) continue;
      const at = this.#at(record - 1);
      // A thread that died while it was moving entries may have left one twice.
      if (cells[at - KEY_WORDS] === low && cells[at - 1] === high) return at;
    }
  }

  /** A record that nobody uses, all words 0; −1 if there is none. */
  #take(): number {
    const { cells } = this;
    const free = cells[FREE] as number;
    let at: number;
    if (free !== 0) {
      at = this.#at(free - 1);
      cells[FREE] = cells[at - KEY_WORDS] as number;
    } else {
      const used = cells[USED] as number;
      if (used === this.#spec.capacity) return -1;
      at = this.#at(used);
      Atomics.store(cells, USED, used + 1);
    }
    cells.fill(0, at - KEY_WORDS, at - KEY_WORDS + this.#stride);
    return at;
  }

  #enter(low: number, high: number, at: number): void {
    const { cells } = this;
    let slot = low & this.#mask;
    while (cells[HEADER + slot * SLOT + 2] !== 0) slot = (slot + 1) & this.#mask;
    const entry = HEADER + slot * SLOT;
    cells[entry] = low;
    cells[entry + 1] = high;
    cells[entry + 2] = (at - KEY_WORDS - this.#records) / this.#stride + 1;
  }

  /** Takes a record out of the directory and puts it among the free ones. */
  #forget(at: number): void {
    const { cells } = this;
    const record = (at - KEY_WORDS - this.#records) / this.#stride + 1;
    let slot = (cells[at - KEY_WORDS] as number) & this.#mask;
    for (; ; slot = (slot + 1) & this.#mask) {
      const found = cells[HEADER + slot * SLOT + 2];
      if (found === record) break;
      // Free already.
      if (found === 0) return;
    }
    this.#closeGap(slot);
    cells[at - 1] = 0;
    cells[at - KEY_WORDS] = cells[FREE] as number;
    cells[FREE] = record;
  }

  /** Moves the entries that follow, so that each can still be reached from where its key says. */
  #closeGap(gap: number): void {
    const { cells } = this;
    let empty = gap;
    for (let slot = (gap + 1) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = HEADER + slot * SLOT;
      if (cells[entry + 2] === 0) break;
      const home = (cells[entry] as number) & this.#mask;
      // It may move unless its home lies after the gap.
      if (((slot - home) & this.#mask) < ((slot - empty) & this.#mask)) continue;
      cells.copyWithin(HEADER + empty * SLOT, entry, entry + SLOT);
      empty = slot;
    }
    cells[HEADER + empty * SLOT + 2] = 0;
  }

  /** Frees what no thread uses; returns how many records that were. */
  #sweep(): number {
    const { cells } = this;
    let freed = 0;
    for (let i = 0; i < (cells[USED] as number); i++) {
      const at = this.#at(i);
      if (cells[at - 1] === 0 || this.#isUsed(at)) continue;
      this.#forget(at);
      freed++;
    }
    return freed;
  }

  #add(word: number, amount: number): void {
    Atomics.add(this.cells, word, amount);
  }

  /** False if the lock could not be had: a thread died with it, and nobody has said so yet. */
  #lock(): boolean {
    const { cells } = this;
    const mine = this.#thread + 1;
    for (let i = 0; i < SPINS; i++) if (Atomics.compareExchange(cells, LOCK, 0, mine) === 0) return true;
    for (let waited = 0; waited < PATIENCE_MS; waited++) {
      Atomics.wait(cells, LOCK, Atomics.load(cells, LOCK) || -1, 1);
      if (Atomics.compareExchange(cells, LOCK, 0, mine) === 0) return true;
    }
    return false;
  }

  #unlock(): void {
    Atomics.store(this.cells, LOCK, 0);
    Atomics.notify(this.cells, LOCK, 1);
  }
}

/**
 * Two words that stand for a name. Two names of a mesh of 10,000 have the same ones with a chance of 1 in 10¹¹, and would
 * then share a limit. The second is never 0.
 */
function hashOf(name: string): [low: number, high: number] {
  let low = 0x2545f491;
  let high = 0x41c6ce57;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    low = Math.imul(low ^ code, 0x9e3779b1);
    high = Math.imul(high ^ code, 0x5f356495);
    low ^= low >>> 15;
    high ^= high >>> 13;
  }
  low = Math.imul(low ^ (high >>> 16), 0x85ebca6b);
  high = Math.imul(high ^ (low >>> 13), 0xc2b2ae35);
  return [(low ^ (high >>> 15)) | 0, high | 1];
}
