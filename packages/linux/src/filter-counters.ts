import { type Family, readAddress } from "@ha/base";
import { LITTLE_ENDIAN, nativeSockets } from "./socket-door.ts";
import { SystemError, systemError } from "./system-error.ts";
import { ebpfFilter, SENDER_KEY_SIZE } from "./vrrp-filter.ts";
import {
  type KernelFilter,
  REJECT_REASONS,
  type RejectedCounts,
  type RejectedSender,
  type RejectReason,
} from "./vrrp-transport.ts";

const BPF_MAP_TYPE_ARRAY = 2;
const BPF_MAP_TYPE_LRU_HASH = 9;
const BPF_PROG_TYPE_SOCKET_FILTER = 1;
/** How many senders are told apart; the kernel forgets the ones that were quiet longest. */
const SENDER_LIMIT = 1024;

/** The two kernel maps of one socket's filter. They outlive the programs that write them. */
export class FilterCounters {
  readonly #family: Family;
  readonly #totals: number;
  readonly #senders: number;
  #closed = false;

  private constructor(family: Family, totals: number, senders: number) {
    this.#family = family;
    this.#totals = totals;
    this.#senders = senders;
  }

  /** Or why the kernel gives no maps: `EPERM` without CAP_BPF and in most containers, `ENOSYS`. */
  static create(family: Family): FilterCounters | SystemError {
    const native = nativeSockets();
    const totals = native.bpfMapCreate(BPF_MAP_TYPE_ARRAY, 4, 8, REJECT_REASONS.length);
    if (totals < 0) return systemError("create a BPF map", totals);
    const senders = native.bpfMapCreate(BPF_MAP_TYPE_LRU_HASH, SENDER_KEY_SIZE, 8, SENDER_LIMIT);
    if (senders < 0) {
      native.close(totals);
      return systemError("create a BPF map", senders);
    }
    return new FilterCounters(family, totals, senders);
  }

  /** Calls `attach` with the descriptor of the loaded program, which is closed afterwards. */
  withProgram(
    filter: KernelFilter,
    protocol: number,
    attach: (fd: number) => SystemError | undefined,
  ): SystemError | undefined {
    const native = nativeSockets();
    const kind = { family: this.#family, protocol };
    const program = ebpfFilter(filter, kind, { totals: this.#totals, senders: this.#senders });
    if (program === undefined) {
      return new SystemError("load the advert filter", "E2BIG", {
        detail: "too many virtual routers and sources for one filter",
      });
    }
    const fd = native.bpfProgramLoad(BPF_PROG_TYPE_SOCKET_FILTER, program, undefined);
    if (fd < 0) {
      const log = new Uint8Array(65_536);
      native.bpfProgramLoad(BPF_PROG_TYPE_SOCKET_FILTER, program, log);
      const words = new TextDecoder().decode(log.subarray(0, Math.max(0, log.indexOf(0))));
      const last = words.trim().split("\n").slice(-3).join(" | ");
      const failure = systemError("load the advert filter", fd);
      return new SystemError(failure.operation, failure.code, last === "" ? {} : { detail: last });
    }
    const failure = attach(fd);
    native.close(fd);
    return failure;
  }

  read(): RejectedCounts {
    return { counted: true, total: this.#readTotals(), bySender: this.#readSenders() };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    nativeSockets().close(this.#totals);
    nativeSockets().close(this.#senders);
  }

  #readTotals(): Map<RejectReason, number> {
    const total = new Map<RejectReason, number>();
    const key = new Uint8Array(4);
    const value = new Uint8Array(8);
    for (const [i, reason] of REJECT_REASONS.entries()) {
      new DataView(key.buffer).setUint32(0, i, LITTLE_ENDIAN);
      if (nativeSockets().bpfMapLookup(this.#totals, key, value) < 0) continue;
      const count = counter(value);
      if (count > 0) total.set(reason, count);
    }
    return total;
  }

  #readSenders(): RejectedSender[] {
    const native = nativeSockets();
    const senders: RejectedSender[] = [];
    const value = new Uint8Array(8);
    let key: Uint8Array | undefined;
    // The limit also ends a walk that never does, since the map changes under us.
    for (let i = 0; i < SENDER_LIMIT; i++) {
      const next = new Uint8Array(SENDER_KEY_SIZE);
      if (native.bpfMapNextKey(this.#senders, key, next) < 0) break;
      key = next;
      if (native.bpfMapLookup(this.#senders, key, value) < 0) continue;
      senders.push({
        source: readAddress(key, 0, this.#family),
        vrid: key[16] as number,
        reason: REJECT_REASONS[key[17] as number] ?? "other",
        count: counter(value),
      });
    }
    return senders;
  }
}

function counter(value: Uint8Array): number {
  return Number(new DataView(value.buffer).getBigUint64(0, LITTLE_ENDIAN));
}
