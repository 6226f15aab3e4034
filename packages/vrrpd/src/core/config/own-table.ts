import { parseAddress, parseInteger, seconds } from "@ha/base";
import { choice, integer, reader, type Schema } from "@ha/base/keyword";
import { entry } from "./entry.ts";
import type { MetricsAddress } from "./model.ts";
import { addressList, decimalSeconds, wholeSeconds, writtenBoolean } from "./schemas.ts";
import { OURS } from "./sources.ts";

const on = (name: string, doc: string, off: string) =>
  entry({
    syntax: `${name} <boolean>`,
    schema: writtenBoolean,
    default: true,
    needs: 1,
    ours: true,
    doc: `${doc} off: ${off}`,
    source: OURS,
    reload: "live",
  });

/** `9165`, `10.0.0.1:9165`, `[::1]:9165`, and whose names. */
const metricsAddress: Schema<MetricsAddress> = reader(([word = "", option, names], problem) => {
  const [, host = "127.0.0.1", digits = ""] = /^(?:(.*):)?(\d+)$/.exec(word) ?? [];
  const plain = host.replace(/^\[(.*)\]$/, "$1");
  const port = parseInteger(digits);
  if (parseAddress(plain) === undefined || port === undefined || port < 1 || port > 65_535) {
    return problem(
      "must be an address and a port from 1 to 65535, as 127.0.0.1:9165 or [::1]:9165",
    );
  }
  if (option === undefined) return { host: plain, port, names: "mehdy" };
  return option === "names" && (names === "mehdy" || names === "gen2brain")
    ? { host: plain, port, names }
    : problem("may be followed by 'names mehdy' or 'names gen2brain'");
});

/**
 * Keywords of `global_defs` that keepalived does not have. Written on `@vrrpd` lines a file serves both programs, since
 * keepalived skips lines for another config id. Each switch is on by default; off is keepalived's conduct.
 */
