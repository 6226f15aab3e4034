import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

// In a network namespace of its own, which the kernel forgets with the process.
const skip = process.geteuid?.() === 0 ? false : "needs root";

test("blocked addresses take no new connection, in IPv4 and IPv6, and take them again afterwards", {
  skip,
}, () => {
  const module = fileURLToPath(new URL("./syn-block.js", import.meta.url));
  const script = `
    const { SynBlock } = await import(${JSON.stringify(module)});
    const { ip } = await import("@ha/base");
    const { execFileSync } = await import("node:child_process");
    const nft = () => execFileSync("nft", ["list", "ruleset"], { encoding: "utf8" });
    const block = new SynBlock();
    block.clear();
    const problem = block.add([ip("10.0.0.1"), ip("fd00::1")]);
    if (problem !== undefined) throw problem;
    console.log(nft());
    block.add([ip("10.0.0.2")]);
    console.log("----");
    console.log(nft());
    block.remove([ip("10.0.0.1"), ip("10.0.0.2"), ip("fd00::1")]);
    console.log("----");
    console.log(nft());
  `;
  const { stdout, stderr, status } = spawnSync(
    "unshare",
    ["--net", process.execPath, "--input-type=module", "-e", script],
    { encoding: "utf8", cwd: fileURLToPath(new URL(".", import.meta.url)) },
  );
  assert.equal(status, 0, stderr);
  const [first = "", second = "", third = "x"] = stdout.split("----\n");
  assert.match(first, /ip daddr 10\.0\.0\.1 tcp flags.*syn.*drop/);
  assert.match(first, /ip6 daddr fd00::1 tcp flags.*syn.*drop/);
  assert.match(second, /10\.0\.0\.1.*drop\n.*10\.0\.0\.2.*drop/);
  assert.equal(third.trim(), "");
});
