import type { Family, IpAddress } from "@ha/base";
import {
  type Classic,
  encodeClassic,
  instruction,
  JGE,
  LD_B,
  LD_B_IND,
  LDX_IMM,
  LDX_MSH,
  NETWORK,
  RETURN_ALL,
  RETURN_NOTHING,
  whenAddress,
  whenEqual,
  whenNotEqual,
} from "./classic-bpf.ts";
import { AH_SIZE } from "./vrrp-filter.ts";
import {
  type FilterRouter,
  IPPROTO_AH,
  IPPROTO_VRRP,
  type KernelFilter,
} from "./vrrp-transport.ts";

/**
 * The same filter in classic BPF, for systems that refuse eBPF. It tests own source, VRID, TTL, version, type and
 * source, not lengths, authentication or sums, and cannot count.
 */
export function classicFilter(
  filter: KernelFilter,
  kind: { readonly family: Family; readonly protocol: number },
): Uint8Array {
  const program: Classic[] = [];
  const { family } = kind;
  const ah = kind.protocol === IPPROTO_AH ? AH_SIZE : 0;
  const sourceAt = NETWORK + (family === 4 ? 12 : 8);
  const body = (at: number): void => {
    program.push(instruction(LD_B_IND, at + ah));
  };
  // X becomes where the payload begins, as each family's raw socket shows the packet.
  program.push(family === 4 ? instruction(LDX_MSH, 0) : instruction(LDX_IMM, 0));
  for (const own of filter.ownAddresses) {
    if (own.family === family) program.push(...whenAddress(own, sourceAt, [RETURN_NOTHING]));
  }
  body(1);
  for (const router of filter.routers) {
    program.push(...whenEqual(router.vrid, classicRouter(router, family, ah, sourceAt)));
  }
  program.push(RETURN_NOTHING);
  return encodeClassic(program);
}

/**
 * A program that knows the winner's advert while we leave: of one of our versions and VRID, not priority 0, not from
 * ourselves. Over packets from their IP header on, without options; for the guard, which listens with AF_PACKET.
 */
export function winnerProgram(options: {
  readonly family: Family;
  readonly vrid: number;
  readonly version: 2 | 3;
  readonly minTtl: number;
  readonly ownAddresses: readonly IpAddress[];
  readonly sources?: readonly IpAddress[];
  readonly authenticationHeader?: boolean;
}): Uint8Array {
  const { family } = options;
  const protocol = options.authenticationHeader === true ? IPPROTO_AH : IPPROTO_VRRP;
  const header = family === 4 ? 20 : 40;
  const start = header + (protocol === IPPROTO_AH ? AH_SIZE : 0);
  const sourceAt = family === 4 ? 12 : 8;
  const need = (at: number, value: number): Classic[] => [
    instruction(LD_B, at),
    ...whenNotEqual(value, [RETURN_NOTHING]),
  ];
  const program: Classic[] = [];
  if (family === 4) program.push(...need(0, 0x45));
  program.push(...need(family === 4 ? 9 : 6, protocol));
  program.push(instruction(LD_B, family === 4 ? 8 : 7));
  program.push({ code: JGE, jt: 1, jf: 0, k: options.minTtl }, RETURN_NOTHING);
  program.push(...need(start, (options.version << 4) | 1));
  program.push(...need(start + 1, options.vrid));
  program.push(instruction(LD_B, start + 2), ...whenEqual(0, [RETURN_NOTHING]));
  for (const own of options.ownAddresses) {
    if (own.family === family) program.push(...whenAddress(own, sourceAt, [RETURN_NOTHING]));
  }
  if (options.sources === undefined) {
    program.push(RETURN_ALL);
  } else {
    for (const source of options.sources) {
      if (source.family === family) program.push(...whenAddress(source, sourceAt, [RETURN_ALL]));
    }
    program.push(RETURN_NOTHING);
  }
  return encodeClassic(program);
}

function classicRouter(
  router: FilterRouter,
  family: Family,
  ah: number,
  sourceAt: number,
): Classic[] {
  const program: Classic[] = [
    instruction(LD_B, NETWORK + (family === 4 ? 8 : 7)),
    { code: JGE, jt: 1, jf: 0, k: router.minTtl },
    RETURN_NOTHING,
    { code: JGE, jt: 0, jf: 1, k: router.maxTtl + 1 },
    RETURN_NOTHING,
    instruction(LD_B_IND, ah),
    ...whenNotEqual((router.version << 4) | 1, [RETURN_NOTHING]),
  ];
  if (router.sources === undefined) return [...program, RETURN_ALL];
  for (const source of router.sources) {
    if (source.family === family) program.push(...whenAddress(source, sourceAt, [RETURN_ALL]));
  }
  return [...program, RETURN_NOTHING];
}
