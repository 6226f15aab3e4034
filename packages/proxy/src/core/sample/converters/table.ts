import type { ConverterKeyword } from "../fetch-keyword.ts";

/** Every converter, as the manual lists them. */
export const CONVERTER_LIST: readonly ConverterKeyword[] = [];

export const CONVERTERS: ReadonlyMap<string, ConverterKeyword> = new Map(
  CONVERTER_LIST.map((keyword) => [keyword.name, keyword]),
);
