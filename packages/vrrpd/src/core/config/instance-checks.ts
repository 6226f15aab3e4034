import { isLinkLocal, type Micros, micros, type Position, seconds, toSeconds } from "@ha/base";
import type { Block } from "./block.ts";
import type { BuildContext } from "./build-context.ts";
import type { globalTable } from "./global-table.ts";
import type { instanceTable } from "./instance-table.ts";
import type { Instance } from "./model.ts";

/** An instance while its values are being brought into agreement. */
export type Draft = { -readonly [K in keyof Instance]: Instance[K] };

export interface InstanceCheck {
  readonly draft: Draft;
  readonly block: Block<typeof instanceTable>;
  readonly global: Block<typeof globalTable>;
  readonly context: BuildContext;
  /** Where the block ends: keepalived places some of its complaints there. */
  readonly end: Position | undefined;
  /** Takes back or changes what was written, with a complaint that counts under `-t`. */
  readonly adjust: (keyword: keyof typeof instanceTable, message: string, hint?: string) => void;
  /** Something that refuses a start. */
  readonly refuse: (
    code: `config/${string}`,
    message: string,
    at: Position | undefined,
    hint?: string,
  ) => void;
}

/** In the order of keepalived's complaints. Each looks at more than one statement. observed: keepalived 2.2.7, 2.4.3 */
export const instanceChecks: readonly ((check: InstanceCheck) => void)[] = [
  checkVrid,
  checkInterface,
  checkVersion,
  checkUnicast,
  checkState,
  checkStrict,
  checkPreemption,
  checkInterval,
  checkAuthentication,
  checkAddresses,
  checkVmac,
  checkTimerExpired,
  checkOwnInterfaceTracking,
  checkOwnerTracking,
];

function checkVrid({ draft, block, refuse }: InstanceCheck): void {
  if (draft.virtual_router_id !== 0) return;
  refuse(
    "config/no-vrid",
    `(${draft.name}) the virtual_router_id must be set`,
    block.positionOf("virtual_router_id"),
    "write: virtual_router_id <1..255>",
  );
}

function checkInterface({ draft, block, refuse }: InstanceCheck): void {
  if (draft.interface !== undefined) return;
  // Unicast with an address of its own needs none; one that was written and refused is another matter.
  const unicast = draft.unicast || block.has("unicast_src_ip");
  if (unicast && !block.has("interface")) return;
  refuse(
    "config/no-interface",
    `(${draft.name}) there is no usable interface`,
    block.positionOf("interface"),
    "write: interface <name>",
  );
}

/** IPv6 is version 3 by definition (RFC 5798). */
function checkVersion({ draft, block, adjust }: InstanceCheck): void {
  if (draft.family !== 6 || draft.version === 3) return;
  if (block.get("version") === 2 && draft.strict_mode) {
    adjust("version", "IPv6 needs version 3; goes on with that");
  }
  draft.version = 3;
}

function checkUnicast(check: InstanceCheck): void {
  const { draft, block, adjust, refuse, end } = check;
  const whole = end === undefined ? undefined : `as the block up to line ${end.line} stands`;
  const peers = draft.unicast_peer.length > 0;
  const words = [
    "unicast_src_ip",
    "unicast_peer",
    "check_unicast_src",
    "old_unicast_checksum",
  ] as const;
  const spoken = words.some((word) => block.has(word));
  if (!peers && block.has("unicast_ttl")) {
    adjust("unicast_ttl", "unicast_ttl has no meaning without unicast_peer; it is ignored", whole);
    draft.unicast_ttl = 255;
  }
  if (!peers && spoken && !draft.unicast_fault_no_peer) {
    const word = words.find((candidate) => block.has(candidate)) ?? "unicast_peer";
    adjust(
      word,
      `${word} without peers: adverts go to the multicast group`,
      "write unicast_peer { ... }, or unicast_fault_no_peer for FAULT instead",
    );
  }
  if (peers && draft.mcast_dst_ip !== undefined) {
    adjust("mcast_dst_ip", "mcast_dst_ip has no meaning with unicast_peer; it is ignored");
    delete draft.mcast_dst_ip;
  }
  if (peers && draft.use_vmac !== undefined && !draft.vmac_xmit_base) {
    adjust("use_vmac", "unicast with use_vmac needs vmac_xmit_base; goes on with it", whole);
    draft.vmac_xmit_base = true;
  }
  if (peers && draft.strict_mode && draft.interface !== undefined) {
    refuse(
      "config/strict-unicast",
      `(${draft.name}) strict mode does not know unicast peers`,
      block.positionOf("unicast_peer"),
      "write strict_mode off, or remove unicast_peer",
    );
  }
}

function checkState({ draft, block, adjust }: InstanceCheck): void {
  const states = block.all("state");
  const written = states.map(({ value }) => value);
  if (written.includes("MASTER") && written.at(-1) === "BACKUP") {
    adjust("state", "state BACKUP after state MASTER changes nothing: MASTER counts");
  }
  if (!block.has("state") && draft.priority === 255) draft.state = "MASTER";
}

