import type { FetchKeyword } from "../fetch-keyword.ts";
import { CERTIFICATE_FETCHES } from "./certificate.ts";
import { CLIENT_FETCHES } from "./client.ts";
import { COUNTER_FETCHES } from "./counters.ts";
import { BODY_FETCHES } from "./http-body.ts";
import { COOKIE_FETCHES } from "./http-cookies.ts";
import { FIELD_FETCHES } from "./http-fields.ts";
import { LINE_FETCHES } from "./http-line.ts";
import { INTERNAL_FETCHES } from "./internal.ts";
import { PAYLOAD_FETCHES } from "./payload.ts";
import { TIMING_FETCHES } from "./timing.ts";
import { TLS_FETCHES } from "./tls.ts";

/** Every fetch, as the manual lists them. */
export const FETCH_LIST: readonly FetchKeyword[] = [
  ...INTERNAL_FETCHES,
  ...CLIENT_FETCHES,
  ...COUNTER_FETCHES,
  ...TLS_FETCHES,
  ...CERTIFICATE_FETCHES,
  ...PAYLOAD_FETCHES,
  ...LINE_FETCHES,
  ...FIELD_FETCHES,
  ...COOKIE_FETCHES,
  ...BODY_FETCHES,
  ...TIMING_FETCHES,
];

/** By name and alias. */
export const FETCHES: ReadonlyMap<string, FetchKeyword> = new Map(
  FETCH_LIST.flatMap((keyword) =>
    [keyword.name, ...(keyword.aliases ?? [])].map((name) => [name, keyword] as const),
  ),
);
