/**
 * A hashed timer wheel: one platform timer however many requests wait. Arming and cancelling are O(1) and allocate
 * nothing when the owner embeds its `WheelTimer`. Resolution is one tick: a timer never fires early and fires at most
 * two ticks late.
 */
import type { Clock, Timer } from "./clock.ts";

const SLOTS = 512;

/** A timer that its owner keeps and arms again and again. */
export class WheelTimer {
  /** Set while armed. */
  deadline = 0;
  prev: WheelTimer | null = null;
  next: WheelTimer | null = null;
  slot = -1;
  readonly callback: () => void;

  constructor(callback: () => void) {
    this.callback = callback;
  }

  get armed(): boolean {
    return this.slot >= 0;
  }
}

export class TimerWheel {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #slots: (WheelTimer | null)[] = new Array<WheelTimer | null>(SLOTS).fill(null);
  #armed = 0;
  #tick: number;
  #driver: Timer | null = null;
  /** The tick at which the driver looks next. */
  #wakeTick = 0;

  constructor(clock: Clock, tickMs = 5) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#tick = Math.floor(clock.now() / tickMs);
  }

  /** How many timers are armed. */
  get size(): number {
    return this.#armed;
  }

  /** The clock's time, monotonic ms. */
  now(): number {
    return this.#clock.now();
  }

  /** Arms `timer` to fire once after `delayMs`; one that is armed already moves to the new time. */
  arm(timer: WheelTimer, delayMs: number): void {
    if (timer.slot >= 0) this.cancel(timer);
    const now = this.#clock.now();
    if (this.#armed === 0) this.#tick = Math.floor(now / this.#tickMs);
    timer.deadline = now + delayMs;
    // Rounded up, so that a timer never fires early.
    const due = Math.max(this.#tick + 1, Math.ceil(timer.deadline / this.#tickMs));
    const slot = due % SLOTS;
    const head = this.#slots[slot] as WheelTimer | null;
    timer.slot = slot;
    timer.prev = null;
    timer.next = head;
    if (head) head.prev = timer;
    this.#slots[slot] = timer;
    this.#armed++;
    if (this.#driver === null) this.#drive();
    else if (due < this.#wakeTick) {
      this.#driver.cancel();
      this.#drive();
    }
  }

  /** A one-off timer, for places that are not on the hot path. */
  after(delayMs: number, callback: () => void): WheelTimer {
    const timer = new WheelTimer(callback);
    this.arm(timer, delayMs);
    return timer;
  }

  cancel(timer: WheelTimer): void {
    if (timer.slot < 0) return;
    if (timer.prev) timer.prev.next = timer.next;
    else this.#slots[timer.slot] = timer.next;
    if (timer.next) timer.next.prev = timer.prev;
    timer.prev = null;
    timer.next = null;
    timer.slot = -1;
    this.#armed--;
  }

  /** Sleeps until the next slot that holds a timer, so that a wheel of distant deadlines hardly ever wakes. */
  #drive(): void {
    let ahead = 1;
    while (ahead < SLOTS && this.#slots[(this.#tick + ahead) % SLOTS] === null) ahead++;
    this.#wakeTick = this.#tick + ahead;
    this.#driver = this.#clock.after(this.#wakeTick * this.#tickMs - this.#clock.now(), () => {
      this.#driver = null;
      this.#turn();
      if (this.#armed > 0 && this.#driver === null) this.#drive();
    });
  }

  #turn(): void {
    const now = this.#clock.now();
    const target = Math.floor(now / this.#tickMs);
    // After a long stall every slot is looked at once, not once per missed tick.
    const from = Math.max(this.#tick + 1, target - SLOTS + 1);
    for (let tick = from; tick <= target; tick++) {
      this.#tick = tick;
      let timer = this.#slots[tick % SLOTS] as WheelTimer | null;
      while (timer) {
        const next: WheelTimer | null = timer.next;
        if (timer.deadline <= now) {
          this.cancel(timer);
          timer.callback();
          // The callback may have cancelled `next`: begin the slot again.
          timer = this.#slots[tick % SLOTS] as WheelTimer | null;
        } else timer = next;
      }
    }
    this.#tick = Math.max(this.#tick, target);
  }
}
