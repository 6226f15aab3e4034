import {
  BodyWriter,
  hostOrder,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_REQUEST,
  netlinkMessage,
} from "./netlink-codec.ts";

/**
 * Messages of nf_tables: as much as the firewall of no_accept and VMACs needs, so that no `nft` program has to be there.
 * Numbers in nf_tables attributes are big-endian. linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h.
 */

export const NFPROTO = { ipv4: 2, netdev: 5, ipv6: 10 } as const;
export type NftFamily = (typeof NFPROTO)[keyof typeof NFPROTO];

const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFT_MSG = {
  newTable: 0,
  delTable: 2,
  newChain: 3,
  newRule: 6,
  newSet: 9,
  newElements: 12,
  delElements: 14,
} as const;
const NLM_F_APPEND = 0x800;

/** One change within a batch. */
export interface NftOperation {
  readonly type: number;
  readonly flags: number;
  readonly family: NftFamily;
  readonly body: Uint8Array;
}

/** All changes or none, as one datagram for NETLINK_NETFILTER. */
export function nftBatch(operations: readonly NftOperation[]): Uint8Array {
  const bound = (type: number, sequence: number): Uint8Array =>
    netlinkMessage({
      type,
      flags: NLM_F_REQUEST,
      sequence,
      body: familyHeader(0, NFNL_SUBSYS_NFTABLES),
    });
  const pieces = [
    bound(NFNL_MSG_BATCH_BEGIN, 1),
    ...operations.map(({ type, flags, family, body }, i) => {
      const header = familyHeader(family, 0);
      const whole = new Uint8Array(header.length + body.length);
      whole.set(header);
      whole.set(body, header.length);
      return netlinkMessage({
        type: (NFNL_SUBSYS_NFTABLES << 8) | type,
        flags: flags | NLM_F_REQUEST | NLM_F_ACK,
        sequence: i + 2,
        body: whole,
      });
    }),
    bound(NFNL_MSG_BATCH_END, operations.length + 2),
  ];
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

export function newTable(family: NftFamily, table: string): NftOperation {
  return operation(NFT_MSG.newTable, NLM_F_CREATE, family, (out) => out.text(1, table));
}

export function deleteTable(family: NftFamily, table: string): NftOperation {
  return operation(NFT_MSG.delTable, 0, family, (out) => out.text(1, table));
}

const HOOKS = { input: 1, output: 3 } as const;

/** A base chain of type filter, policy accept. */
export function newChain(
  family: NftFamily,
  chain: {
    readonly table: string;
    readonly name: string;
    readonly hook: keyof typeof HOOKS;
    readonly priority: number;
  },
): NftOperation {
  return operation(NFT_MSG.newChain, NLM_F_CREATE, family, (out) =>
    out
      .text(1, chain.table)
      .text(3, chain.name)
      .nested(
        4,
        (hook) => hook.bytes(1, big32(HOOKS[chain.hook])).bytes(2, big32(chain.priority)),
        true,
      )
      .bytes(5, big32(VERDICT.accept))
      .text(7, "filter"),
  );
}

const NETDEV_EGRESS = 1;

/** A base chain through which all frames leave that the device sends, ARP among them; with policy drop none does. */
export function newEgressDrop(chain: {
  readonly table: string;
  readonly name: string;
  readonly device: string;
}): NftOperation {
  return operation(NFT_MSG.newChain, NLM_F_CREATE, NFPROTO.netdev, (out) =>
    out
      .text(1, chain.table)
      .text(3, chain.name)
      .nested(
        4,
        (hook) => hook.bytes(1, big32(NETDEV_EGRESS)).bytes(2, big32(0)).text(3, chain.device),
        true,
      )
      .bytes(5, big32(VERDICT.drop))
      .text(7, "filter"),
  );
}

/** `types`: nft's numbers for its own display; several make a concatenation. */
export function newSet(
  family: NftFamily,
  set: {
    readonly table: string;
    readonly name: string;
    readonly types: readonly number[];
    readonly keyLength: number;
    readonly id: number;
  },
): NftOperation {
  const type = set.types.reduce((joined, part) => (joined << 6) | part, 0);
  return operation(NFT_MSG.newSet, NLM_F_CREATE, family, (out) =>
    out
      .text(1, set.table)
      .text(2, set.name)
      .bytes(3, big32(0))
      .bytes(4, big32(type))
      .bytes(5, big32(set.keyLength))
      .bytes(10, big32(set.id)),
  );
}

/** Data types by nft's numbers. */
export const NFT_TYPE = { ipv4: 7, ipv6: 8, interface: 20 } as const;

export function newElements(
  family: NftFamily,
  set: { readonly table: string; readonly name: string },
  keys: readonly Uint8Array[],
): NftOperation {
  return elements(NFT_MSG.newElements, NLM_F_CREATE, family, set, keys);
}

export function deleteElements(
  family: NftFamily,
  set: { readonly table: string; readonly name: string },
  keys: readonly Uint8Array[],
): NftOperation {
  return elements(NFT_MSG.delElements, 0, family, set, keys);
}

function elements(
  type: number,
  flags: number,
  family: NftFamily,
  set: { readonly table: string; readonly name: string },
  keys: readonly Uint8Array[],
): NftOperation {
  return operation(type, flags, family, (out) =>
    out
      .text(1, set.table)
      .text(2, set.name)
      .nested(
        3,
        (list) => {
          for (const key of keys) {
            list.nested(
              1,
              (element) => element.nested(1, (data) => data.bytes(1, key), true),
              true,
            );
          }
        },
        true,
      ),
  );
}

/** One expression of a rule: its name and how to write its attributes. */
export interface NftExpression {
  readonly name: string;
  readonly write: (out: BodyWriter) => void;
}

export function newRule(
  family: NftFamily,
  place: { readonly table: string; readonly chain: string },
  expressions: readonly NftExpression[],
): NftOperation {
  return operation(NFT_MSG.newRule, NLM_F_CREATE | NLM_F_APPEND, family, (out) =>
    out
      .text(1, place.table)
      .text(2, place.chain)
      .nested(
        4,
        (list) => {
          for (const { name, write } of expressions) {
            list.nested(1, (entry) => entry.text(1, name).nested(2, write, true), true);
          }
        },
        true,
      ),
  );
}

const VERDICT = { drop: 0, accept: 1 } as const;
/** The first general register: 16 bytes; the second part of a concatenation with an IPv6 address follows it. */
const REGISTER = 1;
const REGISTER_AFTER_16 = 12;
const META = { inInterface: 4, outInterface: 5, transport: 16 } as const;
const PAYLOAD_NETWORK = 1;
const PAYLOAD_TRANSPORT = 2;

function load(base: number, offset: number, length: number): NftExpression {
  return {
    name: "payload",
    write: (out) =>
      out
        .bytes(1, big32(REGISTER))
        .bytes(2, big32(base))
        .bytes(3, big32(offset))
        .bytes(4, big32(length)),
  };
}

export function networkBytes(offset: number, length: number): NftExpression {
  return load(PAYLOAD_NETWORK, offset, length);
}

export function transportBytes(offset: number, length: number): NftExpression {
  return load(PAYLOAD_TRANSPORT, offset, length);
}

export function meta(key: keyof typeof META, second = false): NftExpression {
  const register = second ? REGISTER_AFTER_16 : REGISTER;
  return { name: "meta", write: (out) => out.bytes(1, big32(register)).bytes(2, big32(META[key])) };
}

export function equals(value: Uint8Array): NftExpression {
  return {
    name: "cmp",
    write: (out) =>
      out
        .bytes(1, big32(REGISTER))
        .bytes(2, big32(0))
        .nested(3, (data) => data.bytes(1, value), true),
  };
}

/** What was loaded last, with all bits but these cleared. */
export function masked(mask: Uint8Array): NftExpression {
  return {
    name: "bitwise",
    write: (out) =>
      out
        .bytes(1, big32(REGISTER))
        .bytes(2, big32(REGISTER))
        .bytes(3, big32(mask.length))
        .nested(4, (data) => data.bytes(1, mask), true)
        .nested(5, (data) => data.bytes(1, new Uint8Array(mask.length)), true),
  };
}

export function isIn(set: { readonly name: string; readonly id: number }): NftExpression {
  return {
    name: "lookup",
    write: (out) => out.text(1, set.name).bytes(2, big32(REGISTER)).bytes(4, big32(set.id)),
  };
}

export function counter(): NftExpression {
  return { name: "counter", write: (out) => out };
}

export function verdict(what: keyof typeof VERDICT): NftExpression {
  return {
    name: "immediate",
    write: (out) =>
      out
        .bytes(1, big32(0))
        .nested(
          2,
          (data) => data.nested(2, (inner) => inner.bytes(1, big32(VERDICT[what])), true),
          true,
        ),
  };
}

function operation(
  type: number,
  flags: number,
  family: NftFamily,
  write: (out: BodyWriter) => BodyWriter,
): NftOperation {
  return { type, flags, family, body: write(new BodyWriter()).finish() };
}

/** struct nfgenmsg. */
function familyHeader(family: number, resource: number): Uint8Array {
  return Uint8Array.of(family, 0, resource >> 8, resource & 0xff);
}

function big32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value | 0);
  return bytes;
}

/** An interface index as sets hold it. */
export function interfaceKey(ifindex: number): Uint8Array {
  return hostOrder(4, ifindex);
}
