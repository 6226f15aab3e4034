import { type IpAddress, type Micros, micros, sameAddress } from "@ha/base";
import { Admission } from "./admission.ts";
import { decodeAdvert } from "./advert.ts";
import {
  AdvertEncoder,
  type EncodeContext,
  isRepeatable,
  type PreparedAdverts,
  type Sequences,
} from "./advert-encoder.ts";
import { AH_SIZE } from "./ah.ts";
import { type Circumstances, sameFaults } from "./circumstances.ts";
import { type Action, type AdvertKind, type Event, type Standing, step } from "./machine.ts";
import type { IncomingPacket, Ports } from "./ports.ts";
import type { Report } from "./report.ts";
import { PRIORITY_LEAVING, PRIORITY_OWNER, PROTOCOL_AH, type Router } from "./router.ts";
import type { FaultReason, State, TimerName } from "./state.ts";
import { type RefusalReason, Statistics } from "./statistics.ts";
import type { SyncGroup } from "./sync-group.ts";
import { cancelSlot, newTimerSlots, type TimerSlot } from "./timer-slots.ts";
import { pauseLimit } from "./transition.ts";

/**
 * The shell round the machine: events in, effects out through `Ports`, in order. No decision is made here but when a
 * timer is due, and whether it was too late to be believed.
 */
export class VirtualRouter {
  readonly statistics = new Statistics();
  readonly group: SyncGroup | undefined;
  readonly #ports: Ports;
  readonly #admission: Admission;
  readonly #encoder: AdvertEncoder;
  readonly #machine: typeof step;
  readonly #slots: Readonly<Record<TimerName, TimerSlot>>;
  readonly #queue: Event[] = [];
  readonly #refusedKinds = new Set<RefusalReason>();
  #router: Router;
  #circumstances: Circumstances;
  #standing: Standing;
  #context: EncodeContext;
  #state: State = { name: "initialize" };
  #busy = false;
  /** A master spoke before the start: nothing is to be resumed. */
  #heardOther = false;
  #wants = false;
  /** The moment that timers set now count from: that of the timer which fired, so that adverts do not drift. */
  #timerBase: Micros | undefined;
  /** When the advert that is being handled arrived: the master lived then, and not only when we came to read it. */
  #heardAt: Micros | undefined;
  /** When an advert of ours last went out, by whomever. */
  #lastSpoken = micros(0);
  #maxLateness = micros(0);
  #differsFrom: IpAddress | undefined;
  #since = micros(0);

  /** @param machine Exchanged by tests that plant a bug, and by models of other daemons. */
  constructor(
    router: Router,
    ports: Ports,
    circumstances: Circumstances,
    { group, machine = step }: { group?: SyncGroup | undefined; machine?: typeof step } = {},
  ) {
    this.#machine = machine;
    this.#router = router;
    this.#ports = ports;
    this.#circumstances = circumstances;
    this.group = group;
    this.#admission = new Admission(ports.digests);
    this.#encoder = new AdvertEncoder(ports.digests);
    this.#slots = newTimerSlots((slot) => this.#fire(slot));
    group?.add(this);
    this.#standing = this.#computeStanding();
    this.#context = this.#computeContext();
  }

  get router(): Router {
    return this.#router;
  }

  get state(): State {
    return this.#state;
  }

  /** When the present state was entered, on the router's clock. */
  get since(): Micros {
    return this.#since;
  }

  get standing(): Standing {
    return this.#standing;
  }

  get circumstances(): Circumstances {
    return this.#circumstances;
  }

  get ownFaults(): readonly FaultReason[] {
    return this.#circumstances.faults;
  }

  /** Every reason against being master, the group's included. */
  get faults(): readonly FaultReason[] {
    const { faults } = this.#circumstances;
    const ofGroup = this.group?.faultsFor(this) ?? [];
    return ofGroup.length === 0 ? faults : [...faults, ...ofGroup];
  }

  /** Master, or a backup whose down timer is over. */
  get wantsMaster(): boolean {
    return this.#state.name === "master" || (this.#state.name === "backup" && this.#wants);
  }

  /** Another master spoke before the start. */
  get heardOther(): boolean {
    return this.#heardOther;
  }

  /** When the down timer of a backup runs out; undefined in other states. */
  get masterDownAt(): Micros | undefined {
    return this.#slots["master-down"].deadline;
  }

