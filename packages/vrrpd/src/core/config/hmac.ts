import { type Micros, micros, type Statement, seconds } from "@ha/base";
import { hmacTable } from "./authentication-table.ts";
import { readBlock } from "./block.ts";
import type { BuildContext } from "./build-context.ts";
import type { AuthHmac, HmacKey } from "./model.ts";
import { encodeUtf8 } from "./utf8.ts";

/**
 * `auth_hmac { … }`. Undefined, with a complaint, when there is no usable active key: then the extension is off.
 * observed: keepalived 2.4.3
 */
export function buildHmac(
  statement: Statement,
  instance: string,
  interval: Micros,
  context: BuildContext,
): AuthHmac | undefined {
  const { diagnostics } = context;
  const [keyword] = statement.words;
  const block = readBlock(hmacTable, statement.body ?? [], diagnostics, { at: keyword.at });
  const keys: HmacKey[] = [];
  for (const { value, statement: line } of block.all("key")) {
    const [, , secret] = line.words;
    const key = readKey(value.secret, secret?.at ?? keyword.at, context);
    if (key === undefined) continue;
    if (keys.some(({ id }) => id === value.id)) {
      diagnostics.error("config/duplicate", line.words[0].at, `key ${value.id} is given already`);
      continue;
    }
    keys.push({ id: value.id, key });
  }
  const active = block.get("active_key");
  if (active === undefined || !keys.some(({ id }) => id === active)) {
    diagnostics.error(
      "config/hmac",
      block.positionOf("active_key"),
      active === undefined
        ? `(${instance}) auth_hmac has no active_key; adverts go unsigned`
        : `(${instance}) active_key ${active} is not among the keys; adverts go unsigned`,
    );
    return undefined;
  }
  return {
    keys,
    active_key: active,
    anti_replay: block.take("anti_replay") ?? "time",
    time_window: block.get("time_window") ?? micros(Math.max(3 * interval, seconds(5))),
    mode: block.take("mode") ?? "enforce",
  };
}

function readKey(
  written: string,
  at: Statement["words"][0]["at"],
  { host, diagnostics }: BuildContext,
): Uint8Array | undefined {
  const refuse = (message: string): undefined => {
    diagnostics.error(
      "config/hmac",
      at,
      message,
      "write 32 to 64 bytes: as text, hex:<digits> or file:<path>",
    );
    return undefined;
  };
  let text = written;
  if (written.startsWith("file:")) {
    const path = written.slice("file:".length);
    const read = host.readFile(path);
    if (read === undefined)
      return host.checksWorld ? refuse(`cannot read the key file ${path}`) : new Uint8Array(32);
    const mode = host.fileMode(path);
    if (mode !== undefined && (mode.mode & 0o077) !== 0) {
      diagnostics.warning(
        "config/key-file-readable",
        at,
        `the key file ${path} can be read by others`,
        `chmod 600 ${path}`,
      );
    }
    text = read.replace(/\r?\n$/, "");
  }
  if (text.startsWith("hex:")) {
    const digits = text.slice("hex:".length).trim();
    if (!/^([0-9a-fA-F]{2})+$/.test(digits))
      return refuse("hex: needs an even number of hexadecimal digits");
    const bytes = digits.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? [];
    return sized(Uint8Array.from(bytes), refuse);
  }
  return sized(encodeUtf8(text), refuse);
}

function sized(key: Uint8Array, refuse: (message: string) => undefined): Uint8Array | undefined {
  return key.length < 32 || key.length > 64 ? refuse(`the key has ${key.length} bytes`) : key;
}
