export type * from "./config/host.ts";
export type * from "./config/model.ts";
