import type { Host, HostProcess } from "./host.ts";
import { now, until } from "./wall-clock.ts";

/** One host gets or loses one address. Times as in `Frame`. */
export interface AddressChange {
  readonly time: number;
  readonly host: string;
  readonly address: string;
  readonly held: boolean;
}

/** Who holds which addresses over time, as the kernels of the hosts report it. */
export class Holders {
  readonly changes: AddressChange[] = [];
  readonly #monitors = new Map<string, HostProcess>();
  readonly #onChange: (change: AddressChange) => void;
  /** Hosts without power: their kernels would keep the address, but nobody can reach it. */
  readonly #off = new Set<string>();

  private constructor(onChange: (change: AddressChange) => void) {
    this.#onChange = onChange;
  }

  /** Follows no host yet, see `watch`, and tells of each change as it is seen. */
  static following(onChange: (change: AddressChange) => void): Holders {
    return new Holders(onChange);
  }

  static async open(hosts: Iterable<Host>): Promise<Holders> {
    const holders = new Holders(() => {});
    await Promise.all([...hosts].map((host) => holders.watch(host)));
    return holders;
  }

  /** No more is heard of a host: it is going away. */
  unwatch(host: string): void {
    this.#monitors.get(host)?.kill("SIGKILL");
    this.#monitors.delete(host);
  }

  /** Names of the hosts that hold `address` now. */
  of(address: string): string[] {
    return holdersAt(this.changes, address, Number.POSITIVE_INFINITY);
  }

  /** Waits until exactly these hosts hold the address. */
  wait(address: string, hosts: readonly string[], limitMs: number): Promise<true> {
    const wanted = [...hosts].sort().join();
    return until(`${address} to be held by ${wanted || "nobody"}`, limitMs, () =>
      this.of(address).sort().join() === wanted ? true : undefined,
    );
  }

  /** From now on nothing that the host's kernel holds counts. */
  powerOff(host: string): void {
    this.#off.add(host);
    for (const address of new Set(this.changes.map((change) => change.address))) {
      if (this.of(address).includes(host)) this.#push({ time: now(), host, address, held: false });
    }
  }

  /** How long in all, in milliseconds, so many hosts held the address: 0 nobody, 2 two at once. */
  heldBy(count: number, address: string, since: number, end = now()): number {
    return this.#spells(count, address, since, end).reduce((sum, spell) => sum + spell, 0);
  }

  /** The longest time in one piece, in milliseconds, in which so many hosts held the address. */
  longestHeldBy(count: number, address: string, since: number, end = now()): number {
    return Math.max(0, ...this.#spells(count, address, since, end));
  }

  #spells(count: number, address: string, since: number, end: number): number[] {
    const times = this.changes
      .filter((change) => change.address === address && change.time > since && change.time < end)
      .map(({ time }) => time)
      .sort((a, b) => a - b);
    const spells: number[] = [];
    let spell = 0;
    let from = since;
    for (const time of [...times, end]) {
      if (holdersAt(this.changes, address, from).length === count) {
        spell += time - from;
      } else if (spell > 0) {
        spells.push(spell / 1000);
        spell = 0;
      }
      from = time;
    }
    return [...spells, spell / 1000];
  }

  /** Leaves out all but the last change of each host and address: a long run must not grow. */
  forget(): void {
    const last = new Map<string, AddressChange>();
    for (const change of this.changes) {
      const key = `${change.host} ${change.address}`;
      const known = last.get(key);
      if (known === undefined || change.time >= known.time) last.set(key, change);
    }
    this.changes.splice(0, this.changes.length, ...last.values());
  }

  close(): void {
    for (const monitor of this.#monitors.values()) monitor.kill("SIGKILL");
  }

  /** Follows a host that has not been followed so far, and reports what it holds. */
  async watch(host: Host): Promise<void> {
    const monitor = host.spawnBeside("ip", ["-ts", "-o", "monitor", "address"]);
    this.#monitors.set(host.name, monitor);
    let told = false;
    let unread = "";
    monitor.stdout.on("data", (chunk: Buffer) => {
      unread += chunk;
      const end = unread.lastIndexOf("\n") + 1;
      for (const line of unread.slice(0, end).split("\n")) this.#note(host.name, line);
      unread = unread.slice(end);
      told ||= end > 0;
    });
    monitor.stderr.resume();
    // The monitor says nothing until something changes: an address of ours on the loopback shows that it listens.
    await until(`ip monitor on ${host.name}`, 5_000, async () => {
      await host.ip("addr add 127.77.77.77/32 dev lo", "addr del 127.77.77.77/32 dev lo");
      return told;
    });
    const before = await host.run("ip", ["-o", "addr", "show"]);
    for (const line of before.stdout.split("\n"))
      this.#note(host.name, `[1970-01-01T00:00:00.000000] ${line}`);
  }

  #note(host: string, line: string): void {
    const match = /^\[(\S+)\] (Deleted )?\d+: \S+\s+inet6? ([0-9a-f.:]+)/.exec(line);
    if (match === null || this.#off.has(host)) return;
    const [, stamp = "", deleted, address = ""] = match;
    // `Date.parse` knows milliseconds only.
    const time = Date.parse(`${stamp.slice(0, 23)}Z`) * 1000 + Number(stamp.slice(23));
    this.#push({ time, host, address, held: deleted === undefined });
  }

  #push(change: AddressChange): void {
    this.changes.push(change);
    this.#onChange(change);
  }
}

function holdersAt(changes: readonly AddressChange[], address: string, time: number): string[] {
  const last = new Map<string, AddressChange>();
  for (const change of changes) {
    if (change.address !== address || change.time > time) continue;
    const known = last.get(change.host);
    if (known === undefined || change.time >= known.time) last.set(change.host, change);
  }
  return [...last.values()].filter(({ held }) => held).map(({ host }) => host);
}
