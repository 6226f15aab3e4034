import { formatAddress } from "@ha/base";
import type { Config } from "../core/config/model.ts";

/** The virtual addresses of all instances, as text: none of them is a source for adverts. */
export function virtualAddresses(config: Config): Set<string> {
  return new Set(
    config.instances.flatMap(({ virtual_ipaddress, virtual_ipaddress_excluded }) =>
      [...virtual_ipaddress, ...virtual_ipaddress_excluded].map(({ address }) =>
        formatAddress(address),
      ),
    ),
  );
}
