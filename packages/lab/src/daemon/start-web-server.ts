import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Host } from "./namespaces/host.ts";
import { until } from "./namespaces/wall-clock.ts";

const WEB_SERVER = fileURLToPath(new URL("./web-server.js", import.meta.url));

/** A web server on port 80 of a host that says the host's name (X-Web). Resolves when it listens. */
export async function startWebServer(host: Host, address: string): Promise<void> {
  const server = host.spawn(process.execPath, [WEB_SERVER, address, "80", host.name]);
  let said = "";
  server.stdout.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  server.stderr.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  await until(`the web server of ${host.name}`, 10_000, () => {
    if (server.exitCode !== null) throw new Error(`the web server of ${host.name} ended: ${said}`);
    return said.includes("ready");
  });
}
