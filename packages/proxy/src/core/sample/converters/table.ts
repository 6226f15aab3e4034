import type { ConverterKeyword } from "../fetch-keyword.ts";
import { DIGEST_CONVERTERS } from "./digest.ts";
import { ENCODING_CONVERTERS } from "./encoding.ts";
import { FLOW_CONVERTERS } from "./flow.ts";
import { HOST_CONVERTERS } from "./host.ts";
import { JSON_CONVERTERS } from "./json.ts";
import { LOOKUP_CONVERTERS } from "./lookup.ts";
import { NUMBER_CONVERTERS } from "./number.ts";
import { TEXT_CONVERTERS } from "./text.ts";
import { TIME_CONVERTERS } from "./time.ts";

/** Every converter, as the manual lists them. */
export const CONVERTER_LIST: readonly ConverterKeyword[] = [
  ...TEXT_CONVERTERS,
  ...ENCODING_CONVERTERS,
  ...HOST_CONVERTERS,
  ...NUMBER_CONVERTERS,
  ...DIGEST_CONVERTERS,
  ...JSON_CONVERTERS,
  ...TIME_CONVERTERS,
  ...LOOKUP_CONVERTERS,
  ...FLOW_CONVERTERS,
];

export const CONVERTERS: ReadonlyMap<string, ConverterKeyword> = new Map(
  CONVERTER_LIST.map((keyword) => [keyword.name, keyword]),
);
