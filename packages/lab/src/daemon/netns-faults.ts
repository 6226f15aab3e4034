import { type Micros, micros } from "@ha/base";
import { type Applied, type Fault, netemWords } from "../core/index.ts";
import type { Balancer } from "./balancer.ts";
import { programOf } from "./namespaces/host.ts";
import { now } from "./namespaces/wall-clock.ts";
import type { NetnsDriver } from "./netns-driver.ts";
import { undoing } from "./undoing.ts";

type Act<K extends Fault["kind"]> = (
  fault: Extract<Fault, { readonly kind: K }>,
  lab: NetnsDriver,
) => Promise<Applied>;

/** How each fault is done to hosts that are namespaces of this machine. */
export function applyNetnsFault(fault: Fault, lab: NetnsDriver): Promise<Applied> {
  switch (fault.kind) {
    case "stop":
      return stop(fault, lab);
    case "kill":
      return killService(fault, lab);
    case "freeze":
      return freeze(fault, lab);
    case "freeze-host":
      return freezeHost(fault, lab);
    case "power-off":
      return powerOff(fault, lab);
    case "reboot":
      return reboot(fault, lab);
    case "link-down":
      return linkDown(fault, lab);
    case "partition":
      return partition(fault, lab);
    case "loss":
    case "delay":
      return netem(fault, lab);
    case "reload":
      return reload(fault, lab);
    case "disk-full":
      return diskFull(fault, lab);
    case "cpu-load":
      return cpuLoad(fault, lab);
    case "upgrade":
      return upgrade(fault, lab);
    case "switchover":
      return switchover(fault, lab);
    case "clock-jump":
      throw new Error("the clock of a namespace cannot be set");
  }
}

const stop: Act<"stop"> = async ({ on, what }, lab) => {
  if (what === "web") return endWeb(on, "TERM", lab);
  const balancer = lab.balancer(on);
  const at = balancer.signalService(what, "SIGTERM");
  return undoing(at, () => balancer.startAfterStop(what));
};

const killService: Act<"kill"> = async ({ on, what }, lab) => {
  if (what === "web") return endWeb(on, "KILL", lab);
  const balancer = lab.balancer(on);
  const pids = balancer.processes(what);
  if (pids.length === 0) throw new Error(`no ${what} runs on ${on}`);
  const at = balancer.signal(pids, "SIGKILL");
  return undoing(at, () => balancer.ensure(what === "proxy" ? "proxy" : "daemon"));
};

async function endWeb(on: string, signal: "TERM" | "KILL", lab: NetnsDriver): Promise<Applied> {
  const at = micros(now());
  await lab.lan.host(on).run("kill", [`-${signal}`, "-1"], { check: false });
  return undoing(at, () => lab.startWeb(on));
}

const freeze: Act<"freeze"> = async ({ on, what }, lab) => {
  const balancer = lab.balancer(on);
  const pids = balancer.processes(what);
  if (pids.length === 0) throw new Error(`no ${what} runs on ${on}`);
  const at = balancer.signal(pids, "SIGSTOP");
  return { at, undo: async () => balancer.signal(pids, "SIGCONT") };
};

/** Processes alone do not make a host: the kernel of a frozen one answers nothing, so its port goes dark as well. */
const freezeHost: Act<"freeze-host"> = async ({ on }, lab) => {
  const at = micros(now());
  const host = lab.lan.host(on);
  await lab.lan.isolate(on);
  await host.killAll("STOP");
  lab.hide(on, at);
  return {
    at,
    undo: async () => {
      await lab.lan.rejoin(on);
      const time = micros(now());
      lab.show(on, time);
      await host.killAll("CONT");
      if (lab.isBalancer(on)) lab.balancer(on).wake();
      return time;
    },
  };
};

const powerOff: Act<"power-off"> = async ({ on }, lab) => ({
  at: await lab.powerOff(on),
  undo: () => lab.powerOn(on),
});

const reboot: Act<"reboot"> = async ({ on }, lab) => {
  const at = await lab.powerOff(on);
  await lab.powerOn(on);
  return nothingToUndo(at);
};

const linkDown: Act<"link-down"> = async ({ on }, lab) => {
  const at = micros(now());
  await lab.lan.unplug(on);
  return undoing(at, () => lab.lan.plug(on));
};

const partition: Act<"partition"> = async ({ between: [a, b], one_way }, lab) => {
  const at = micros(now());
  await lab.lan.cut(a, b, { both: !one_way });
  return undoing(at, () => lab.lan.join(a, b, { both: !one_way }));
};

const netem: Act<"loss" | "delay"> = async (fault, lab) => {
  const { on } = fault;
  const words = netemWords(fault);
  const at = micros(now());
  const tc = (verb: string, ...rest: string[]): Promise<unknown> =>
    lab.lan.host(on).run("tc", ["qdisc", verb, "dev", "eth0", "root", ...rest]);
  await tc("add", "netem", ...words);
  return undoing(at, () => tc("delete"));
};

const reload: Act<"reload"> = async ({ on, what, file }, lab) => {
  const balancer = lab.balancer(on);
  const at = await balancer.reload(what, file);
  return {
    at,
    undo: async () => (file === "same" ? micros(now()) : balancer.reload(what, "good")),
  };
};

const diskFull: Act<"disk-full"> = async ({ on }, lab) => {
  const host = lab.lan.host(on);
  const at = micros(now());
  await host.shell(
    "for folder in /run /tmp; do dd if=/dev/zero of=$folder/.fill bs=64k 2>/dev/null || true; done",
  );
  return undoing(at, () => host.run("rm", ["-f", "/run/.fill", "/tmp/.fill"]));
};

const cpuLoad: Act<"cpu-load"> = async ({ on, loops }, lab) => {
  const host = lab.lan.host(on);
  const at = micros(now());
  const children = Array.from({ length: loops }, () =>
    host.spawn("sh", ["-c", "while :; do :; done"]),
  );
  const pids = await Promise.all(children.map(programOf));
  return undoing(at, async () => {
    for (const pid of pids) process.kill(pid, "SIGKILL");
  });
};

const upgrade: Act<"upgrade"> = async ({ on, to }, lab) => {
  const balancer = lab.balancer(on);
  const before = balancer.kind;
  const at = await balancer.replaceDaemon(to);
  return { at, undo: () => balancer.replaceDaemon(before) };
};

const switchover: Act<"switchover"> = async ({ on }, lab) => {
  const balancer: Balancer = lab.balancer(on);
  const at = await balancer.vrrpctl("switchover");
  return { at, undo: () => balancer.vrrpctl("switchover", "--back") };
};

function nothingToUndo(at: Micros): Applied {
  return { at, undo: async () => micros(now()) };
}
