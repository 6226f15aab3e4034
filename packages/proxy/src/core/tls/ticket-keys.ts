import { fail, ok, type Result } from "@ha/base";
import { decodeBase64 } from "../sample/converters/base64.ts";
import { encodeText, latin1 } from "../sample/sample.ts";

/** How many keys count: the last ones of the file. HAProxy configuration manual §5.1, tls-ticket-keys. */
export const TICKET_KEYS = 3;
/** Bytes of a key: AES-128 and AES-256. */
const SIZES = [48, 80];

/** The last `TICKET_KEYS` keys of a file, one in base64 a line, all of one size. Fails with HAProxy's words. */
export function parseTicketKeys(bytes: Uint8Array, path: string): Result<Uint8Array[], string> {
  const keys: Uint8Array[] = [];
  const rows = latin1(bytes, 0, bytes.length).split("\n");
  for (const [i, row] of rows.entries()) {
    const text = row.replace(/\r$/, "");
    if (text === "" && i === rows.length - 1) break;
    const key = decodeTicketKey(text);
    if (key === undefined) return fail(`'${path}' : wrong sized key on line ${i + 1}`);
    const [first] = keys;
    if (first !== undefined && first.length !== key.length) {
      return fail(`'${path}' : wrong sized key on line ${i + 1}`);
    }
    keys.push(key);
  }
  if (keys.length < TICKET_KEYS) {
    return fail(`'${path}' : please supply at least ${TICKET_KEYS} keys in the tls-tickets-file`);
  }
  return ok(keys.slice(-TICKET_KEYS));
}

/** Undefined for what is no base64, or no key's size. */
export function decodeTicketKey(text: string): Uint8Array | undefined {
  const bytes = encodeText(text);
  const key = decodeBase64(bytes, 0, bytes.length, false);
  return key !== undefined && SIZES.includes(key.length) ? key : undefined;
}
