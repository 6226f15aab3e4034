import assert from "node:assert/strict";
import { describe } from "node:test";
import { sleep } from "@ha/lab/namespaces";
import { VIRTUAL_ADDRESS } from "../support/pair.ts";
import { failures, loadText, startLoad } from "../support/pair-load.ts";
import { ctl, prepareHost, proxiedConf, proxyBlock } from "../support/proxied-pair.ts";
import { scenario } from "../support/scenario.ts";

// Goal: a planned move of the address costs no client a request, there and back.
// Method: fifty clients ask without pause and never twice, while an operator switches over.

const OWN = [{ lb1: "vrrpd", lb2: "vrrpd" }] as const;

describe("a planned switchover", { concurrency: 2 }, () => {
  scenario(
    "not one request of 50 clients fails, there and back",
    async (pair) => {
      await Promise.all([prepareHost(pair, "lb1"), prepareHost(pair, "lb2")]);
      await pair.startBoth(
        { lb1: "vrrpd", lb2: "vrrpd" },
        { lb1: proxiedConf(101), lb2: proxiedConf(100) },
      );
      await pair.daemon("lb2").waitForLog(/proxy web: up/, 10_000);
      const there = startLoad(pair.lan.host("client"), VIRTUAL_ADDRESS);
      await sleep(800);
      const away = await ctl(pair.host("lb1"), "switchover", "--json");
      await sleep(1_200);
      const first = await there.stop();
      console.log(`switchover: ${loadText(first)}; ${away.stdout.trim()}`);
      assert.equal(away.status, 0, away.stdout);
      assert.equal(failures(first), 0, loadText(first));
      assert.ok((first.by["lb2"]?.count ?? 0) > 0, "lb2 serves");
      assert.ok(first.slowest < 5_000, `the slowest took ${first.slowest} ms`);
      const rules = await pair.host("lb1").run("nft", ["list", "ruleset"]);
      assert.doesNotMatch(rules.stdout, /vrrpd_drain/);

      const back = startLoad(pair.lan.host("client"), VIRTUAL_ADDRESS);
      await sleep(800);
      const returned = await ctl(pair.host("lb1"), "switchover", "--back", "--json");
      await sleep(1_200);
      const second = await back.stop();
      console.log(`and back: ${loadText(second)}; ${returned.stdout.trim()}`);
      assert.equal(returned.status, 0, returned.stdout);
      assert.equal(failures(second), 0, loadText(second));
      assert.ok((second.by["lb1"]?.count ?? 0) > 0, "lb1 serves");
    },
    { only: OWN },
  );

  scenario(
    "a host that is stopped and started again costs no client a request, neither when it leaves nor when it preempts",
    async (pair) => {
      await Promise.all([prepareHost(pair, "lb1"), prepareHost(pair, "lb2")]);
      await pair.startBoth(
        { lb1: "vrrpd", lb2: "vrrpd" },
        { lb1: proxiedConf(101), lb2: proxiedConf(100) },
      );
      await pair.daemon("lb2").waitForLog(/proxy web: up/, 10_000);
      const leaving = startLoad(pair.lan.host("client"), VIRTUAL_ADDRESS);
      await sleep(600);
      pair.daemon("lb1").signal("SIGTERM");
      await pair.daemon("lb1").waitForLog(/ Stopped$/, 15_000);
      await sleep(800);
      const first = await leaving.stop();
      console.log(`stopped: ${loadText(first)}`);
      assert.equal(failures(first), 0, loadText(first));
      const returning = startLoad(pair.lan.host("client"), VIRTUAL_ADDRESS);
      const again = await pair.start("lb1", "vrrpd", proxiedConf(101));
      await again.waitForLog(/drains its proxy before it hands over/, 15_000);
      await again.waitForLog(/Entering MASTER STATE/, 15_000);
      await sleep(1_200);
      const second = await returning.stop();
      console.log(`started again: ${loadText(second)}`);
      assert.equal(failures(second), 0, loadText(second));
      assert.ok((second.by["lb1"]?.count ?? 0) > 0, "lb1 serves");
    },
    { only: OWN },
  );

  scenario(
    "when nobody comes everything is undone: the address stays, and clients are served",
    async (pair) => {
      await prepareHost(pair, "lb1");
      const host = pair.host("lb1");
      await pair.start("lb1", "vrrpd", proxiedConf(101));
      await pair.settle("lb1", 15_000);
      const load = startLoad(pair.lan.host("client"), VIRTUAL_ADDRESS, 10);
      await sleep(300);
      const { status, stdout } = await ctl(host, "switchover");
      await sleep(1_200);
      const result = await load.stop();
      console.log(`nobody came: ${loadText(result)}`);
      assert.equal(status, 1);
      assert.match(stdout, /nobody-came/);
      assert.equal(failures(result), 0, loadText(result));
      const rules = await host.run("nft", ["list", "ruleset"]);
      assert.doesNotMatch(rules.stdout, /vrrpd_drain/);
      const answer = await host.run("curl", ["-si", `http://${VIRTUAL_ADDRESS}/`]);
      assert.doesNotMatch(answer.stdout, /connection: close/i);
    },
    { only: OWN },
  );

  scenario(
    "what a drain cannot wait for is counted, and told to its client at once",
    async (pair) => {
      await Promise.all([prepareHost(pair, "lb1"), prepareHost(pair, "lb2")]);
      await pair.startBoth(
        { lb1: "vrrpd", lb2: "vrrpd" },
        {
          lb1: proxiedConf(101, { block: proxyBlock(["drain_timeout 1"]) }),
          lb2: proxiedConf(100),
        },
      );
      const begun = performance.now();
      const download = pair.lan
        .host("client")
        .run("curl", ["-s", "-m", "20", `http://${VIRTUAL_ADDRESS}/long`], { check: false });
      await sleep(300);
      const { stdout, status } = await ctl(pair.host("lb1"), "switchover");
      assert.equal(status, 0, stdout);
      assert.match(stdout, /1 connections? (was|were) cut/);
      const { status: code } = await download;
      const waited = performance.now() - begun;
      console.log(`a download that was cut: curl's status ${code} after ${waited.toFixed(0)} ms`);
      assert.ok(code === 56 || code === 18, `curl says ${code}: no reset`);
      assert.ok(waited < 2_500, `the client waited ${waited} ms`);
    },
    { only: OWN },
  );
});
