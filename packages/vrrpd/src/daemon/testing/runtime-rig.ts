import { type Clock, formatAddress, type IpAddress, ip, micros, seededRandom } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import { type Announcer, addAddress } from "@ha/linux";
import { MemoryLan, MemoryNetwork } from "@ha/linux/testing";
import { loadConfig } from "../../core/config/load.ts";
import { memoryHost } from "../../core/config/memory-host.ts";
import type { Config } from "../../core/config/model.ts";
import { digests } from "../digests.ts";
import { Log } from "../log.ts";
import type { NotifyContext } from "../notifier.ts";
import { Runtime } from "../runtime.ts";

export const RIG_ADDRESS = ip("192.0.2.1");

export function configOf(text: string): Config {
  const loaded = loadConfig("test.conf", { host: memoryHost({ "test.conf": text }) });
  if (loaded === undefined || loaded.refusesStart) {
    throw new Error(loaded?.diagnostics.map(({ message }) => message).join("\n") ?? "not read");
  }
  return loaded.config;
}

/** Everything of a daemon but its process: one host in memory, with the interfaces eth0 and eth1. */
export class RuntimeRig {
  readonly network = new MemoryNetwork();
  readonly lan: MemoryLan;
  readonly clock: SimClock;
  /** `address 192.0.2.100`, one each time that it was announced. */
  readonly announced: string[] = [];
  runtime: Runtime | undefined;

  constructor(clock = new SimClock()) {
    this.clock = clock;
    this.lan = new MemoryLan(clock);
  }

  async start(config: Config): Promise<Runtime> {
    const { network, clock } = this;
    for (const [index, name] of [
      [2, "eth0"],
      [3, "eth1"],
    ] as const) {
      network.setLink(index, { name });
      const prefix = { address: index === 2 ? RIG_ADDRESS : ip("198.51.100.1"), length: 24 };
      await network.apply(addAddress({ ifindex: index, prefix }));
    }
    network.drain();
    const hosts = ["eth0", "eth1"].map((name, i) =>
      this.lan.plug({ name, index: i + 2 }, [i === 0 ? RIG_ADDRESS : ip("198.51.100.1")]),
    );
    const nothing = (): undefined => undefined;
    this.runtime = new Runtime(config, {
      clock: clock as Clock,
      utc: () => micros(1_800_000_000_000_000 + clock.now()),
      random: seededRandom(1),
      log: new Log([], false),
      network,
      transport: {
        open: (options) => {
          const host = hosts.find(({ interface: { name } }) => name === options.interface?.name);
          if (host === undefined) throw new Error(`no ${options.interface?.name}`);
          return host.transport.open(options);
        },
      },
      openAnnouncer: ({ interface: device }) => this.#announcer(device),
      openEchoListener: () => ({ watch: nothing, close: nothing }),
      openLinkBeat: () => ({ carrier: () => true, close: nothing }),
      digests,
      notify: quietNotify(),
      inheritedScripts: {},
      logAddresses: false,
      proxyState: () => "up",
      hooks: {
        onReport: nothing,
        onHeld: nothing,
        beforeTimer: nothing,
        onSend: () => false,
        onChanged: nothing,
        isKept: () => false,
        mayResume: () => false,
        inMaintenance: () => false,
        onPacket: nothing,
        prepare: nothing,
        beforeUpdate: nothing,
        onKernel: nothing,
      },
    });
    await this.runtime.start();
    await this.settle();
    return this.runtime;
  }

  async reload(config: Config): Promise<void> {
    await this.runtime?.reload(config, quietNotify());
    await this.settle();
  }

  /** All that is under way has happened: the kernel has answered, and what was dropped has let go. */
  async settle(): Promise<void> {
    for (let i = 0; i < 4; i++) {
      for (const { held } of this.runtime?.instances ?? []) await held.idle();
      this.network.drain();
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }

  /** What is in the kernel, and what each instance believes. */
  look(): unknown {
    const addresses = this.network
      .addresses()
      .map(({ address, ifindex, prefixLength, label, flags, scope }) =>
        [ifindex, formatAddress(address), prefixLength, label, flags, scope].join(" "),
      )
      .sort();
    const instances = (this.runtime?.instances ?? [])
      .map((instance) => ({
        name: instance.name,
        state: instance.router.state.name,
        priority: instance.effectivePriority,
        faults: instance.router.faults,
        held: instance.held.held,
        router: instance.router.router,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return { addresses, entries: [...this.network.entries.keys()].sort(), instances };
  }

  close(): void {
    this.runtime?.close();
    this.network.close();
  }

  #announcer(device: { readonly name: string; readonly index: number }): Announcer {
    const announce = (address: IpAddress): undefined => {
      this.announced.push(formatAddress(address));
      return undefined;
    };
    return {
      interface: device,
      closed: false,
      gratuitousArp: announce,
      unsolicitedAdvertisement: announce,
      announce,
      ask: () => undefined,
      watch: () => undefined,
      drain: () => 0,
      close: () => undefined,
    };
  }
}

function quietNotify(): NotifyContext {
  return {
    log: new Log([], false),
    routerId: "test",
    fifos: [],
    mailer: undefined,
    mailFaults: false,
    limit: micros(0),
    serialize: true,
  };
}
