import { entry } from "./entry.ts";
import { boolean, words } from "./schemas.ts";
import { INSTANCE, OURS } from "./sources.ts";

const script = (when: string) =>
  entry({
    syntax: "<script> [<user> [<group>]]",
    schema: words,
    command: true,
    repeated: "first",
    needs: 1,
    doc: `Runs ${when}.`,
    source: INSTANCE,
    reload: "live",
  });

/** A script that is run at some moment. */
export const notify = (name: string, when: string) => ({
  ...script(when),
  syntax: `${name} "<path> [<argument> ...]" [<user> [<group>]]`,
});

/** Notify scripts, also of sync groups. */
export const notifyTable = {
  notify_master: notify("notify_master", "on becoming master"),
  notify_backup: notify("notify_backup", "on becoming backup, at start-up as well"),
  notify_fault: notify("notify_fault", "on entering FAULT"),
  notify_stop: notify("notify_stop", "when the daemon stops, after the addresses are gone"),
  notify: {
    ...notify("notify", "after the others on every change"),
    doc: "Runs after the others on every change, with four more arguments: INSTANCE or GROUP, name, state, priority.",
  },
  notify_priority_changes: entry({
    syntax: "notify_priority_changes [<boolean>]",
    schema: boolean,
    doc: "Writes changes of the priority to the FIFOs. Default: vrrp_notify_priority_changes.",
    source: INSTANCE,
    reload: "live",
  }),
  smtp_alert: entry({
    syntax: "smtp_alert [<boolean>]",
    schema: boolean,
    doc: "Sends a mail on each change. Default: smtp_alert_vrrp, smtp_alert.",
    source: INSTANCE,
    reload: "live",
  }),
};

const track = (kind: string, range: string) =>
  entry({
    syntax: `track_${kind} { <name> [weight <${range}> [reverse|noreverse]] ... }`,
    schema: words,
    body: "lines",
    doc: `What is tracked: without weight (and none of its own) its failure is FAULT.`,
    source: INSTANCE,
    reload: "live",
  });

/** Trackers, also of sync groups. */
export const trackTable = {
  track_interface: {
    ...track("interface", "-253..253"),
    syntax: "track_interface { <interface> [weight <-253..253> [reverse]] ... }",
  },
  track_script: track("script", "-253..253"),
  track_process: track("process", "-254..254"),
  track_file: track("file", "-254..254"),
  track_bfd: track("bfd", "-253..253"),
  track_proxy: {
    ...track("proxy", "-253..253"),
    ours: true as const,
    source: OURS,
    doc: "Proxies that must be ready: a proxy that is dead, frozen, or without listener or servers is down at once. Without weight that is FAULT.",
  },
};