function checkStrict(check: InstanceCheck): void {
  const { draft, block, adjust } = check;
  if (!draft.strict_mode) return;
  if ((draft.state === "MASTER") !== (draft.priority === 255)) {
    adjust(
      "state",
      "strict mode: state MASTER is for priority 255 and for nothing else; goes on with the priority's",
    );
    draft.state = draft.priority === 255 ? "MASTER" : "BACKUP";
  }
  const [first] = draft.virtual_ipaddress;
  if (first?.address.family === 6 && !isLinkLocal(first.address)) {
    adjust("virtual_ipaddress", "strict mode: the first IPv6 address must be link-local (fe80::)");
  }
  if (draft.preempt_delay > 0) {
    adjust("preempt_delay", "strict mode has no preempt_delay; it is ignored");
    draft.preempt_delay = micros(0);
  }
  if (draft.down_timer_adverts !== 3) {
    adjust("down_timer_adverts", "strict mode: down_timer_adverts is 3; goes on with that");
    draft.down_timer_adverts = 3;
  }
  if (block.get("garp_lower_prio_repeat") !== undefined && draft.garp_lower_prio_repeat > 0) {
    adjust("garp_lower_prio_repeat", "strict mode has no garp_lower_prio_repeat; goes on with 0");
  }
  draft.garp_lower_prio_repeat = 0;
  if (block.has("garp_lower_prio_delay")) {
    adjust("garp_lower_prio_delay", "strict mode has no garp_lower_prio_delay; goes on with 0");
  }
  draft.garp_lower_prio_delay = micros(0);
  if (block.get("lower_prio_no_advert") === false) {
    adjust("lower_prio_no_advert", "strict mode: lower_prio_no_advert is on; goes on with that");
  }
  draft.lower_prio_no_advert = true;
  if (block.get("higher_prio_send_advert") === true) {
    adjust("higher_prio_send_advert", "strict mode has no higher_prio_send_advert; it is ignored");
  }
  draft.higher_prio_send_advert = false;
  if (draft.vmac_xmit_base && draft.unicast_peer.length === 0) {
    adjust("vmac_xmit_base", "strict mode has no vmac_xmit_base; it is ignored");
    draft.vmac_xmit_base = false;
  }
  if (draft.version === 2 && block.has("accept") && draft.priority !== 255) {
    adjust("accept", "strict mode: version 2 has no accept; it is ignored");
  }
  draft.accept = draft.priority === 255 || (draft.version === 3 && block.has("accept"));
  if (draft.auth_hmac !== undefined && draft.auth_hmac.mode !== "enforce") {
    adjust("auth_hmac", "strict mode: the mode of auth_hmac is enforce; goes on with that");
    draft.auth_hmac = { ...draft.auth_hmac, mode: "enforce" };
  }
}

function checkPreemption({ draft, adjust }: InstanceCheck): void {
  if (!draft.preempt && draft.priority === 255) {
    adjust("nopreempt", "nopreempt does not go with priority 255; it is ignored");
    draft.preempt = true;
  } else if (!draft.preempt && draft.state === "MASTER") {
    adjust(
      "nopreempt",
      "nopreempt does not work with state MASTER; it is ignored",
      "write state BACKUP on both hosts",
    );
    draft.preempt = true;
  }
  if (draft.preempt_delay === 0) return;
  if (!draft.preempt) {
    adjust("preempt_delay", "preempt_delay does not go with nopreempt; it is ignored");
  } else if (draft.state === "MASTER" && draft.priority !== 255) {
    adjust(
      "preempt_delay",
      "preempt_delay does not work with state MASTER; it is ignored",
      "write state BACKUP",
    );
  } else return;
  draft.preempt_delay = micros(0);
}

/** Version 2 has whole seconds, version 3 steps of 10 ms up to 40.95 s. RFC 3768 §5.3.7, RFC 9568 §5.2.7 */
function checkInterval({ draft, adjust }: InstanceCheck): void {
  const second = seconds(1);
  let allowed: Micros = draft.advert_int;
  if (draft.version === 2) {
    allowed = micros(Math.max(1, Math.round(draft.advert_int / second)) * second);
  } else {
    allowed = micros(Math.min(Math.round(draft.advert_int / 10_000) * 10_000, 40_950_000));
  }
  if (allowed === draft.advert_int) return;
  const rule =
    draft.version === 2
      ? "version 2 has whole seconds"
      : "version 3 has steps of 0.01 s up to 40.95 s";
  adjust(
    "advert_int",
    `advert_int ${toSeconds(draft.advert_int)}: ${rule}; goes on with ${toSeconds(allowed)}`,
    draft.version === 2 ? "write version 3 on all routers for shorter intervals" : undefined,
  );
  draft.advert_int = allowed;
}

