import type { IpAddress } from "@ha/base";
import type { FilterRouter } from "@ha/linux";
import { OLD_CHECKSUM_GROUP, padded } from "../core/admission.ts";
import type { Router } from "../core/router.ts";

/**
 * What the kernel may refuse for a router before it costs us anything: only what the core would refuse as well, so that
 * the filter is never the stricter of the two.
 */
export function filterOf(router: Router): FilterRouter {
  const { destination } = router;
  const multicast = destination.type === "multicast";
  const limited =
    !multicast &&
    destination.peers.some(({ minTtl, maxTtl }) => minTtl !== undefined || maxTtl !== undefined);
  const onlyPeers = !multicast && (destination.checkSource || limited || router.hmac !== undefined);
  return {
    vrid: router.vrid,
    version: router.version,
    // A unicast peer's own limits are the core's to judge: the filter has one range for all.
    minTtl: multicast ? 255 : 0,
    maxTtl: 255,
    ...(onlyPeers ? { sources: destination.peers.map(({ address }) => address) } : {}),
    authentication: authenticationOf(router),
    checksums: checksumsOf(router),
  };
}

function authenticationOf({ version, authentication }: Router): FilterRouter["authentication"] {
  if (version === 3) return "any";
  switch (authentication.type) {
    case "none":
      return "none";
    case "pass":
      return { pass: padded(authentication.password) };
    case "ah":
      return "ah";
  }
}

function checksumsOf(router: Router): readonly ("plain" | "pseudo" | IpAddress)[] {
  if (router.hmac !== undefined || router.authentication.type === "ah") return [];
  if (router.version === 2) return ["plain"];
  if (router.family === 6) return ["pseudo"];
  const own = router.checksumAsV2 ? "plain" : "pseudo";
  const { destination } = router;
  const old = destination.type === "unicast" && destination.oldChecksum !== "never";
  return old ? [own, OLD_CHECKSUM_GROUP] : [own];
}
