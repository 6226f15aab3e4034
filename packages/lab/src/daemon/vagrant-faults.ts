import { type Micros, micros } from "@ha/base";
import { type Applied, breakFile, type Fault, fixedDuration, netemWords } from "../core/index.ts";
import { now } from "./namespaces/wall-clock.ts";
import { undoing } from "./undoing.ts";
import { UNITS, type VagrantDriver } from "./vagrant-driver.ts";
import { dataInterface, virsh } from "./virsh.ts";

const FILES = {
  daemon: "/etc/keepalived/keepalived.conf",
  proxy: "/etc/haproxy/haproxy.cfg",
} as const;

/**
 * How each fault is done to virtual machines: by virsh where the host itself is hit, which acts at once; else by a command
 * on the machine, whose time is taken there.
 */
export async function applyVagrantFault(fault: Fault, lab: VagrantDriver): Promise<Applied> {
  switch (fault.kind) {
    case "stop":
      return onMachine(
        lab,
        fault.on,
        `systemctl stop --no-block ${unitOf(fault.what, fault.on, lab)}`,
        {
          undo: `systemctl start ${unitOf(fault.what, fault.on, lab)}`,
        },
      );
    case "kill":
      return kill(fault, lab);
    case "freeze": {
      const pids = `$(${pidsOf(fault.what, lab)})`;
      return onMachine(lab, fault.on, `kill -STOP ${pids}`, { undo: `kill -CONT ${pids} || true` });
    }
    case "freeze-host":
      return freezeHost(fault.on, lab);
    case "power-off":
      return powerOff(fault.on, lab);
    case "reboot": {
      const { at } = await powerOff(fault.on, lab);
      await boot(fault.on, lab);
      return { at, undo: async () => micros(now()) };
    }
    case "link-down": {
      const domain = lab.domain(fault.on);
      const card = await dataInterface(domain);
      const at = micros(now());
      await virsh("domif-setlink", domain, card, "down");
      return undoing(at, () => virsh("domif-setlink", domain, card, "up"));
    }
    case "partition":
      return partition(fault, lab);
    case "loss":
    case "delay": {
      const device = lab.inventory.interface;
      const words = netemWords(fault).join(" ");
      return onMachine(
        lab,
        fault.on,
        `modprobe sch_netem; tc qdisc replace dev ${device} root netem ${words}`,
        {
          undo: `tc qdisc delete dev ${device} root`,
        },
      );
    }
    case "reload":
      return reload(fault, lab);
    case "disk-full":
      return onMachine(
        lab,
        fault.on,
        "for folder in /run /tmp /var/tmp; do dd if=/dev/zero of=$folder/.fill bs=1M 2>/dev/null || true; done",
        { undo: "rm -f /run/.fill /tmp/.fill /var/tmp/.fill" },
      );
    case "clock-jump":
      return clockJump(fault, lab);
    case "cpu-load":
      return onMachine(
        lab,
        fault.on,
        `for i in $(seq ${fault.loops}); do setsid sh -c 'while :; do :; done' lab-load >/dev/null 2>&1 & done`,
        { undo: "pkill -KILL -f 'done lab-load$' || true" },
      );
    case "upgrade": {
      const from = fault.to === "vrrpd" ? "keepalived" : "vrrpd";
      const change = (old: string, next: string): string =>
        `systemctl stop ${old}; systemctl start ${next}`;
      // What it said before is no state of the new one.
      lab.noteStopped(fault.on, micros(now()));
      return onMachine(lab, fault.on, change(from, fault.to), { undo: change(fault.to, from) });
    }
    case "switchover":
      return onMachine(lab, fault.on, "vrrpctl switchover", { undo: "vrrpctl switchover --back" });
  }
}

function unitOf(what: "daemon" | "proxy" | "web", on: string, lab: VagrantDriver): string {
  if (what === "web") return `lab-${on}`;
  return UNITS[what === "daemon" ? lab.programs.daemon : lab.programs.proxy];
}

/** A shell command that prints the processes of a service; `pgrep -x` knows a process by its own name. */
function pidsOf(what: "daemon" | "guard" | "all" | "proxy" | "web", lab: VagrantDriver): string {
  if (what === "proxy") return "pgrep -x haproxy";
  if (what === "guard") return "pgrep -x vrrpd-guard";
  const main = `systemctl show -p MainPID --value ${UNITS[lab.programs.daemon]}`;
  // The one that speaks is the youngest of its unit.
  const all = `cat /sys/fs/cgroup/system.slice/${UNITS[lab.programs.daemon]}.service/cgroup.procs 2>/dev/null || ${main}`;
  return what === "daemon"
    ? `{ ${all}; } | grep -vx "$(pgrep -x haproxy)" | sort -n | tail -n 1`
    : all;
}

