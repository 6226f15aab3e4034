import assert from "node:assert/strict";
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "@ha/base";
import { type NetworkState, openLinkBeat } from "@ha/linux";
import { loadConfig } from "../core/config/load.ts";
import { memoryHost } from "../core/config/memory-host.ts";
import type { Config } from "../core/config/model.ts";
import { LinkWatch } from "./link-watch.ts";
import { Log } from "./log.ts";
import { MonotonicClock } from "./monotonic-clock.ts";
import { Trackers } from "./trackers.ts";

const folder = mkdtempSync(join(tmpdir(), "vrrpd-track-"));
const file = join(folder, "number");

function configOf(weight: number, comment: string): Config {
  const text = `${comment}
track_file tf {
  file ${file}
  weight ${weight}
}
vrrp_script chk {
  script "/bin/true"
  interval 1
  weight 3
}
vrrp_instance VI_1 {
  interface eth0
  virtual_router_id 1
  virtual_ipaddress {
    10.0.0.1
  }
  track_file {
    tf
  }
  track_script {
    chk
  }
}
`;
  const loaded = loadConfig("/x.conf", { host: memoryHost({ "/x.conf": text }) });
  assert.ok(loaded);
  return loaded.config;
}

/** No interface is tracked here. */
const network: NetworkState = {
  closed: false,
  links: () => [],
  linkByName: () => undefined,
  linkByIndex: () => undefined,
  addresses: () => [],
  hasAddress: () => false,
  apply: async () => undefined,
  applyAll: async () => [],
  listen: () => () => {},
  drain: () => {},
  resync: async () => {},
  close: () => {},
};
const clock = new MonotonicClock();

function trackersOf(config: Config, onChange: () => void, before?: Trackers): Trackers {
  const options = {
    clock,
    random: seededRandom(1),
    log: new Log([], false),
    network,
    links: new LinkWatch(network, clock, [], () => {}, openLinkBeat),
    onChange,
    inherited: {},
    proxyState: () => "down" as const,
  };
  return new Trackers(config, options, before);
}

test("a reload keeps the number of an unchanged file and the verdict of an unchanged script from the first moment", async () => {
  writeFileSync(file, "7\n");
  const first = configOf(1, "");
  const old = trackersOf(first, () => {});
  await old.start();
  await sleep(200);
  const [instance] = first.instances;
  assert.ok(instance);

  const second = configOf(1, "# a line more");
  const next = trackersOf(second, () => {}, old);
  old.stop();
  const states = next.trackersOf(second.instances[0] ?? instance);
  assert.deepEqual(
    states.map(({ name, state, value }) => [name, state, value]),
    [
      ["chk", "up", undefined],
      ["tf", "up", 7],
    ],
  );
  next.stop();
});

test("a file that is replaced is read again, before and after a reload", async () => {
  writeFileSync(file, "1\n");
  let changes = 0;
  const config = configOf(1, "");
  const old = trackersOf(config, () => changes++);
  await old.start();
  const next = trackersOf(configOf(1, "#"), () => changes++, old);
  old.stop();
  await next.start();
  const before = changes;
  writeFileSync(`${file}.new`, "5\n");
  renameSync(`${file}.new`, file);
  await sleep(300);
  assert.ok(changes > before, "nobody was told");
  assert.deepEqual(next.files, [{ name: "tf", value: 5 }]);
  next.stop();
});