  /** Every timer that is set, and its moment. */
  *timers(): Iterable<readonly [TimerName, Micros]> {
    for (const { name, deadline } of Object.values(this.#slots)) {
      if (deadline !== undefined) yield [name, deadline];
    }
  }

  /** The worst delay of a timer since it was last asked for. */
  takeMaxLateness(): Micros {
    const worst = this.#maxLateness;
    this.#maxLateness = micros(0);
    return worst;
  }

  /** When an advert of ours last went out. */
  get lastSpoken(): Micros {
    return this.#lastSpoken;
  }

  start({ resume = false }: { resume?: boolean } = {}): void {
    this.#refreshStanding();
    if (resume) {
      // What has come in meanwhile may be a new master's first word.
      this.#ports.drain(() => {
        const undisputed = this.group?.mayResume ?? !this.#heardOther;
        this.handle({ type: "startup", resume: undisputed });
        if (!undisputed) this.group?.tell(this, "backup");
      });
    } else {
      this.handle({ type: "startup", resume });
    }
  }

  /** A packet of this router's interface, family and identifier. No timer moves before it is fully validated. */
  receive(packet: IncomingPacket): void {
    const { clock, utc } = this.#ports;
    const now = clock.now();
    this.#wake(now);
    const result = this.#admission.admit(this.#router, packet, {
      source: this.#standing.source,
      utc,
    });
    if (!result.ok) {
      this.#refuse(packet.from, result.error);
      if (result.error === "own-echo") this.#echo(packet);
      return;
    }
    const { advert, addressesDiffer } = result.value;
    this.statistics.heard(packet.from, advert.priority, now);
    if (this.#state.name === "initialize" && advert.priority !== PRIORITY_LEAVING) {
      this.#heardOther = true;
    }
    if (addressesDiffer) this.#addressesDiffer(packet.from);
    // What lay in the kernel for longer than an interval is the last that a full socket took, and says nothing of the
    // time since: then we listen for a whole down timer anew, and nobody is taken to have left only just now.
    const waited = packet.waited ?? micros(0);
    const stale = waited > advert.interval;
    if (stale && advert.priority === PRIORITY_LEAVING && this.#state.name === "backup") return;
    this.handle({
      type: "advert",
      at: stale ? now : micros(now - waited),
      from: packet.from,
      priority: advert.priority,
      interval: advert.interval,
    });
  }

  /** One event, and everything that follows from it. Events that come meanwhile wait their turn. */
  handle(event: Event): void {
    if (this.#busy) {
      this.#queue.push(event);
      return;
    }
    this.#busy = true;
    try {
      this.#step(event);
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#step(next);
      }
    } finally {
      this.#busy = false;
    }
  }

  /**
   * New settings: state and running timers stay (but for those of the advertisement interval), and what has become
   * different counts from the next step on.
   */
  reconfigure(router: Router): void {
    const old = this.#router;
    this.#router = router;
    this.#admission.forgetAdverts();
    this.#encoder.forget();
    this.#differsFrom = undefined;
    this.#refreshStanding();
    if (router.interval !== old.interval) this.handle({ type: "interval-changed" });
  }

  /** Trackers, link or source have changed. Tell everything that is so now. */
  update(circumstances: Circumstances): void {
    const before = this.#circumstances;
    this.#circumstances = circumstances;
    if (before.source !== circumstances.source) this.#encoder.forget();
    const changed = !sameFaults(before.faults, circumstances.faults);
    this.#apply(changed);
    if (changed) this.group?.faultsChanged();
  }

  /** For `SyncGroup`. */
  groupFaultsChanged(): void {
    this.#apply(false);
  }

  /** A beacon or the guard has sent so many of the prepared adverts, the last one at this moment. */
  sentElsewhere(count: number, last: Micros): void {
    this.#lastSpoken = last;
    const { destination } = this.#router;
    this.#encoder.sentElsewhere(
      count,
      destination.type === "unicast" ? destination.peers.length : 1,
    );
  }

  /** Before the start: what a predecessor's prepared adverts have used up. */
  continueFrom(sequences: Sequences): void {
    this.#encoder.continueFrom(sequences);
  }

  /** Whether one advert is like the next: no digest binds it to its moment. */
  get repeatable(): boolean {
    return isRepeatable(this.#router);
  }

  /** Builds ahead what a takeover will send first. */
  prepareFirst(): void {
    if (!this.repeatable) return;
    const { priority } = this.#standing;
    this.#encoder.encode(this.#context, { priority, kind: "extra", utc: this.#ports.utc });
  }

  /** Adverts to be sent while this process is away, at the present priority. */
  prepare(count: number): PreparedAdverts {
    return this.#encoder.prepare(this.#context, {
      priority: this.#standing.priority,
      count,
      utc: this.#ports.utc(),
    });
  }

  /** Ends every timer without a word, as a crash would; the object is of no use after it. For simulations and tests. */
  abandon(): void {
    for (const slot of Object.values(this.#slots)) cancelSlot(slot);
  }

  #step(event: Event): void {
    const before = this.#state;
    const { state, actions } = this.#machine(this.#standing, before, event);
    this.#state = state;
    if (state.name !== before.name) {
      this.#since = this.#ports.clock.now();
      this.#wants = false;
      this.#refusedKinds.clear();
      if (state.name === "master") this.statistics.count("became-master");
      if (before.name === "master") this.statistics.count("released-master");
    }
    if (event.type === "held") this.#wants = true;
    const settled = event.type === "advert" && event.priority !== PRIORITY_LEAVING;
    this.#heardAt = event.type === "advert" ? event.at : undefined;
    for (const action of actions) {
      if (settled && action.type === "set-timer" && action.timer === "master-down")
        this.#wants = false;
      this.#perform(action);
    }
    this.#heardAt = undefined;
    const moved =
      state.name === "master" && before.name !== "master" && before.name !== "initialize";
    if (moved && !(event.type === "group")) this.group?.tell(this, "master");
  }

  #perform(action: Action): void {
    const { addresses, witness } = this.#ports;
    switch (action.type) {
      case "send-advert":
        this.#send(action.priority, action.kind);
        break;
      case "set-timer":
        this.#arm(this.#slots[action.timer], action.after);
        break;
      case "cancel-timer":
        cancelSlot(this.#slots[action.timer]);
        break;
      case "cancel-timers":
        for (const slot of Object.values(this.#slots)) cancelSlot(slot);
        break;
      case "add-addresses":
        addresses.add();
        break;
      case "remove-addresses":
        addresses.remove();
        break;
      case "announce":
        addresses.announce(action.repeat);
        break;
      case "stop-announcing":
        addresses.stopAnnouncing();
        break;
      case "ask-witness":
        witness?.((reachable) => this.handle({ type: "witness", reachable }));
        break;
      case "tell-group":
        this.group?.tell(this, action.order);
        break;
      case "report":
        this.#report(action.report);
        break;
    }
  }

  #report(report: Report): void {
    if (report.type === "master-changed") this.#refusedKinds.clear();
    this.#ports.report(report);
  }

  #send(priority: number, kind: AdvertKind): void {
    const { clock, send, utc } = this.#ports;
    if (!this.#standing.canSend) return;
    for (const packet of this.#encoder.encode(this.#context, { priority, kind, utc })) send(packet);
    this.#lastSpoken = clock.now();
    this.statistics.count("adverts-sent");
    if (priority === PRIORITY_LEAVING) this.statistics.count("priority-zero-sent");
  }

  #refuse(from: IpAddress, reason: RefusalReason): void {
    this.statistics.refused(from, reason);
    const first = !this.#refusedKinds.has(reason);
    this.#refusedKinds.add(reason);
    this.#ports.report({ type: "refused", reason, from, first });
    this.handle({ type: "refused", from, reason });
  }

  #echo(packet: IncomingPacket): void {
    const bytes = packet.protocol === PROTOCOL_AH ? packet.bytes.subarray(AH_SIZE) : packet.bytes;
    const decoded = decodeAdvert(bytes, this.#router, packet);
    if (!decoded.ok || decoded.value.vrid !== this.#router.vrid) return;
    if (decoded.value.priority === PRIORITY_LEAVING) this.handle({ type: "own-farewell" });
  }

  #addressesDiffer(from: IpAddress): void {
    const { skipCheckAddresses } = this.#router;
    const known = this.#differsFrom !== undefined && sameAddress(this.#differsFrom, from);
    if (known && skipCheckAddresses) return;
    this.statistics.count("addresses-differ");
    if (known) return;
    this.#differsFrom = from;
    this.#ports.report({ type: "addresses-differ", from });
  }

  #arm(slot: TimerSlot, after: Micros): void {
    const { clock } = this.#ports;
    const now = clock.now();
    let base = now;
    if (slot === this.#slots.advert) base = this.#timerBase ?? now;
    else if (slot === this.#slots["master-down"]) base = this.#heardAt ?? now;
    slot.generation++;
    slot.deadline = micros(base + after);
    // Nearly always the new deadline is later, and the timer that runs may as well fire and be set again.
    if (slot.timer !== undefined && slot.wakesAt <= slot.deadline) return;
    slot.timer?.cancel();
    slot.wakesAt = slot.deadline;
    slot.timer = clock.after(micros(Math.max(0, slot.deadline - now)), slot.fire);
  }

  #fire(slot: TimerSlot): void {
    const { clock } = this.#ports;
    slot.timer = undefined;
    const { deadline } = slot;
    if (deadline === undefined) return;
    const now = clock.now();
    if (now < deadline) {
      slot.wakesAt = deadline;
      slot.timer = clock.after(micros(deadline - now), slot.fire);
      return;
    }
    const late = micros(now - deadline);
    if (late > this.#maxLateness) this.#maxLateness = late;
    if (slot.name === "advert") {
      if (this.#checkPause(deadline, now, true)) return;
      slot.deadline = undefined;
      this.#timerBase = late < this.#router.interval ? deadline : undefined;
      this.handle(ADVERT_DUE);
      this.#timerBase = undefined;
    } else if (slot.name === "master-down") {
      this.#masterDown(slot, late);
    } else {
      slot.deadline = undefined;
      this.handle({ type: "timer", timer: slot.name });
    }
  }

  /** Before a master is believed dead, everything that has arrived is heard. */
  #masterDown(slot: TimerSlot, late: Micros): void {
    const { generation } = slot;
    this.#ports.drain(() => {
      if (slot.generation !== generation || slot.deadline === undefined) return;
      slot.deadline = undefined;
      const state = this.#state;
      const deaf =
        this.#router.conduct.listenAfterPause &&
        state.name === "backup" &&
        late > state.masterInterval;
      if (deaf) {
        this.#ports.report({ type: "late", by: late, listens: true });
        this.handle({ type: "woke" });
      } else if (this.group !== undefined && !this.group.mayBecomeMaster(this)) {
        this.handle({ type: "held" });
      } else {
        this.handle(MASTER_DOWN);
      }
    });
  }

  /** Whether so much time has passed since an advert was due that others may be master: then listen first. */
  #checkPause(due: Micros, now: Micros, fired: boolean): boolean {
    const router = this.#router;
    const spokenUntil = micros(this.#lastSpoken + router.interval);
    const late = micros(now - Math.max(due, spokenUntil));
    const limit = pauseLimit(router, this.#standing.priority);
    if (late <= router.interval) return false;
    const listens =
      late > limit && (router.conduct.listenAfterPause || router.timerExpiredBackup !== undefined);
    // Between a late timer's deadline and its firing many packets may come: it alone tells.
    if (listens || fired) this.#ports.report({ type: "late", by: late, listens });
    if (!listens) return false;
    this.handle({ type: "woke" });
    // Members of the group have slept as long.
    this.group?.tell(this, "backup");
    return true;
  }

  /** After a pause other things may come before timers: wake first. */
  #wake(now: Micros): void {
    const due = this.#slots.advert.deadline;
    if (due !== undefined && now > due) this.#checkPause(due, now, false);
    const leave = this.#slots.leave.deadline;
    if (leave !== undefined && now > leave + this.#router.interval) this.handle({ type: "woke" });
  }

  #apply(reportFaults: boolean): void {
    this.#wake(this.#ports.clock.now());
    const before = this.#standing;
    this.#refreshStanding();
    const after = this.#standing;
    if (reportFaults && this.#circumstances.faults.length > 0) {
      this.#ports.report({ type: "fault", reasons: this.#circumstances.faults });
    }
    if (this.#state.name === "initialize") return;
    if (before.priority !== after.priority) {
      const { priority: from } = before;
      const { priority: to } = after;
      this.#ports.report({ type: "effective-priority", from, to });
      this.handle({ type: "effective-priority", from, to });
    }
    if (after.faulted && (!before.faulted || (before.canSend && !after.canSend))) {
      this.handle({ type: "fault" });
    } else if (before.faulted && !after.faulted) {
      this.handle({ type: "recovered" });
    }
  }

  #refreshStanding(): void {
    this.#standing = this.#computeStanding();
    this.#context = this.#computeContext();
  }

  #computeStanding(): Standing {
    const { source, linkUp, priority } = this.#circumstances;
    const router = this.#router;
    // With AH a sequence number must be learnt first. observed: keepalived 2.4.3.
    const owner = priority === PRIORITY_OWNER && router.authentication.type !== "ah";
    return {
      router,
      priority,
      source: source ?? (router.family === 4 ? NO_SOURCE_4 : NO_SOURCE_6),
      faulted: this.faults.length > 0,
      canSend: linkUp && source !== undefined,
      startsAsOwner: owner && (this.group?.allOwners ?? true),
    };
  }

  #computeContext(): EncodeContext {
    return {
      router: this.#router,
      from: this.#standing.source,
      usesOldChecksum: (peer) => this.#admission.usesOldChecksum(peer),
      heardAhSequence: () => this.#admission.heardAhSequence,
    };
  }
}

const ADVERT_DUE: Event = { type: "timer", timer: "advert" };
const MASTER_DOWN: Event = { type: "timer", timer: "master-down" };
const NO_SOURCE_4: IpAddress = { family: 4, bytes: new Uint8Array(4) };
const NO_SOURCE_6: IpAddress = { family: 6, bytes: new Uint8Array(16) };
