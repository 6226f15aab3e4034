import {
  type IpAddress,
  isMulticast,
  type Micros,
  micros,
  parseAddress,
  parseDecimal,
  parseInteger,
  seconds,
} from "@ha/base";
import { reader, type Schema } from "@ha/base/keyword";

/** The keyword alone turns it on; what follows is not read. keepalived.conf(5) */
export const flag: Schema<boolean> = reader(() => true);

/** `on|off|true|false|yes|no`, in lower case; nothing means on. */
export const boolean: Schema<boolean> = reader(([word], problem) =>
  word === undefined ? true : (parseBoolean(word) ?? problem(BOOLEAN)),
);

/** As `boolean`, but a value must follow. */
export const writtenBoolean: Schema<boolean> = reader(
  ([word = ""], problem) => parseBoolean(word) ?? problem(BOOLEAN),
);

const BOOLEAN = "must be on, off, true, false, yes or no";

export function parseBoolean(word: string): boolean | undefined {
  if (word === "on" || word === "true" || word === "yes") return true;
  if (word === "off" || word === "false" || word === "no") return false;
  return undefined;
}

/** Seconds with up to six decimals. */
export function decimalSeconds({ min, max }: { min: number; max: number }): Schema<Micros> {
  return reader(([word = ""], problem) => {
    const value = parseDecimal(word, 6);
    return value === undefined || value < min * 1e6 || value > max * 1e6
      ? problem(`must be a number of seconds from ${min} to ${max}, with up to 6 decimals`)
      : micros(value);
  });
}

/** Seconds with up to three decimals. */
export function milliSeconds({ min, max }: { min: number; max: number }): Schema<Micros> {
  return reader(([word = ""], problem) => {
    const value = parseDecimal(word, 3);
    return value === undefined || value < min * 1e3 || value > max * 1e3
      ? problem(`must be a number of seconds from ${min} to ${max}, with up to 3 decimals`)
      : micros(value * 1e3);
  });
}

/** Whole seconds. */
export function wholeSeconds({ min, max }: { min: number; max: number }): Schema<Micros> {
  return reader(([word = ""], problem) => {
    const value = parseInteger(word);
    return value === undefined || value < min || value > max
      ? problem(`must be a whole number of seconds from ${min} to ${max}`)
      : seconds(value);
  });
}

/** Milliseconds with up to three decimals. */
export function decimalMilliseconds({ min, max }: { min: number; max: number }): Schema<Micros> {
  return reader(([word = ""], problem) => {
    const value = parseDecimal(word, 3);
    return value === undefined || value < min * 1e3 || value > max * 1e3
      ? problem(`must be a number of milliseconds from ${min} to ${max}, with up to 3 decimals`)
      : micros(value);
  });
}

export interface Weight {
  readonly weight: number;
  readonly reverse: boolean;
}

/** `<n> [reverse]`. Without a number, or with a word that is not `reverse`, it is wrong. */
export function weight(limit: 253 | 254): Schema<Weight> {
  return reader(([word = "", option, ...rest], problem) => {
    const value = parseInteger(word);
    if (value === undefined || Math.abs(value) > limit) {
      return problem(`must be a whole number from -${limit} to ${limit}`);
    }
    if (option !== undefined && option !== "reverse") {
      return problem(`may be followed by reverse, not by '${[option, ...rest].join(" ")}'`);
    }
    return { weight: value, reverse: option === "reverse" };
  });
}

/** An address of one family or either; a prefix length after `/` is not read, as in keepalived. */
export function address(
  kind: "any" | "unicast-or-any" | "multicast",
  family?: 4 | 6,
): Schema<IpAddress> {
  const what = `${kind === "multicast" ? "a multicast" : "an"} ${
    family === undefined ? "IPv4 or IPv6" : `IPv${family}`
  } address`;
  return reader(([word = ""], problem) => {
    const found = parseAddress(word.replace(/\/.*$/, ""));
    if (found === undefined || (family !== undefined && found.family !== family)) {
      return problem(`must be ${what}`);
    }
    return kind === "multicast" && !isMulticast(found) ? problem(`must be ${what}`) : found;
  });
}

/** Network interface names: at most 15 bytes, no blank, no slash. linux: dev_valid_name */
export const interfaceName: Schema<string> = reader(([word = ""], problem) =>
  isInterfaceName(word) ? word : problem("must be an interface name of at most 15 characters"),
);

export function isInterfaceName(word: string): boolean {
  return word !== "" && word.length <= 15 && word !== "." && word !== ".." && !/[/\s]/.test(word);
}

/** All the words: a value whose reading needs more than the words (users, files), or that is a block of lines. */
export const words: Schema<readonly string[]> = reader((all) => all);

/** `garp_extra_if [all] <seconds>`: for the instance and as global default. */
export function garpExtra(
  min: 0 | 1,
): Schema<{ readonly interval: Micros; readonly all: boolean }> {
  return reader(([first, second], problem) => {
    const all = first === "all";
    const word = all ? second : first;
    if (word === undefined) return problem("needs a time");
    const value = parseInteger(word);
    return value === undefined || value < min || value > 86_400
      ? problem(`must be a whole number of seconds from ${min} to 86400`)
      : { interval: seconds(value), all };
  });
}

export const oneForZero = ([word]: readonly string[]): number | undefined =>
  word !== undefined && /^\+?0+$/.test(word) ? 1 : undefined;

/** One address or several. */
export function addressList(): Schema<readonly IpAddress[]> {
  return reader((all, problem) => {
    const found: IpAddress[] = [];
    for (const word of all) {
      const one = parseAddress(word);
      if (one === undefined) return problem(`must be IP addresses, '${word}' is none`);
      found.push(one);
    }
    return found;
  });
}

export function versionSchema(): Schema<2 | 3> {
  return reader(([word = ""], problem) => {
    const value = parseInteger(word);
    return value === 2 || value === 3 ? value : problem("must be 2 or 3");
  });
}
