import { readFileSync, unlinkSync } from "node:fs";
import {
  type Clock,
  formatAddress,
  type Micros,
  micros,
  milliseconds,
  parseAddress,
  type Timer,
} from "@ha/base";
import { type NetworkState, removeAddress } from "@ha/linux";
import type { Config } from "../core/config/model.ts";
import { mayResume, type ResumeRecord } from "../core/resume.ts";
import type { Router } from "../core/router.ts";
import { writeDump } from "./dump-file.ts";
import type { PlacedAddress } from "./holdings.ts";
import type { Log } from "./log.ts";

/** What is to be known of an instance. */
export interface HeldInstance {
  readonly name: string;
  /** Where addresses go that name no device. */
  readonly addressDevice: string | undefined;
  readonly router: { readonly router: Router };
  readonly held: { readonly holdings: { readonly addresses: readonly PlacedAddress[] } };
}

interface RecordedInstance {
  readonly name: string;
  readonly lastAdvert: number;
  readonly lastResume?: number;
  /** `192.168.1.100/32 eth0` */
  readonly addresses: readonly string[];
}

interface RecordFile {
  readonly bootId: string;
  readonly instances: readonly RecordedInstance[];
}

/**
 * What is held, in a file in `/run` that outlives daemon and guard: the next start goes on as master if it comes soon
 * enough, and else removes what was left behind, whatever its configuration says by then.
 */
export class HeldRecord {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #bootId: string;
  readonly #monotonic: () => Micros;
  readonly #held = new Map<string, HeldInstance>();
  readonly #lastAdvert = new Map<string, Micros>();
  readonly #lastResume = new Map<string, Micros>();
  readonly #before: RecordFile | undefined;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** A write has been asked for, and not begun. */
  #asked = false;
  #failed = false;

  constructor(options: {
    readonly path: string;
    readonly clock: Clock;
    readonly log: Log;
    readonly bootId: string;
    readonly monotonic: () => Micros;
  }) {
    this.#path = options.path;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#bootId = options.bootId;
    this.#monotonic = options.monotonic;
    const before = readRecord(options.path);
    // Another boot of the host has forgotten all addresses.
    this.#before = before?.bootId === this.#bootId ? before : undefined;
    for (const { name, lastResume } of this.#before?.instances ?? []) {
      if (lastResume !== undefined) this.#lastResume.set(name, micros(lastResume));
    }
  }

  /** Whether the instance was master so lately that it may go on; notes that it does. */
  takeResume(instance: HeldInstance): boolean {
    const old = this.#before?.instances.find(({ name }) => name === instance.name);
    if (old === undefined) return false;
    const now = this.#monotonic();
    const record: ResumeRecord = {
      bootId: this.#bootId,
      lastAdvert: micros(old.lastAdvert),
      lastResume: old.lastResume === undefined ? undefined : micros(old.lastResume),
    };
    const may = mayResume(record, { router: instance.router.router, now, bootId: this.#bootId });
    if (may) this.#lastResume.set(instance.name, now);
    return may;
  }

  /** Removes recorded addresses that the present configuration does not know any more. */
  async removeForgotten(network: NetworkState, config: Config): Promise<void> {
    const wanted = new Set(
      config.instances.flatMap(({ virtual_ipaddress, virtual_ipaddress_excluded }) =>
        [...virtual_ipaddress, ...virtual_ipaddress_excluded].map(({ address }) =>
          formatAddress(address),
        ),
      ),
    );
    for (const text of this.#before?.instances.flatMap(({ addresses }) => addresses) ?? []) {
      const [prefix = "", device = ""] = text.split(" ");
      const [addressText = "", length = ""] = prefix.split("/");
      const address = parseAddress(addressText);
      const link = network.linkByName(device);
      if (address === undefined || link === undefined || wanted.has(addressText)) continue;
      if (!network.hasAddress(address)) continue;
      this.#log.notice(`removing ${text}, which an earlier run left behind`);
      const spec = { ifindex: link.index, prefix: { address, length: Number(length) } };
      const problem = await network.apply(removeAddress(spec));
      if (problem !== undefined) this.#log.error(problem.message);
    }
  }

  onHeld(instance: HeldInstance, held: boolean): void {
    if (held) {
      this.#held.set(instance.name, instance);
      this.#lastAdvert.set(instance.name, this.#monotonic());
    } else this.#held.delete(instance.name);
    this.#write();
  }

  /** An advert of ours went out. */
  onAdvert(instance: HeldInstance): void {
    this.#lastAdvert.set(instance.name, this.#monotonic());
    // The record may be a little older than the truth: it then allows less.
    this.#timer ??= this.#clock.after(WRITE_PAUSE, () => {
      this.#timer = undefined;
      this.#write();
    });
  }

  /** After an orderly end nothing is left behind. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.#writing;
    try {
      unlinkSync(this.#path);
    } catch {
      // It was never written.
    }
  }

  /** Once for all that changes until the last write has ended: 255 routers may change hands at once. */
  #write(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#writing = this.#writing.then(async () => {
      this.#asked = false;
      try {
        await writeDump(this.#path, JSON.stringify(this.#content()));
      } catch (error) {
        if (!this.#failed) {
          this.#log.warning(`cannot write ${this.#path}: ${String(error)}`);
        }
        this.#failed = true;
      }
    });
  }

  #content(): RecordFile {
    return {
      bootId: this.#bootId,
      instances: [...this.#held.values()].map((instance) => {
        const lastResume = this.#lastResume.get(instance.name);
        return {
          name: instance.name,
          lastAdvert: this.#lastAdvert.get(instance.name) ?? 0,
          ...(lastResume === undefined ? {} : { lastResume }),
          addresses: instance.held.holdings.addresses.map(
            ({ config }) =>
              `${formatAddress(config.address)}/${config.length} ${config.dev ?? instance.addressDevice ?? ""}`,
          ),
        };
      }),
    };
  }
}

/** At most so often the file is written because of adverts. */
const WRITE_PAUSE = milliseconds(250);

/** Which boot of the host this is: times on the monotonic clock mean nothing in another. */
export function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}

function readRecord(path: string): RecordFile | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isRecordFile(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecordFile(value: unknown): value is RecordFile {
  return (
    isObject(value) &&
    typeof value["bootId"] === "string" &&
    Array.isArray(value["instances"]) &&
    value["instances"].every(
      (entry: unknown) =>
        isObject(entry) &&
        typeof entry["name"] === "string" &&
        typeof entry["lastAdvert"] === "number" &&
        Array.isArray(entry["addresses"]) &&
        entry["addresses"].every((address: unknown) => typeof address === "string"),
    )
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
