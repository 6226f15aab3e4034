import assert from "node:assert/strict";
import { describe } from "node:test";
import { announces, answeredBy, milliseconds, now, sleep } from "@ha/lab/namespaces";
import { type InstancePlan, keepalivedConf } from "../support/keepalived-conf.ts";
import {
  ADDRESSES,
  ADDRESSES_6,
  type Pair,
  type Side,
  VIRTUAL_ADDRESS,
  VIRTUAL_ADDRESS_6,
} from "../support/pair.ts";
import { assertBetween, masterDown, scenario } from "../support/scenario.ts";
import { dissect } from "../support/tshark.ts";

// Goal: on every transport the two daemons hear each other, one of them is master, and when its host loses power the
// other serves the client as soon as the RFC lets it.
// Method: lb1 has the better priority; power goes right after one of its adverts, the worst moment. Times are those of
// the switch's kernel. Then tshark judges adverts of both hosts field by field.

interface Transport {
  readonly name: string;
  readonly plan: Omit<InstancePlan, "priority" | "addresses" | "unicast">;
  readonly unicast?: boolean;
  readonly family?: 4 | 6;
  readonly lines?: readonly string[];
  readonly vmac?: string;
}

const PRIORITY = { lb1: 150, lb2: 100 } as const;
const PASSWORD = "YourPassword"; // Longer than the 8 characters that go into a packet.

const TRANSPORTS: readonly Transport[] = [
  {
    name: "version 2 by multicast with a password",
    plan: { version: 2, interval: 1, password: PASSWORD },
  },
  {
    name: "version 2 by unicast with a password",
    unicast: true,
    plan: { version: 2, interval: 1, password: PASSWORD },
  },
  { name: "version 2 by multicast without a password", plan: { version: 2, interval: 1 } },
  { name: "version 3 every second", plan: { version: 3, interval: 1 } },
  { name: "version 3 by unicast every 100 ms", unicast: true, plan: { version: 3, interval: 0.1 } },
  { name: "version 3 every 100 ms", plan: { version: 3, interval: 0.1 } },
  { name: "version 3 over IPv6 every second", family: 6, plan: { version: 3, interval: 1 } },
  {
    name: "version 3 over IPv6 by unicast every 100 ms",
    family: 6,
    unicast: true,
    plan: { version: 3, interval: 0.1 },
  },
  {
    name: "version 2 from a virtual hardware address",
    plan: { version: 2, interval: 1 },
    lines: ["use_vmac"],
    vmac: "00:00:5e:00:01:33",
  },
];

describe("power loss", { concurrency: 5 }, () => {
  for (const transport of TRANSPORTS) {
    const { name, plan, family = 4 } = transport;
    const timers = {
      version: plan.version ?? 2,
      interval: plan.interval ?? 1,
      priority: PRIORITY.lb2,
    };
    const address = family === 4 ? VIRTUAL_ADDRESS : VIRTUAL_ADDRESS_6;
    scenario(
      `${name}: the backup takes over when the RFC says, and adverts are good in every field`,
      async (pair, kinds) => {
        await pair.startBoth(kinds, {
          lb1: configOf("lb1", transport),
          lb2: configOf("lb2", transport),
        });
        const calm = now();
        await sleep(1500);
        const last = await pair.nextAdvert("lb1");
        await pair.powerOff("lb1");

        const first = await pair.nextAdvert("lb2", { since: last.time });
        const limit = masterDown(timers);
        assertBetween(
          "takeover after the last advert, ms",
          (first.time - last.time) / 1000,
          limit - 5,
          limit + 150,
        );
        const served = await pair.answeredBy("lb2", 2000, last.time);
        assertBetween(
          "service after the last advert, ms",
          (served.time - last.time) / 1000,
          limit - 5,
          limit + 300,
        );
        assert.deepEqual(answeredBy(pair.answers(calm)), ["lb1", "lb2"]);
        assert.equal(pair.holders.heldBy(2, address, calm), 0, "never two holders");
        assert.equal(
          pair.adverts("lb2", { since: calm, end: first.time }).length,
          0,
          "a backup is silent",
        );

        await sleep(100);
        const announced = pair.lan.capture
          .between(first.time - milliseconds(50))
          .filter((frame) => announces(frame, address));
        assert.equal(
          announced.length,
          5,
          "five announcements at once, as garp_master_repeat has it",
        );
        await checkFields(pair, transport, calm);
      },
      { address, programs: ["tshark"] },
    );
  }
});

