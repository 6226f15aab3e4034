import { parseAddress } from "@ha/base";
import { castChecked } from "../cast.ts";
import { refuse } from "../compile-context.ts";
import type { ConverterKeyword } from "../fetch-keyword.ts";
import {
  ADDR,
  encodeText,
  IPV4,
  IPV6,
  latin1,
  room,
  type Sample,
  SINT,
  STR,
  setBytes,
  setInt,
  setRange,
} from "../sample.ts";
import { lowerCase } from "./text.ts";

const SOURCE = "HAProxy configuration manual §7.3.1";

/** Converters over hosts, addresses and languages. */
export const HOST_CONVERTERS: readonly ConverterKeyword[] = [
  {
    name: "host_only",
    syntax: "host_only",
    doc: "The host of a Host field's value, lower case, without its port.",
    source: SOURCE,
    input: STR,
    output: STR,
    compile: () => (sample, transaction) => {
      const colon = portColon(sample);
      if (colon !== -1) sample.end = colon;
      return lowerCase(sample, transaction);
    },
  },
  {
    name: "port_only",
    syntax: "port_only",
    doc: "The port of a Host field's value; 0 without one.",
    source: SOURCE,
    input: STR,
    output: SINT,
    compile: () => (sample, transaction) => {
      const colon = portColon(sample);
      if (colon === -1) return setInt(sample, 0);
      sample.start = colon + 1;
      return castChecked(sample, SINT, transaction);
    },
  },
  {
    name: "language",
    syntax: "language(<value>[,<default>])",
    doc: "The one of the languages (parted by ;) that Accept-Language prefers; <default> when it takes none.",
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [1, 2],
    compile: ([list, fallback]) => {
      const known = (list?.text ?? "").split(";").map((language) => language.toLowerCase());
      return (sample) => {
        const best = preferred(latin1(sample.bytes, sample.start, sample.end), known);
        const text = best ?? fallback?.text;
        return text !== undefined && setBytes(sample, STR, encodeText(text));
      };
    },
  },
  {
    name: "ipmask",
    syntax: "ipmask(<mask4>,[<mask6>])",
    doc: "The network of the address: bits or a mask for IPv4, and for IPv6.",
    source: SOURCE,
    input: ADDR,
    output: ADDR,
    arity: [1, 2],
    compile: ([four, six], context, token) => {
      const mask4 = maskOf(four?.text ?? "", 32);
      const mask6 = six === undefined ? undefined : maskOf(six.text, 128);
      if (mask4 === undefined || (six !== undefined && mask6 === undefined))
        return refuse(
          context,
          token,
          "a mask is a number of bits, or an address of ones and zeros",
        );
      return (sample, transaction) => {
        const size = sample.end - sample.start;
        const mask = sample.type === IPV4 ? mask4 : mask6;
        if (mask === undefined) return false;
        const at = room(transaction.scratch, size);
        if (at < 0) return false;
        const { bytes } = transaction;
        for (let i = 0; i < size; i++)
          bytes[at + i] = (sample.bytes[sample.start + i] as number) & (mask[i] as number);
        return setRange(sample, sample.type === IPV4 ? IPV4 : IPV6, bytes, at, at + size);
      };
    },
  },
];

/** Where the colon before a port stands; -1 without one. Colons in brackets belong to IPv6. */
function portColon({ bytes, start, end }: Sample): number {
  for (let at = end - 1; at >= start; at--) {
    const byte = bytes[at] as number;
    if (byte === 0x3a) return at;
    if (byte < 0x30 || byte > 0x39) return -1;
  }
  return -1;
}

function preferred(header: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let weight = 0;
  for (const part of header.split(",")) {
    const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
    const quality = parameters
      .map((parameter) => /^q=(\d(?:\.\d+)?)$/.exec(parameter)?.[1])
      .find((text) => text !== undefined);
    const value = quality === undefined ? 1 : Number(quality);
    if (value <= weight || !known.includes(range)) continue;
    best = range;
    weight = value;
  }
  return best;
}

function maskOf(text: string, bits: 32 | 128): Uint8Array | undefined {
  if (/^\d{1,3}$/.test(text)) {
    const ones = Number(text);
    if (ones > bits) return undefined;
    return Uint8Array.from(
      { length: bits / 8 },
      (_, i) => (0xff00 >> Math.max(0, Math.min(8, ones - 8 * i))) & 0xff,
    );
  }
  const address = parseAddress(text);
  return address !== undefined && address.bytes.length * 8 === bits ? address.bytes : undefined;
}
