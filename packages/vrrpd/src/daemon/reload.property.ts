import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "@ha/base";
import fc from "fast-check";
import { configOf, RuntimeRig } from "./testing/runtime-rig.ts";

// Goal: a reload leaves what a fresh start on the new file would, and touches nothing that both files hold.
// Method: two random files; one daemon goes from the one to the other and back, another starts on the first. Network,
// sockets and time are in memory, under the same contracts as the kernel's.

interface Plan {
  readonly vrid: number;
  readonly name: string;
  readonly priority: number;
  readonly addresses: readonly number[];
  readonly device: "eth0" | "eth1";
  readonly interval: number;
  readonly route: boolean;
  readonly lines: readonly string[];
}

const plans = fc.uniqueArray(
  fc.record<Plan>(
    {
      vrid: fc.integer({ min: 1, max: 4 }),
      name: fc.constantFrom("A", "B"),
      // 255 is master at once; the others wait for the down timer, which never runs out here.
      priority: fc.constantFrom(255, 255, 100, 120),
      addresses: fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { minLength: 1 }),
      device: fc.constantFrom("eth0", "eth1"),
      interval: fc.constantFrom(1, 2),
      route: fc.boolean(),
      lines: fc.subarray([
        "garp_master_repeat 2",
        "garp_master_refresh 60",
        "higher_prio_send_advert",
        "lower_prio_no_advert",
        "skip_check_adv_addr",
        "preempt_delay 5",
      ]),
    },
    { noNullPrototype: true },
  ),
  { minLength: 1, maxLength: 4, selector: ({ vrid }) => vrid },
);

function textOf(plan: readonly Plan[]): string {
  const blocks = plan.map(
    ({ vrid, name, priority, addresses, device, interval, route, lines }) =>
      `vrrp_instance VI_${vrid}${name} {
  state ${priority === 255 ? "MASTER" : "BACKUP"}
  interface ${device}
  virtual_router_id ${vrid}
  priority ${priority}
  advert_int ${interval}
  version 3
  ${(priority === 255 ? lines.filter((line) => !line.startsWith("preempt")) : lines).join("\n  ")}
  virtual_ipaddress {
    ${addresses.map((last) => `10.0.${vrid}.${last + 1}/24`).join("\n    ")}
  }
${route ? `  virtual_routes {\n    10.9.${vrid}.0/24 via 192.0.2.254 dev ${device}\n  }` : ""}
}`,
  );
  return `global_defs {\n  vrrp_leave_make_before_break off\n}\n${blocks.join("\n")}\n`;
}

test("a reload to another file and back is the same as a fresh start, and what both hold never goes", async () => {
  await fc.assert(
    fc.asyncProperty(plans, plans, async (a, b) => {
      const [first, second] = [configOf(textOf(a)), configOf(textOf(b))];
      const fresh = new RuntimeRig();
      await fresh.start(first);
      const expected = fresh.look();
      fresh.close();

      const rig = new RuntimeRig();
      await rig.start(first);
      assert.deepEqual(rig.look(), expected);
      const held = heldBy(a);
      const inBoth = new Set([...heldBy(b)].filter((key) => held.has(key)));
      const gone: string[] = [];
      rig.network.listen((event) => {
        if (event.type !== "address-gone") return;
        const key = `${formatAddress(event.address.address)} ${event.address.ifindex}`;
        if (inBoth.has(key)) gone.push(key);
      });
      await rig.reload(second);
      await rig.reload(first);
      assert.deepEqual(rig.look(), expected);
      assert.deepEqual(gone, []);
      rig.close();
    }),
    { numRuns: 60 },
  );
});

/** Addresses of masters, by the virtual router that holds them: another interface is another router. */
function heldBy(plan: readonly Plan[]): Set<string> {
  return new Set(
    plan.flatMap(({ vrid, priority, addresses, device }) =>
      priority === 255
        ? addresses.map((last) => `10.0.${vrid}.${last + 1} ${device === "eth0" ? 2 : 3}`)
        : [],
    ),
  );
}
