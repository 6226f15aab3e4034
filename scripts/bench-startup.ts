import {
  CONFIG_PATH,
  commandOf,
  Daemon,
  type DaemonKind,
  Lan,
  milliseconds,
  now,
} from "@ha/lab/namespaces";
import { keepalivedConf } from "../test/support/keepalived-conf.ts";
import { median, ms, type Section } from "./bench-section.ts";

const COUNTS = [1, 255, 1000];
const RUNS = 3;
/** 1000 virtual routers need four interfaces: there are 255 identifiers on each. */
const INTERFACES = ["eth0", "eth2", "eth3", "eth4"];

export const startup: Section = {
  name: "startup",
  title: "Start and configuration test",
  method: `One host, priority 255, so that no election takes time. From exec to the first advert on the wire, to the first advert of
the last router on eth0 (255 routers at most), and how long \`-t\` takes. Median of ${RUNS}; entering the namespaces (3 ms) is in it.`,
  columns: ["first advert", "last router's first advert", "`-t`"],
  cases: COUNTS.map((count) => ({
    name: `${count} instances`,
    measure: (kind) => measure(kind, count),
  })),
};

async function measure(kind: DaemonKind, count: number): Promise<string[]> {
  const first: number[] = [];
  const last: number[] = [];
  const test: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const lan = await Lan.open([{ name: "lb1", eth0: ["10.77.0.11/24"] }]);
    try {
      const host = lan.host("lb1");
      for (const [i, name] of INTERFACES.slice(1).entries()) {
        await host.ip(
          `link add ${name} type bridge`,
          `link set ${name} up`,
          `addr add 10.8${i}.0.1/24 dev ${name}`,
        );
      }
      const config = configOf(count);
      host.writeFile(CONFIG_PATH, config);
      const [command, ...args] = commandOf(kind, ["-t", "-f", CONFIG_PATH]);
      const testedAt = performance.now();
      const { status, stderr } = await host.run(command, args, { check: false });
      if (status !== 0) throw new Error(`-t ended with status ${status}: ${stderr.slice(0, 200)}`);
      test.push(performance.now() - testedAt);

      const onWire = Math.min(count, PER_INTERFACE);
      const daemon = await Daemon.start(kind, host, config);
      const seen = new Set<number>();
      const times: number[] = [];
      await lan.capture.wait(
        `the first adverts of ${onWire} routers`,
        20_000,
        ({ vrrp, time }) => {
          if (vrrp !== undefined && !seen.has(vrrp.vrid)) {
            seen.add(vrrp.vrid);
            times.push(time);
          }
          return seen.size === onWire;
        },
        daemon.startedAt,
      );
      first.push(((times[0] ?? now()) - daemon.startedAt) / milliseconds(1));
      last.push(((times.at(-1) ?? now()) - daemon.startedAt) / milliseconds(1));
    } finally {
      await lan.close();
    }
  }
  return [ms(median(first), 0), ms(median(last), 0), ms(median(test), 0)];
}

const PER_INTERFACE = 255;

function configOf(count: number): string {
  return keepalivedConf(
    Array.from({ length: count }, (_, i) => {
      const network = Math.floor(i / PER_INTERFACE);
      const vrid = (i % PER_INTERFACE) + 1;
      return {
        name: `VI_${i + 1}`,
        interface: INTERFACES[network] ?? "eth0",
        vrid,
        version: 3 as const,
        state: "MASTER" as const,
        priority: 255,
        addresses: [`10.${77 + network}.1.${vrid}`],
      };
    }),
  );
}
