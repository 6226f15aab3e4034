import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { formatDiagnostic } from "@ha/base";
import { loadConfig, memoryHost } from "@ha/vrrpd/core";

// Each golden/NAME.conf has its findings in NAME.txt; UPDATE_GOLDENS=1 writes them anew, to be read before a commit.
const folder = fileURLToPath(new URL("../../../test/config/golden/", import.meta.url));

for (const name of readdirSync(folder).filter((file) => file.endsWith(".conf"))) {
  test(`${name} is told all its findings, each in its place`, () => {
    const text = readFileSync(folder + name, "utf8");
    const loaded = loadConfig(name, { host: memoryHost({ [name]: text }) });
    assert.ok(loaded);
    const found = [
      ...loaded.diagnostics.map(formatDiagnostic),
      `exit ${loaded.testExit}${loaded.refusesStart ? ", refuses to start" : ""}`,
      "",
    ].join("\n");
    const golden = folder + name.replace(/\.conf$/, ".txt");
    if (process.env["UPDATE_GOLDENS"] === "1" || !existsSync(golden)) writeFileSync(golden, found);
    assert.equal(found, readFileSync(golden, "utf8"));
  });
}
