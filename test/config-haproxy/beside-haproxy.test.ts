import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readCases } from "./cases.ts";
import { loadText } from "./load-case.ts";

// Goal: Debian's haproxy and lbproxy accept and reject the same small files. Method: each case through both; where
// they differ on purpose, differences.txt says so and why. Only 2.6 knows what it does, so a newer one is left out.
const folder = fileURLToPath(new URL("../../../test/config-haproxy/", import.meta.url));
const version = spawnSync("haproxy", ["-v"], { encoding: "utf8" }).stdout ?? "";
const skip = version.includes("HAProxy version 2.6")
  ? false
  : "Debian's haproxy 2.6 is not installed";

const known = new Map(
  readFileSync(`${folder}differences.txt`, "utf8")
    .split("\n")
    .filter((row) => row.includes("\t"))
    .map((row) => row.split("\t") as [string, string]),
);

for (const file of readdirSync(`${folder}cases`).filter((name) => name.endsWith(".cases"))) {
  test(`haproxy and lbproxy judge every case of ${file} alike`, { skip }, () => {
    const work = mkdtempSync(join(tmpdir(), "lbproxy-cases-"));
    try {
      const wrong: string[] = [];
      for (const { name, text } of readCases(readFileSync(`${folder}cases/${file}`, "utf8"))) {
        const path = join(work, "t.cfg");
        writeFileSync(path, text);
        // 2 is "no listener": no error in the file.
        const theirs = [0, 2].includes(spawnSync("haproxy", ["-c", "-f", path]).status ?? 1);
        const ours = loadText("t.cfg", text).config !== undefined;
        const difference = known.get(name);
        if (theirs !== ours && difference === undefined) {
          wrong.push(`${name}: haproxy ${theirs ? "accepts" : "rejects"}, lbproxy does not`);
        }
        if (theirs === ours && difference !== undefined)
          wrong.push(`${name}: no difference any more`);
      }
      assert.deepEqual(wrong, []);
    } finally {
      rmSync(work, { recursive: true });
    }
  });
}
