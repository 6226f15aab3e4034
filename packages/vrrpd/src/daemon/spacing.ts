import type { Config } from "../core/config/model.ts";
import type { Spacing } from "./announcements.ts";

/** Pauses between announcements, from `vrrp_garp_interval`, `vrrp_gna_interval` and `garp_group`. */
export function spacingOf({ globals, garp_groups }: Config): Spacing {
  const groupOf = (device: string): string => {
    const at = garp_groups.findIndex(({ interfaces }) => interfaces.includes(device));
    return at === -1 ? device : `group ${at}`;
  };
  return {
    groupOf,
    intervalOf: (device, family) => {
      const group = garp_groups.find(({ interfaces }) => interfaces.includes(device));
      return family === 4
        ? (group?.garp_interval ?? globals.vrrp_garp_interval)
        : (group?.gna_interval ?? globals.vrrp_gna_interval);
    },
  };
}