function checkAuthentication({ draft, adjust }: InstanceCheck): void {
  if (draft.authentication === undefined) return;
  const drop = (message: string): void => {
    adjust("authentication", `${message}; it is ignored`);
    delete draft.authentication;
  };
  if (draft.auth_hmac !== undefined) drop("authentication does not go with auth_hmac");
  else if (draft.version === 3) drop("version 3 has no authentication");
  else if (draft.strict_mode) drop("strict mode has no authentication");
  else if (
    draft.authentication.type === "AH" &&
    draft.state === "MASTER" &&
    draft.priority !== 255
  ) {
    adjust("state", "state MASTER does not go with auth_type AH; goes on with BACKUP");
    draft.state = "BACKUP";
  }
}

/** As many as an advert may name: 255, and what fits into one packet beside the headers. RFC 9568 §5.2 */
function checkAddresses({ draft, context, adjust }: InstanceCheck): void {
  if (draft.virtual_ipaddress.length === 0) {
    if (draft.no_virtual_ipaddress) return;
    adjust(
      "virtual_ipaddress",
      draft.strict_mode
        ? `(${draft.name}) strict mode needs a virtual address`
        : `(${draft.name}) has no virtual address`,
      "write virtual_ipaddress { ... }, or no_virtual_ipaddress if none is meant",
    );
    return;
  }
  const mtu =
    (draft.interface === undefined
      ? undefined
      : context.host.findInterface(draft.interface)?.mtu) ?? 1500;
  const headers = draft.family === 4 ? 20 + 8 + 24 : 40 + 8 + 24;
  const size = draft.family === 4 ? 4 : 16;
  const room = Math.min(255, Math.max(1, Math.floor((mtu - headers) / size)));
  const count = draft.virtual_ipaddress.length;
  if (count <= room) return;
  adjust(
    "virtual_ipaddress",
    `(${draft.name}) ${count} addresses are more than an advert holds (${room}); the rest moves as virtual_ipaddress_excluded`,
  );
  draft.virtual_ipaddress_excluded = [
    ...draft.virtual_ipaddress.slice(room),
    ...draft.virtual_ipaddress_excluded,
  ];
  draft.virtual_ipaddress = draft.virtual_ipaddress.slice(0, room);
}

function checkVmac({ draft, block, adjust }: InstanceCheck): void {
  if (draft.vmac_xmit_base && draft.use_vmac === undefined && draft.use_ipvlan === undefined) {
    adjust("vmac_xmit_base", "vmac_xmit_base has no meaning without use_vmac; it is ignored");
    draft.vmac_xmit_base = false;
  }
  if (
    draft.use_ipvlan !== undefined &&
    draft.family === 4 &&
    draft.use_ipvlan.address === undefined
  ) {
    adjust(
      "use_ipvlan",
      `(${draft.name}) an IPv4 ipvlan needs an address; it stays in FAULT`,
      "write: use_ipvlan <name> <address>",
    );
  }
  if (draft.vrf !== undefined && block.has("interface")) {
    adjust("vrf", "vrf does not go with interface; it is ignored");
    delete draft.vrf;
  }
}

function checkTimerExpired({ draft, adjust }: InstanceCheck): void {
  if (draft.timer_expired_backup === undefined || !draft.preempt) return;
  adjust("timer_expired_backup", "timer_expired_backup needs nopreempt; it is ignored");
  delete draft.timer_expired_backup;
}

function checkOwnInterfaceTracking({ draft, context }: InstanceCheck): void {
  const own = draft.track_interface.find(({ name }) => name === draft.interface);
  if (own === undefined) return;
  context.diagnostics.warning(
    "config/corrected",
    own.at,
    `(${draft.name}) ${own.name} is the own interface, which is tracked anyway; the line is ignored`,
  );
  draft.track_interface = draft.track_interface.filter((track) => track !== own);
}

/** The owner's priority of 255 never changes, so weights have no meaning there. RFC 9568 §5.2.4 */
function checkOwnerTracking({ draft, context }: InstanceCheck): void {
  if (draft.priority !== 255) return;
  for (const kind of [
    "track_interface",
    "track_script",
    "track_file",
    "track_bfd",
    "track_proxy",
  ] as const) {
    for (const track of draft[kind]) {
      if (track.weight === 0) continue;
      if (kind === "track_file" && track.weight === 1) {
        context.diagnostics.warning(
          "config/corrected",
          track.at,
          `(${draft.name}) the file ${track.name} counts with weight 0, since the priority is 255`,
          "write weight 0",
        );
        continue;
      }
      context.diagnostics.warning(
        "config/corrected",
        track.at,
        `(${draft.name}) the priority 255 never changes, so ${track.name} cannot have a weight; the line is ignored`,
        "write weight 0 to mean FAULT",
      );
    }
    draft[kind] = draft[kind]
      .map((track) =>
        kind === "track_file" && track.weight === 1 ? { ...track, weight: 0 } : track,
      )
      .filter(({ weight }) => weight === 0);
  }
  draft.track_process = draft.track_process.filter(({ weight }) => weight === 0);
}
