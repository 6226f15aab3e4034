// An entry of its own, so that only who reads keyword tables pays for loading zod.
export { type Keyword, reader, type Schema, type Values } from "./config/keyword.ts";
export { choice, integer, text } from "./config/values.ts";
