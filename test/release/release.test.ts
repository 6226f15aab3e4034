import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";

const root = process.cwd();
const isRoot = process.getuid?.() === 0;

describe("a release", () => {
  let work: string;
  let release: string;
  let host: string;

  before(() => {
    work = mkdtempSync(join(tmpdir(), "ha-release-"));
    execFileSync(process.execPath, ["dist/scripts/release.js", "--no-archive", "--out", work], {
      cwd: root,
    });
    release = join(work, readdirSync(work)[0] ?? "");
    host = join(work, "host");
  });
  after(() => rmSync(work, { recursive: true, force: true }));

  const install = (...args: string[]): string =>
    execFileSync(join(release, "install"), ["--root", host, ...args], { encoding: "utf8" });
  /** With nothing of this machine's Node.js or packages in reach. */
  const bare = {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    cwd: "/",
    encoding: "utf8",
  } as const;

  it("runs its programs with its own Node.js from any folder", () => {
    const vrrpd = spawnSync(join(release, "bin/vrrpd"), ["-v"], bare);
    const lbproxy = spawnSync(join(release, "bin/lbproxy"), ["-v"], bare);
    const vrrpctl = spawnSync(join(release, "bin/vrrpctl"), ["--help"], bare);
    assert.match(`${vrrpd.stdout}${vrrpd.stderr}`, /vrrpd v\d/);
    assert.match(lbproxy.stdout, /lbproxy \d/);
    assert.equal(vrrpctl.status, 0, vrrpctl.stderr);
  });

  it("checks the configurations of the lab without a complaint that stops it", () => {
    const cfg = join(root, "test/config-haproxy/two-servers.cfg");
    const proxy = spawnSync(join(release, "bin/lbproxy"), ["-c", "-f", cfg], bare);
    const daemon = spawnSync(
      join(release, "bin/vrrpd"),
      ["-t", "--offline", "-f", join(root, "test/config/pair-master.conf")],
      bare,
    );
    assert.equal(proxy.status, 0, proxy.stderr);
    assert.match(daemon.stderr, /auth_pass has 12 bytes/);
  });

  it("carries no test, no source and no link that leads out of it", () => {
    for (const entry of readdirSync(release, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      assert.doesNotMatch(path, /\.test\.js$|\.tsbuildinfo$|\.[cm]?ts$/);
      if (entry.isSymbolicLink()) assert.ok(existsSync(path), `${path} leads nowhere`);
    }
  });

  it("is installed twice in a row, rolled back and removed, and leaves nothing", {
    skip: isRoot ? false : "needs root",
  }, () => {
    assert.match(install(), /^installed /);
    install();
    const names = ["usr/sbin/vrrpd", "usr/sbin/lbproxy", "usr/bin/vrrpctl"];
    for (const name of names) assert.ok(lstatSync(join(host, name)).isSymbolicLink());
    assert.equal(readdirSync(join(host, "usr/lib/ha-pair/versions")).length, 1);
    const unit = readFileSync(join(host, "etc/systemd/system/vrrpd.service"), "utf8");
    assert.match(unit, /ExecReload=\/bin\/kill -HUP \$MAINPID/);
    const none = spawnSync(join(release, "install"), ["--root", host, "--rollback"], bare);
    assert.equal(none.status, 1);
    assert.match(none.stderr, /no version before/);
    install("--uninstall");
    for (const name of names) assert.throws(() => lstatSync(join(host, name)), /ENOENT/);
    assert.equal(existsSync(join(host, "usr/lib/ha-pair")), false);
  });

  it("refuses a folder that is no release, and a release for another machine", {
    skip: isRoot ? false : "needs root",
  }, () => {
    const none = spawnSync(join(release, "install"), ["--root", host, work], bare);
    assert.equal(none.status, 1);
    assert.match(none.stderr, /is no release/);
    const there = spawnSync(join(release, "install"), ["--root", host, "/nowhere"], bare);
    assert.match(there.stderr, /\/nowhere is not there/);
  });

  it("has units that systemd can read", {
    skip: existsSync("/usr/bin/systemd-analyze") ? false : "systemd-analyze is not installed",
  }, () => {
    const units = ["vrrpd", "lbproxy"].map((name) => join(release, `systemd/${name}.service`));
    const check = spawnSync("systemd-analyze", ["verify", ...units], { encoding: "utf8" });
    const complaints = check.stderr
      .split("\n")
      .filter(
        (line) => /(vrrpd|lbproxy)\.service/.test(line) && !line.includes("is not executable"),
      );
    assert.deepEqual(complaints, []);
  });
});

describe("the Vagrant lab", () => {
  it("has a Vagrantfile that Ruby can read", {
    skip: existsSync("/usr/bin/ruby") ? false : "ruby is not installed",
  }, () => {
    execFileSync("ruby", ["-c", "vagrant/Vagrantfile"], { cwd: root });
  });

  it("has a Vagrantfile that Vagrant accepts", {
    skip: existsSync("/usr/bin/vagrant") ? false : "vagrant is not installed",
  }, () => {
    const home = mkdtempSync(join(tmpdir(), "ha-vagrant-"));
    try {
      const run = spawnSync("vagrant", ["validate"], {
        cwd: join(root, "vagrant"),
        encoding: "utf8",
        env: {
          ...process.env,
          VAGRANT_HOME: home,
          VAGRANT_DOTFILE_PATH: home,
          VAGRANT_CHECKPOINT_DISABLE: "1",
        },
      });
      assert.equal(run.status, 0, run.stderr);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
});