export const ownTable = {
  vrrp_guard: {
    ...on(
      "vrrp_guard",
      "A small guard process keeps addresses and adverts alive while a crashed daemon is started again.",
      "a daemon that dies leaves its addresses behind, as keepalived does.",
    ),
    reload: "restart" as const,
  },
  vrrp_guard_heartbeat: on(
    "vrrp_guard_heartbeat",
    "The guard also kills and restarts a daemon whose event loop stands still.",
    "a hung daemon stays, and the peer becomes a second holder.",
  ),
  vrrp_leave_make_before_break: on(
    "vrrp_leave_make_before_break",
    "On stop, FAULT and switchover the addresses stay until the next master is heard, at most 5 s.",
    "they go at once; clients miss them for the skew, about 0.6 s.",
  ),
  vrrp_resign_priority_zero: on(
    "vrrp_resign_priority_zero",
    "A master whose priority falls sends priority 0 and its new priority at once, so that a better peer takes over after its skew.",
    "the peer waits for a full down timer, about 3.6 s.",
  ),
  vrrp_sync_group_resign: on(
    "vrrp_sync_group_resign",
    "When a member of a sync group fails, every member with a link sends priority 0, and a backup of ours lets the rest follow.",
    "each instance waits for its own down timer.",
  ),
  vrrp_resume: on(
    "vrrp_resume",
    "A daemon that is back within two adverts (one less than down_timer_adverts) of its last one, and has heard no other, resumes as master, once a minute at most. No peer's down timer is over by then.",
    "it waits for a full down timer.",
  ),
  vrrp_address_record: {
    ...on(
      "vrrp_address_record",
      "A record in /run names what we hold, so that the next start removes what was left behind.",
      "only addresses of the present configuration are removed at start.",
    ),
    reload: "restart" as const,
  },
  vrrp_listen_after_wake: on(
    "vrrp_listen_after_wake",
    "A router that wakes up later than its down timer listens before it speaks.",
    "it goes on as master at once.",
  ),
  vrrp_packet_filter: on(
    "vrrp_packet_filter",
    "The kernel drops what cannot be for us before it reaches the daemon.",
    "every packet of protocol 112 is read.",
  ),
  vrrp_replay_answer: on(
    "vrrp_replay_answer",
    "A living master answers a priority 0 that was not its own, and a backup waits one skew for it.",
    "a replayed farewell makes the peer take over.",
  ),
  vrrp_ignore_reflected: on(
    "vrrp_ignore_reflected",
    "Adverts that come back to us are ignored and reported as a loop.",
    "they are taken for a peer's, which can block the takeover.",
  ),
  vrrp_reload_keep_on_error: on(
    "vrrp_reload_keep_on_error",
    "A reload of a file with errors keeps the old configuration in force.",
    "what is right in the new file is applied, and a file that refuses a start ends the daemon.",
  ),
  vrrp_accept_differing_addresses: on(
    "vrrp_accept_differing_addresses",
    "An advert whose address list is not ours is accepted and logged once, as keepalived 2.4.3 does.",
    "it is dropped, as by keepalived 2.2.7: two masters during a rolling change.",
  ),
  vrrp_heal_announce: on(
    "vrrp_heal_announce",
    "When a partition heals the loser sends a last advert and the winner announces its addresses again.",
    "nobody announces, and switches may go on sending to the loser.",
  ),
  vrrp_detect_split_brain: on(
    "vrrp_detect_split_brain",
    "As master, ask who else answers for our addresses and tell in log, status and metric.",
    "two masters that cannot hear each other stay unnoticed.",
  ),
  vrrp_timer_thread: {
    ...on(
      "vrrp_timer_thread",
      "Adverts of intervals below 100 ms come from a native timer thread under a lease of the event loop.",
      "the event loop sends them.",
    ),
    reload: "restart" as const,
  },
  vrrp_restore_addresses: on(
    "vrrp_restore_addresses",
    "An address that somebody else removed is put back within 50 ms, with a limit.",
    "the mastership is given up and a new election decides.",
  ),
  vrrp_script_cannot_run_fails: on(
    "vrrp_script_cannot_run_fails",
    "A check that cannot be executed counts as failed.",
    "it counts as successful.",
  ),
  vrrp_script_jitter: on(
    "vrrp_script_jitter",
    "First runs of checks are spread over their interval.",
    "all run at once.",
  ),
  vrrp_notify_serialize: on(
    "vrrp_notify_serialize",
    "Notify scripts of one instance run one after the other, the newest state wins.",
    "they run at the same time.",
  ),
  vrrp_notify_timeout: entry({
    syntax: "vrrp_notify_timeout <0..4294>",
    schema: wholeSeconds({ min: 0, max: 4294 }),
    default: seconds(60),
    needs: 1,
    ours: true,
    doc: "Seconds after which a notify script is killed; 0: never, as keepalived.",
    source: OURS,
    reload: "live",
  }),
  vrrp_address_lifetime: entry({
    syntax: "vrrp_address_lifetime <1..86400>",
    schema: decimalSeconds({ min: 1, max: 86_400 }),
    needs: 1,
    ours: true,
    doc: "Seconds after which the kernel removes our addresses unless we renew them, whatever became of us. Default: it never does.",
    source: OURS,
    reload: "live",
  }),
  vrrp_witness: entry({
    syntax: "vrrp_witness <address> ...",
    schema: addressList(),
    default: [],
    needs: 1,
    ours: true,
    doc: "No takeover while none of these (the gateway, say) answers, so that a host that lost its network does not become a second master.",
    source: OURS,
    reload: "live",
  }),
  vrrp_metrics: entry<MetricsAddress>({
    syntax: "vrrp_metrics [<address>:]<port> [names mehdy|gen2brain]",
    schema: metricsAddress,
    needs: 1,
    ours: true,
    doc: "Serve http://address:port/metrics for Prometheus, on the loopback unless an address is given, under the names of mehdy/keepalived-exporter or gen2brain/keepalived_exporter. Default: not at all.",
    source: OURS,
    reload: "live",
  }),
  vrrp_handover_port: entry({
    syntax: "vrrp_handover_port <0..65535>",
    schema: integer({ min: 0, max: 65_535 }),
    default: 112,
    needs: 1,
    ours: true,
    doc: "UDP port on which a better peer asks a master of ours to drain its proxy before it is preempted; opened only where instances track proxies. 0: preemption cuts what is under way.",
    source: OURS,
    reload: "live",
  }),
  log_format: entry<"text" | "json">({
    syntax: "log_format text|json",
    schema: choice("text", "json"),
    default: "text",
    needs: 1,
    ours: true,
    doc: "Form of the log lines; --log-format overrides.",
    source: OURS,
    reload: "restart",
  }),
};
