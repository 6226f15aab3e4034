import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, ip } from "@ha/base";
import { addAddress, removeAddress } from "../address-request.ts";
import type { AddressSpec, NetworkEvent, NetworkState } from "../network-state.ts";
import { addRoute, addRule, removeRoute, removeRule } from "../route-request.ts";
import { until } from "./network-fixture.ts";

/** An interface `a0` that is up, with 192.0.2.1/24. */
export interface NetworkWorld {
  readonly network: NetworkState;
  /** Runs `ip address del ADDRESS dev a0`, as somebody else. */
  readonly removeBySomebody: (spec: AddressSpec) => Promise<void>;
}

/** What every `NetworkState` does, rtnetlink and the one in memory alike. */
export function networkContract(world: () => NetworkWorld): void {
  const specOf = (network: NetworkState, last: number): AddressSpec => ({
    ifindex: network.linkByName("a0")?.index ?? 0,
    prefix: { address: ip(`192.0.2.${last}`), length: 32 },
  });

  test("an address comes and goes, as often as it is asked for, and each change is told once as ours", async () => {
    const { network } = world();
    const events: NetworkEvent[] = [];
    const end = network.listen((event) => events.push(event));
    const spec = specOf(network, 101);
    assert.equal(network.linkByName("a0")?.running, true);
    assert.equal(network.linkByIndex(spec.ifindex)?.name, "a0");
    for (let i = 0; i < 2; i++) assert.equal(await network.apply(addAddress(spec)), undefined);
    await until(() => network.hasAddress(spec.prefix.address));
    for (let i = 0; i < 2; i++) assert.equal(await network.apply(removeAddress(spec)), undefined);
    await until(() => events.some(({ type }) => type === "address-gone"));
    assert.equal(network.hasAddress(spec.prefix.address), false);
    end();
    const told = events.flatMap((event) =>
      event.type === "address" || event.type === "address-gone"
        ? [`${event.type} ${formatAddress(event.address.address)} ${event.by.ours}`]
        : [],
    );
    assert.deepEqual(told, ["address 192.0.2.101 true", "address-gone 192.0.2.101 true"]);
  });

  test("what somebody else removes is told as theirs", async () => {
    const { network, removeBySomebody } = world();
    const spec = specOf(network, 102);
    await network.apply(addAddress(spec));
    await until(() => network.hasAddress(spec.prefix.address));
    const events: NetworkEvent[] = [];
    const end = network.listen((event) => events.push(event));
    await removeBySomebody(spec);
    await until(() => events.length > 0);
    end();
    const [event] = events;
    assert.ok(event?.type === "address-gone");
    assert.equal(event.by.ours, false);
    assert.ok(event.by.port > 0);
  });

  test("requests are done in their order, each with an answer of its own, in words where it failed", async () => {
    const { network } = world();
    const good = specOf(network, 103);
    const lost = { ...specOf(network, 104), ifindex: 0x7fff_fff0 };
    const results = await network.applyAll([
      addAddress(good),
      addAddress(lost),
      removeAddress(good),
      removeAddress(lost),
      addAddress(good),
    ]);
    assert.deepEqual(
      results.map((problem) => problem?.code),
      [undefined, "ENODEV", undefined, undefined, undefined],
    );
    assert.match(results[1]?.message ?? "", /add address 192\.0\.2\.104\/32 on interface \d+/);
    await until(() => network.hasAddress(good.prefix.address));
    await network.apply(removeAddress(good));
    await until(() => !network.hasAddress(good.prefix.address));
  });

  test("routes and rules come and go, as often as they are asked for", async () => {
    const { network } = world();
    const route = {
      family: 4,
      to: { address: ip("203.0.113.0"), length: 24 },
      via: ip("192.0.2.254"),
    } as const;
    const rule = {
      family: 4,
      from: { address: ip("203.0.113.0"), length: 24 },
      table: 100,
      priority: 77,
    } as const;
    const events: NetworkEvent[] = [];
    const end = network.listen((event) => events.push(event));
    const twice = [
      addRoute(route),
      addRoute(route),
      addRule(rule),
      addRule(rule),
      removeRule(rule),
      removeRule(rule),
      removeRoute(route),
      removeRoute(route),
    ];
    assert.deepEqual(
      await network.applyAll(twice),
      twice.map(() => undefined),
    );
    await until(() => events.filter(({ type }) => type.endsWith("-gone")).length === 2);
    end();
    assert.deepEqual(events.map(({ type }) => type).sort(), ["route-gone", "rule-gone"]);
  });
}
