import { parseInteger } from "@ha/base";
import { choice, integer, reader, text } from "@ha/base/keyword";
import { entry } from "./entry.ts";
import { wholeSeconds } from "./schemas.ts";
import { INSTANCE, NEW } from "./sources.ts";

/** Keywords inside `authentication { … }`. */
export const authenticationTable = {
  auth_type: entry({
    syntax: "auth_type PASS|AH",
    schema: reader<"PASS" | "AH">(([word], problem) =>
      word === "PASS" || word === "AH" ? word : problem("must be PASS or AH"),
    ),
    needs: 1,
    doc: "PASS: a clear text password in each advert. AH: an IPsec authentication header, IPv4 only.",
    source: `${INSTANCE}; RFC 2338 §5.3.6`,
    reload: "restart",
  }),
  auth_pass: entry({
    syntax: "auth_pass <password>",
    schema: text,
    needs: 1,
    doc: "At most 8 bytes count; the same on all routers.",
    source: INSTANCE,
    reload: "live",
  }),
};

/** Keywords inside `auth_hmac { … }`. */
export const hmacTable = {
  key: entry({
    syntax: "key <1..255> <text>|hex:<digits>|file:<path>",
    schema: reader<{ id: number; secret: string }>(([id = "", secret], problem) => {
      const value = parseInteger(id);
      if (value === undefined || value < 1 || value > 255) {
        return problem("must begin with a key id from 1 to 255");
      }
      return secret === undefined ? problem("needs a key after its id") : { id: value, secret };
    }),
    repeated: "all",
    needs: 2,
    since: "2.4",
    doc: "A secret of 32 to 64 bytes under an id; repeatable.",
    source: NEW,
    reload: "live",
  }),
  active_key: entry({
    syntax: "active_key <1..255>",
    schema: integer({ min: 1, max: 255 }),
    needs: 1,
    since: "2.4",
    doc: "The key that signs what we send. Needed.",
    source: NEW,
    reload: "live",
  }),
  anti_replay: entry<"time" | "monotonic">({
    syntax: "anti_replay time|monotonic",
    schema: choice("time", "monotonic"),
    default: "time",
    needs: 1,
    since: "2.4",
    doc: "time: the sender's clock must be within time_window of ours. monotonic: sequence numbers only grow.",
    source: NEW,
    reload: "live",
  }),
  time_window: entry({
    syntax: "time_window <1..300>",
    schema: wholeSeconds({ min: 1, max: 300 }),
    needs: 1,
    since: "2.4",
    doc: "Largest clock difference. Default: three advert intervals, at least 5 s.",
    source: NEW,
    reload: "live",
  }),
  mode: entry<"enforce" | "permissive" | "receive-only">({
    syntax: "mode enforce|permissive|receive-only",
    schema: choice("enforce", "permissive", "receive-only"),
    default: "enforce",
    needs: 1,
    since: "2.4",
    doc: "enforce: unsigned adverts are dropped. permissive: they are accepted. receive-only: the same, and ours are not signed.",
    source: NEW,
    reload: "live",
  }),
};
