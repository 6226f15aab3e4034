/**
 * A daemon for the guard's tests: master of one virtual router from the start, without an election.
 *
 *   guarded-daemon.js JSON
 *
 * The JSON is a `GuardedDaemonOptions`. It prints a line for each thing that happens: `fresh PID GUARDPID`, `resumed PID SENT RESUME`.
 */
import process from "node:process";
import { internetChecksum, ip, milliseconds } from "@ha/base";
import { addAddress, removeAddress } from "../address-request.ts";
import { winnerProgram } from "../classic-filter.ts";
import { adoptGuard, type Guard, type GuardedRouter, prepareHold, startGuard } from "../guard.ts";
import { ipPacket } from "../ip-packet.ts";
import { openVrrpSocket } from "../raw-socket.ts";
import { openRouteNetlink } from "../route-netlink.ts";

export interface GuardedDaemonOptions {
  readonly device: string;
  readonly source: string;
  readonly address: string;
  readonly intervalMs: number;
  readonly heartbeatMs: number;
  readonly leaveMs: number;
  readonly graceMs: number;
  readonly crashWindowMs?: number;
  /** What the guard starts: this program again, another, or nothing. */
  readonly successor: "self" | "none" | readonly string[];
  readonly forwardSignals?: boolean;
}

const GROUP = ip("224.0.0.18");
const VRID = 51;

const options = JSON.parse(process.argv[2] ?? "{}") as GuardedDaemonOptions;
const say = (...words: readonly (string | number)[]): void => {
  process.stdout.write(`${words.join(" ")}\n`);
};
const network = openRouteNetlink({ onError: (error) => say("error", error.message) });
const link = network.linkByName(options.device);
if (link === undefined) throw new Error(`no interface ${options.device}`);
const device = { name: link.name, index: link.index };
const source = ip(options.source);
const interval = milliseconds(options.intervalMs);
const address = { ifindex: link.index, prefix: { address: ip(options.address), length: 32 } };

/** Version 3 with pseudo-header, one address. */
function advert(priority: number): Uint8Array {
  const bytes = new Uint8Array(12);
  bytes.set([0x31, VRID, priority, 1, 0, options.intervalMs / 10]);
  bytes.set(address.prefix.address.bytes, 8);
  const pseudo = Uint8Array.from([...source.bytes, ...GROUP.bytes, 0, 112, 0, bytes.length]);
  new DataView(bytes.buffer).setUint16(6, internetChecksum(pseudo, bytes));
  return ipPacket({ source, destination: GROUP, protocol: 112, ttl: 255 }, bytes);
}

const guardOptions = {
  command:
    options.successor === "self"
      ? [process.execPath, ...process.argv.slice(1)]
      : options.successor === "none"
        ? []
        : options.successor,
  environment: { PATH: process.env["PATH"] ?? "" },
  heartbeatTimeout: milliseconds(options.heartbeatMs),
  crashWindow: milliseconds(options.crashWindowMs ?? 60_000),
  forwardSignals: options.forwardSignals ?? false,
  onExit: (reason: string) => say("guard-gone", reason),
  onGone: (id: number) => say("gone", id),
};
const router: GuardedRouter = {
  id: 1,
  interval,
  adverts: [[{ ifindex: link.index, packet: advert(100) }]],
  repeat: true,
  farewell: [[{ ifindex: link.index, packet: advert(0) }]],
  removals: [removeAddress(address)],
  winners: [
    {
      ifindex: link.index,
      family: 4,
      program: winnerProgram({
        family: 4,
        vrid: VRID,
        version: 3,
        minTtl: 255,
        ownAddresses: [source],
      }),
    },
  ],
  leaveAfter: milliseconds(options.leaveMs),
  graceAfter: milliseconds(options.graceMs),
  resume: new TextEncoder().encode(`from ${process.pid}`),
};

const adopted = await adoptGuard(guardOptions);
let guard: Guard;
if (adopted === undefined) {
  guard = startGuard(guardOptions);
  // The guard is told before the address is there.
  guard.hold(prepareHold(router));
  await network.apply(addAddress(address));
  say("fresh", process.pid, guard.pid);
} else {
  guard = adopted.guard;
  for (const held of adopted.held) {
    say("resumed", process.pid, held.sent, new TextDecoder().decode(held.resume));
  }
  guard.hold(prepareHold(router));
}

const socket = openVrrpSocket({
  family: 4,
  interface: device,
  onPacket: () => undefined,
  onError: (error) => say("error", error.message),
});
const send = (): void => {
  socket.sendPacket(advert(100));
  guard.sent(1);
};
send();
setInterval(send, options.intervalMs);
setInterval(() => guard.beat(), Math.max(5, options.heartbeatMs / 4));
process.on("SIGTERM", () => {
  say("stopping", process.pid);
  void network
    .apply(removeAddress(address))
    .then(() => {
      guard.release(1);
      return guard.close();
    })
    .then(() => process.exit(0));
});
