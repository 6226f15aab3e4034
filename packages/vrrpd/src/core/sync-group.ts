import type { GroupOrder } from "./machine.ts";
import type { FaultReason } from "./state.ts";
import type { VirtualRouter } from "./virtual-router.ts";

/**
 * Instances that move together. keepalived.conf(5), vrrp_sync_group. Each member runs its own election; the group holds
 * the first back until all want to be master, and takes all along when one yields or fails.
 */
export class SyncGroup {
  readonly name: string;
  readonly #members: VirtualRouter[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get members(): readonly VirtualRouter[] {
    return this.#members;
  }

  /** For `VirtualRouter`, which adds itself. */
  add(member: VirtualRouter): void {
    this.#members.push(member);
  }

  /** An instance that vanished from the configuration, once it has been shut down. */
  remove(member: VirtualRouter): void {
    const at = this.#members.indexOf(member);
    if (at !== -1) this.#members.splice(at, 1);
    this.faultsChanged();
  }

  /** A group starts as master only if every member owns its addresses. */
  get allOwners(): boolean {
    return this.#members.every((member) => member.router.priority === 255);
  }

  /** No member has heard of a new master since the daemon was away. */
  get mayResume(): boolean {
    return this.#members.every((member) => !member.heardOther);
  }

  /** The member's down timer is over: whether the others also want to be master, or are. */
  mayBecomeMaster(candidate: VirtualRouter): boolean {
    return this.#members.every((member) => member === candidate || member.wantsMaster);
  }

  /** One member's faults are everybody's. */
  faultsFor(member: VirtualRouter): readonly FaultReason[] {
    const reasons: FaultReason[] = [];
    for (const other of this.#members) {
      if (other !== member && other.ownFaults.length > 0) {
        reasons.push({ type: "sync-group", member: other.router.name });
      }
    }
    return reasons;
  }

  faultsChanged(): void {
    for (const member of this.#members) member.groupFaultsChanged();
  }

  /** Something that one member saw or did concerns the others. */
  tell(from: VirtualRouter, order: GroupOrder): void {
    for (const member of this.#members) {
      if (member !== from) member.handle({ type: "group", to: order });
    }
  }

  /** All give their addresses away make-before-break, and stay backup. */
  switchover(): void {
    for (const member of this.#members) member.handle({ type: "switchover" });
  }

  switchoverBack(): void {
    for (const member of this.#members) member.handle({ type: "switchover-back" });
  }
}
