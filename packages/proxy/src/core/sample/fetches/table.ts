import type { FetchKeyword } from "../fetch-keyword.ts";
import { CLIENT_FETCHES } from "./client.ts";
import { FIELD_FETCHES } from "./http-fields.ts";
import { INTERNAL_FETCHES } from "./internal.ts";

/** Every fetch, as the manual lists them. */
export const FETCH_LIST: readonly FetchKeyword[] = [
  ...INTERNAL_FETCHES,
  ...CLIENT_FETCHES,
  ...FIELD_FETCHES,
];

/** By name and alias. */
export const FETCHES: ReadonlyMap<string, FetchKeyword> = new Map(
  FETCH_LIST.flatMap((keyword) =>
    [keyword.name, ...(keyword.aliases ?? [])].map((name) => [name, keyword] as const),
  ),
);