function configOf(
  side: Side,
  { plan, unicast = false, family = 4, lines = [] }: Transport,
): string {
  const own = family === 4 ? ADDRESSES : ADDRESSES_6;
  return keepalivedConf([
    {
      ...plan,
      priority: PRIORITY[side],
      // RFC 9568 §5.2.9: the first IPv6 address is link-local.
      addresses: family === 4 ? [VIRTUAL_ADDRESS] : ["fe80::100", VIRTUAL_ADDRESS_6],
      ...(unicast ? { unicast: { from: own[side], to: own[side === "lb1" ? "lb2" : "lb1"] } } : {}),
      lines,
    },
  ]);
}

async function checkFields(pair: Pair, transport: Transport, since: number): Promise<void> {
  const { plan, unicast = false, family = 4, vmac } = transport;
  for (const side of ["lb1", "lb2"] as const) {
    const adverts = pair.adverts(side, { since }).slice(0, 3);
    assert.ok(adverts.length > 0, `adverts of ${side}`);
    const rows = await dissect(pair.lan.capture, adverts, FIELDS);
    const peer = side === "lb1" ? "lb2" : "lb1";
    const interval = plan.interval ?? 1;
    const expected: Partial<Record<Field, string>> = {
      "eth.src": vmac ?? `02:00:00:00:00:0${side === "lb1" ? 1 : 2}`,
      "vrrp.virt_rtr_id": "51",
      "vrrp.version": String(plan.version),
      "vrrp.type": "1",
      "vrrp.prio": String(PRIORITY[side]),
      "vrrp.checksum.status": "1",
      ...(plan.version === 2
        ? {
            "vrrp.adver_int": String(interval),
            "vrrp.auth_type": plan.password === undefined ? "0" : "1",
          }
        : { "vrrp.short_adver_int": String(interval * 100) }),
      ...(plan.password === undefined ? {} : { "vrrp.auth_string": plan.password.slice(0, 8) }),
      ...(family === 4
        ? {
            "ip.src": ADDRESSES[side],
            "ip.dst": unicast ? ADDRESSES[peer] : "224.0.0.18",
            "ip.ttl": "255",
            "ip.checksum.status": "1",
            "vrrp.ip_addr": VIRTUAL_ADDRESS,
            "vrrp.addr_count": "1",
          }
        : {
            "ipv6.src": ADDRESSES_6[side],
            "ipv6.dst": unicast ? ADDRESSES_6[peer] : "ff02::12",
            "vrrp.ipv6_addr": `fe80::100,${VIRTUAL_ADDRESS_6}`,
            "vrrp.addr_count": "2",
            // keepalived leaves unicast to the kernel's default; RFC 9568 §5.1.2.3 wants 255, as ours sends.
            ...(unicast && pair.daemon(side).kind === "keepalived" ? {} : { "ipv6.hlim": "255" }),
          }),
      ...(unicast ? {} : { "eth.dst": family === 4 ? "01:00:5e:00:00:12" : "33:33:00:00:00:12" }),
    };
    for (const row of rows) {
      const asked = Object.fromEntries(
        Object.keys(expected).map((key) => [key, row[key as Field]]),
      );
      assert.deepEqual(asked, expected, `an advert of ${side} as tshark reads it`);
    }
  }
}

type Field = (typeof FIELDS)[number];
const FIELDS = [
  ...(["eth.src", "eth.dst", "ip.src", "ip.dst", "ip.ttl", "ip.checksum.status"] as const),
  ...(["ipv6.src", "ipv6.dst", "ipv6.hlim"] as const),
  ...(["vrrp.version", "vrrp.type", "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.addr_count"] as const),
  ...(["vrrp.adver_int", "vrrp.short_adver_int", "vrrp.auth_type", "vrrp.auth_string"] as const),
  ...(["vrrp.checksum.status", "vrrp.ip_addr", "vrrp.ipv6_addr"] as const),
] as const;
