import { createHmac } from "node:crypto";
import type { Digests } from "../core/ports.ts";

/** The keyed digests of HMAC and AH adverts. */
export const digests: Digests = {
  hmacSha256: (key, data) => createHmac("sha256", key).update(data).digest(),
  hmacMd5: (key, data) => createHmac("md5", key).update(data).digest(),
};
