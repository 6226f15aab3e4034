export {
  compareAddresses,
  type Family,
  formatAddress,
  formatMac,
  type IpAddress,
  ip,
  isLinkLocal,
  isMulticast,
  isUnspecified,
  type Prefix,
  parseAddress,
  parseMac,
  prefixContains,
  readAddress,
  sameAddress,
  writeAddress,
} from "./address.ts";
export { internetChecksum } from "./checksum.ts";
export {
  type Diagnostic,
  Diagnostics,
  formatDiagnostic,
  type Position,
  type Severity,
} from "./config/diagnostic.ts";
export { parseDecimal, parseInteger } from "./config/number.ts";
export { closestWord } from "./config/suggest.ts";
export type { Statement, Token } from "./config/tree.ts";
export { type Random, seededRandom } from "./random.ts";
export { assert, fail, ok, type Result, unreachable } from "./result.ts";
export {
  type Clock,
  centiseconds,
  type Micros,
  micros,
  milliseconds,
  seconds,
  type Timer,
  toMilliseconds,
  toSeconds,
} from "./time.ts";
export { TimerQueue } from "./timer-queue.ts";
