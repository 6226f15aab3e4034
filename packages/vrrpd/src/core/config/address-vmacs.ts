import type { BuildContext } from "./build-context.ts";
import type { AddressVmac, Instance, VirtualAddress } from "./model.ts";
import { isTaken, virtualMac } from "./vmac-line.ts";

/** What of an instance decides on which macvlans its addresses go. */
type Router = Pick<
  Instance,
  "name" | "family" | "interface" | "virtual_router_id" | "use_vmac_addr"
>;

/**
 * Gives a macvlan to each address that wants one: with `use_vmac` in its line, or by `use_vmac_addr` when it is on another
 * interface than the instance or of another family. Addresses of one interface and family share it.
 * keepalived.conf(5), use_vmac_addr; observed: keepalived 2.2.7, which names them vrrp.VRID, vrrp1.VRID …, vrrp6.VRID.
 */
export class AddressVmacs {
  readonly #router: Router;
  readonly #context: BuildContext;
  readonly #made = new Map<string, AddressVmac>();

  constructor(router: Router, context: BuildContext) {
    this.#router = router;
    this.#context = context;
  }

  assign(addresses: readonly VirtualAddress[]): VirtualAddress[] {
    return addresses.map((address) => {
      const vmac = this.#wants(address) ? this.#vmacFor(address) : undefined;
      return vmac === undefined ? address : { ...address, vmac };
    });
  }

  #wants({ address, dev, use_vmac }: VirtualAddress): boolean {
    const router = this.#router;
    if (use_vmac) return dev !== undefined || address.family !== router.family;
    if (!router.use_vmac_addr) return false;
    return (dev !== undefined && dev !== router.interface) || address.family !== router.family;
  }

  #vmacFor({ address: { family }, dev }: VirtualAddress): AddressVmac | undefined {
    const { interface: own, name, virtual_router_id: vrid } = this.#router;
    const parent = dev ?? own;
    if (parent === undefined) return undefined;
    const key = `${family} ${parent}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const vmac = { name: this.#freeName(family), parent, mac: virtualMac(family, vrid) };
    this.#context.vmacNames.set(vmac.name, name);
    this.#made.set(key, vmac);
    return vmac;
  }

  #freeName(family: 4 | 6): string {
    const { vmacNames, globals } = this.#context;
    const six = family === 6 ? "6" : "";
    for (let number = 0; ; number++) {
      const middle = number === 0 ? six : `${six}${six === "" ? "" : "."}${number}`;
      const end = `${middle}.${this.#router.virtual_router_id}`;
      const name = `${globals.vmac_addr_prefix.slice(0, 15 - end.length)}${end}`;
      if (!vmacNames.has(name) && !isTaken(name, this.#context)) return name;
    }
  }
}
