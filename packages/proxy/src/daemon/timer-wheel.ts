/** No timer set. */
const NEVER = Number.POSITIVE_INFINITY;
/** Milliseconds of one bucket, and how many there are: 16 seconds round. */
const WIDTH = 4;
const BUCKETS = 4096;

/** What a timer wakes. */
export interface TimerOwner {
  /** Its time has come. The timer is not set any more. */
  timedOut(timer: number): void;
}

/**
 * Many timers that are mostly put off before they fire, as inactivity limits are. Putting one off writes one
 * number: it stays in its bucket and is looked at again there. Times are milliseconds of the ring's clock.
 */
export class TimerWheel {
  #owners: (TimerOwner | undefined)[] = [];
  #deadlines = new Float64Array(256).fill(NEVER);
  /** Where the timer is linked, which may be sooner than its deadline; -1 is nowhere. */
  #buckets = new Int32Array(256).fill(-1);
  #next = new Int32Array(256).fill(-1);
  #previous = new Int32Array(256).fill(-1);
  readonly #heads = new Int32Array(BUCKETS).fill(-1);
  readonly #free: number[] = [];
  /** The first tick not yet looked at. */
  #tick: number;
  #soonest = NEVER;
  #set = 0;

  /** @param now The clock's reading. */
  constructor(now: number) {
    this.#tick = Math.floor(now / WIDTH);
  }

  /** When `run` must be called at the latest: may be sooner than any deadline, never later. */
  get soonest(): number {
    return this.#soonest;
  }

  /** Timers that exist. A leak counter. */
  get count(): number {
    return this.#owners.length - this.#free.length;
  }

  create(owner: TimerOwner): number {
    const free = this.#free.pop();
    if (free !== undefined) {
      this.#owners[free] = owner;
      return free;
    }
    const timer = this.#owners.length;
    this.#owners.push(owner);
    if (timer === this.#deadlines.length) this.#grow();
    return timer;
  }

  destroy(timer: number): void {
    this.#unlink(timer);
    this.#deadlines[timer] = NEVER;
    this.#owners[timer] = undefined;
    this.#free.push(timer);
  }

  /** Sets or moves the timer to a time. */
  set(timer: number, deadline: number): void {
    this.#deadlines[timer] = deadline;
    const bucket = this.#buckets[timer] as number;
    // Never the bucket that may be running: it would be found a round later only.
    const tick = Math.max(Math.floor(deadline / WIDTH), this.#tick) + 1;
    if (bucket >= 0) {
      // Later than where it is linked: it will be found there and moved on.
      if (deadline >= (this.#linkedAt[timer] as number)) return;
      this.#unlink(timer);
    }
    this.#link(timer, tick);
  }

  /** The timer will not fire. It may stay linked, to be set again cheaply. */
  clear(timer: number): void {
    this.#deadlines[timer] = NEVER;
  }

  isSet(timer: number): boolean {
    return this.#deadlines[timer] !== NEVER;
  }

  deadlineOf(timer: number): number {
    return this.#deadlines[timer] as number;
  }

  /** Fires what is due. */
  run(now: number): void {
    if (now < this.#soonest) return;
    const last = Math.floor(now / WIDTH);
    // After a long sleep each bucket is looked at once, whatever the number of rounds slept through.
    let tick = Math.max(this.#tick, last - BUCKETS + 1);
    for (; tick <= last; tick++) {
      this.#tick = tick;
      this.#runBucket(tick & (BUCKETS - 1), now);
    }
    this.#tick = last + 1;
    this.#findSoonest();
  }

  #runBucket(bucket: number, now: number): void {
    let timer = this.#heads[bucket] as number;
    // Detached first: a timer that is set anew in this bucket must wait for the next round.
    this.#heads[bucket] = -1;
    while (timer >= 0) {
      const next = this.#next[timer] as number;
      this.#buckets[timer] = -1;
      this.#set--;
      const deadline = this.#deadlines[timer] as number;
      if (deadline > now) {
        if (deadline !== NEVER)
          this.#link(timer, Math.max(Math.floor(deadline / WIDTH) + 1, this.#tick + 1));
      } else {
        this.#due.push(timer);
      }
      timer = next;
    }
    // An owner may set, clear or destroy any timer, those that are due as well among them.
    for (const due of this.#due) {
      if (!((this.#deadlines[due] as number) <= now)) continue;
      this.#deadlines[due] = NEVER;
      this.#owners[due]?.timedOut(due);
    }
    this.#due.length = 0;
  }

  readonly #due: number[] = [];
  #linkedAt = new Float64Array(256);

  #link(timer: number, tick: number): void {
    const at = Math.min(tick, this.#tick + BUCKETS - 1);
    const bucket = at & (BUCKETS - 1);
    const head = this.#heads[bucket] as number;
    this.#next[timer] = head;
    this.#previous[timer] = -1;
    if (head >= 0) this.#previous[head] = timer;
    this.#heads[bucket] = timer;
    this.#buckets[timer] = bucket;
    this.#linkedAt[timer] = (at - 1) * WIDTH;
    this.#set++;
    if (at * WIDTH < this.#soonest) this.#soonest = at * WIDTH;
  }

  #unlink(timer: number): void {
    const bucket = this.#buckets[timer] as number;
    if (bucket < 0) return;
    const next = this.#next[timer] as number;
    const previous = this.#previous[timer] as number;
    if (next >= 0) this.#previous[next] = previous;
    if (previous >= 0) this.#next[previous] = next;
    else this.#heads[bucket] = next;
    this.#buckets[timer] = -1;
    this.#set--;
  }

  #findSoonest(): void {
    this.#soonest = NEVER;
    if (this.#set === 0) return;
    for (let i = 0; i < BUCKETS; i++) {
      if (this.#heads[(this.#tick + i) & (BUCKETS - 1)] === -1) continue;
      this.#soonest = (this.#tick + i) * WIDTH;
      return;
    }
  }

  #grow(): void {
    const size = this.#deadlines.length * 2;
    const grow = (old: Int32Array) => {
      const grown = new Int32Array(size).fill(-1);
      grown.set(old);
      return grown;
    };
    const deadlines = new Float64Array(size).fill(NEVER);
    deadlines.set(this.#deadlines);
    this.#deadlines = deadlines;
    const linkedAt = new Float64Array(size);
    linkedAt.set(this.#linkedAt);
    this.#linkedAt = linkedAt;
    this.#buckets = grow(this.#buckets);
    this.#next = grow(this.#next);
    this.#previous = grow(this.#previous);
  }
}
