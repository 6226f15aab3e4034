import { readBootId } from "../held-record.ts";
import { lives, type RecordedProxy, readProxyRecord } from "./proxy-record.ts";

/** Ends proxies that no daemon watches: softly, then by SIGTERM, then by SIGKILL. Empty names: all of the record. */
export async function stopRecordedProxies(
  stem: string,
  names: readonly string[],
): Promise<readonly { readonly name: string; readonly pid: number; readonly ended: boolean }[]> {
  const record = readProxyRecord(`${stem.replace(/-$/, "")}.json`, readBootId());
  const chosen = record.filter(({ name }) => names.length === 0 || names.includes(name));
  return Promise.all(
    chosen.map(async (proxy) => ({ name: proxy.name, pid: proxy.pid, ended: await stop(proxy) })),
  );
}

async function stop(proxy: RecordedProxy): Promise<boolean> {
  for (const signal of ["SIGUSR1", "SIGTERM", "SIGKILL"] as const) {
    if (!lives(proxy)) return true;
    try {
      process.kill(signal === "SIGKILL" ? -proxy.pid : proxy.pid, signal);
    } catch {
      // It has just ended.
    }
    for (let waited = 0; waited < STAGE_MS && lives(proxy); waited += LOOK_MS) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
  return !lives(proxy);
}

const STAGE_MS = 5_000;
const LOOK_MS = 20;
