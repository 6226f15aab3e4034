import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { linuxConfigHost } from "./config-host.ts";
import { readConfigAside } from "./read-aside.ts";
import { readConfig } from "./read-config.ts";

test("a thread of its own reads the same as we do, while our loop goes on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vrrpd-aside-"));
  try {
    const file = join(folder, "many.conf");
    const blocks = Array.from(
      { length: 200 },
      (_, i) =>
        `vrrp_instance V${i + 1} {\n interface lo\n virtual_router_id ${i + 1}\n priorty 3\n auth_pass x\n virtual_ipaddress { 10.0.0.${i + 1} }\n}\n`,
    );
    writeFileSync(file, `global_defs { dynamic_interfaces }\n${blocks.join("")}`);
    let longest = 0;
    let last = performance.now();
    const ticks = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 2);
    const aside = await readConfigAside({ file, configId: undefined, allIncludeChecks: false });
    clearInterval(ticks);
    const here = await readConfig(file, { host: linuxConfigHost() });
    assert.ok(here !== undefined && here.diagnostics.length > 100);
    assert.deepEqual(aside, { ...here, tree: [] });
    assert.ok(longest < 1_000, `${longest} ms`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a file that is not there is undefined in the thread as well", async () => {
  const request = { file: "/nonexistent/x.conf", configId: undefined, allIncludeChecks: false };
  assert.equal(await readConfigAside(request), undefined);
});