async function kill(
  { on, what }: Extract<Fault, { readonly kind: "kill" }>,
  lab: VagrantDriver,
): Promise<Applied> {
  if (what === "web")
    return onMachine(lab, on, `systemctl kill -s KILL lab-${on}; systemctl stop lab-${on}`, {
      undo: `systemctl start lab-${on}`,
    });
  const service = what === "proxy" ? "proxy" : "daemon";
  const unit = unitOf(service, on, lab);
  // systemd would start a dead service again: the drill wants it dead until the undo.
  const hold =
    what === "all" || what === "proxy"
      ? `mkdir -p /run/systemd/system/${unit}.service.d; printf '[Service]\\nRestart=no\\n' >/run/systemd/system/${unit}.service.d/lab.conf; systemctl daemon-reload; `
      : "";
  const isSupervised =
    what === "proxy" &&
    (await lab.machine(on).run(`systemctl is-active ${unit} || true`)).trim() !== "active";
  const undo = isSupervised
    ? "true"
    : `rm -f /run/systemd/system/${unit}.service.d/lab.conf; systemctl daemon-reload; systemctl start ${unit}`;
  return onMachine(lab, on, `${isSupervised ? "" : hold}kill -KILL $(${pidsOf(what, lab)})`, {
    undo,
  });
}

async function freezeHost(on: string, lab: VagrantDriver): Promise<Applied> {
  const domain = lab.domain(on);
  const at = micros(now());
  await virsh("suspend", domain);
  lab.hide(on, at);
  return {
    at,
    undo: async () => {
      await virsh("resume", domain);
      const time = micros(now());
      lab.show(on, time);
      // Its clock stood still meanwhile.
      await lab.machine(on).syncClock();
      return time;
    },
  };
}

async function powerOff(on: string, lab: VagrantDriver): Promise<Applied> {
  const at = micros(now());
  lab.notePower(on, false);
  await virsh("destroy", lab.domain(on));
  if (lab.isBalancer(on)) {
    lab.noteHolder(on, false, at);
    lab.noteStopped(on, at);
    lab.unfollow(on);
  }
  return { at, undo: () => boot(on, lab) };
}

/** Power on; done when it answers again and is followed. Its own units start its services. */
async function boot(on: string, lab: VagrantDriver): Promise<Micros> {
  await virsh("start", lab.domain(on));
  await lab.reconnect(on);
  lab.notePower(on, true);
  const { daemon, proxy } = lab.programs;
  const at = micros(now());
  if (lab.isBalancer(on))
    await lab.machine(on).run(`systemctl start ${UNITS[proxy]} ${UNITS[daemon]}`);
  return at;
}

/** Each end drops what the other sends, so that a cut that is two-way begins where it is told first. */
async function partition(
  { between: [a, b], one_way }: Extract<Fault, { readonly kind: "partition" }>,
  lab: VagrantDriver,
): Promise<Applied> {
  const cut = (at: string, from: string): Promise<Micros> =>
    lab.machine(at).runAt(
      `nft -f - <<END
table inet lab { chain input { type filter hook input priority -300; ip saddr ${lab.inventory.hosts[from]?.addr} drop; } }
END`,
    );
  const join = (at: string): Promise<Micros> => lab.machine(at).runAt("nft delete table inet lab");
  const times = await Promise.all([cut(b, a), ...(one_way ? [] : [cut(a, b)])]);
  return {
    at: micros(Math.max(...times)),
    undo: async () =>
      micros(Math.max(...(await Promise.all([join(b), ...(one_way ? [] : [join(a)])])))),
  };
}

async function reload(
  { on, what, file }: Extract<Fault, { readonly kind: "reload" }>,
  lab: VagrantDriver,
): Promise<Applied> {
  const path = FILES[what];
  const unit = unitOf(what, on, lab);
  const signal = what === "daemon" ? "HUP" : "USR2";
  const send = `kill -${signal} $(systemctl show -p MainPID --value ${unit})`;
  const machine = lab.machine(on);
  if (file === "broken") {
    await machine.run(`cp ${path} ${path}.lab`);
    await machine.writeFile(path, breakFile(what, await machine.run(`cat ${path}`)));
  }
  const undo =
    file === "broken"
      ? `mv ${path}.lab ${path}; systemctl is-active -q ${unit} && { ${send}; } || systemctl start ${unit}`
      : "true";
  return onMachine(lab, on, send, { undo });
}

async function clockJump(
  { on, by, back }: Extract<Fault, { readonly kind: "clock-jump" }>,
  lab: VagrantDriver,
): Promise<Applied> {
  const seconds = Math.round(fixedDuration(by) / 1e6) * (back ? -1 : 1);
  const machine = lab.machine(on);
  const jump = async (shift: number): Promise<Micros> => {
    const at = await machine.runAt(`date -s "@$(($(date +%s) + ${shift}))" >/dev/null`);
    const before = micros(at - shift * 1e6);
    await machine.syncClock();
    return before;
  };
  return { at: await jump(seconds), undo: () => jump(-seconds) };
}

async function onMachine(
  lab: VagrantDriver,
  on: string,
  script: string,
  { undo }: { readonly undo: string },
): Promise<Applied> {
  const machine = lab.machine(on);
  return { at: await machine.runAt(script), undo: () => machine.runAt(undo) };
}
