import { basename } from "node:path";
import { setProcessName } from "@ha/linux/ring";

/** vrrpd's `process_name`. */
const VARIABLE = "LBPROXY_PROCESS_NAME";

/**
 * The name that ps and killall see (`/proc/PID/comm`): that under which we were started, so that a link named haproxy
 * keeps `killall -0 haproxy` working. Without it we would be one `node` among others. Workers have it, too.
 */
export function takeProcessName(): void {
  const name = process.env[VARIABLE] ?? basename(process.argv[1] ?? "").replace(/\.js$/, "");
  // A name that the kernel refuses is no reason not to serve.
  if (name !== "") setProcessName(name);
}
