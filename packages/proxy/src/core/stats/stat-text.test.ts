import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { ALL_COLUMNS, COLUMNS, MODULE_COLUMNS } from "./column.ts";
import { readStatsQuery } from "./page-query.ts";
import { ageText, escapeHtml, group } from "./page-row.ts";
import { uptimeText } from "./process-info.ts";
import { readScrapeRequest } from "./prometheus.ts";
import type { StatRow } from "./row.ts";
import { statCsv, statJson, statTyped } from "./stat-text.ts";

const row = (values: StatRow["values"]): StatRow => ({
  object: "server",
  proxy: 0,
  proxyId: 3,
  id: 1,
  values,
});

test("CSV has 103 columns, a dash, those of protocols, and a comma at each line's end", () => {
  const [head = "", line = ""] = statCsv([row({ pxname: "app", svname: "s1", qcur: 0 })]).split(
    "\n",
  );
  assert.equal(COLUMNS.length, 103);
  assert.equal(head.split(",").length, 103 + 1 + MODULE_COLUMNS.length + 1);
  assert.equal(head.slice(0, 17), "# pxname,svname,q");
  assert.equal(line.split(",").length, head.split(",").length);
  assert.equal(line.slice(0, 10), "app,s1,0,,");
  assert.ok(line.endsWith(","));
});

test("a value with a comma, a quote or a line end is quoted, and comes back as it was", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const line = statCsv([row({ pxname: "a", svname: "b", last_chk: text })]).slice(
        statCsv([]).length,
      );
      const at = COLUMNS.findIndex(({ name }) => name === "last_chk");
      const before = line.slice(0, line.indexOf("a,b,") + 4) + ",".repeat(at - 2);
      const rest = line.slice(before.length);
      const quoted = /^"((?:[^"]|"")*)",/.exec(rest)?.[1];
      const value =
        quoted === undefined ? rest.slice(0, rest.indexOf(",")) : quoted.replaceAll('""', '"');
      assert.equal(value, text);
    }),
  );
});

test("typed output numbers columns without the dash, and names the object", () => {
  assert.equal(
    ALL_COLUMNS.findIndex(({ name }) => name === "ssl_sess"),
    103,
  );
  assert.equal(
    statTyped([row({ pxname: "app", act: 1, ssl_sess: 0 })]),
    "S.3.1.0.pxname.1:KNS:str:app\nS.3.1.19.act.1:SGP:u32:1\nS.3.1.103.ssl_sess.1:MCP:u64:0\n",
  );
  const [object] = JSON.parse(statJson([row({ act: 1 })])) as [unknown[]];
  assert.deepEqual(object, [
    {
      objType: "Server",
      proxyId: 3,
      id: 1,
      field: { pos: 19, name: "act" },
      processNum: 1,
      tags: { origin: "Status", nature: "Gauge", scope: "Process" },
      value: { type: "u32", value: 1 },
    },
  ]);
});

test("numbers on the page are grouped as HAProxy groups them, times are short", () => {
  assert.equal(group(999), "999");
  assert.equal(group(1409), '<span class="rls">1</span>409');
  assert.equal(group(1182631), '<span class="rls">1</span>18<span class="rls">2</span>631');
  assert.deepEqual([5, 65, 3700, 90_000].map(ageText), ["5s", "1m5s", "1h1m", "1d1h"]);
  assert.equal(uptimeText(93_784), "1d 2h03m04s");
});

test("nothing that a request says comes onto the page as markup, or makes a reader throw", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.doesNotMatch(escapeHtml(text), /[<>"']/);
      const { part } = readStatsQuery(text);
      assert.ok(part.length <= 20);
      readScrapeRequest(text);
    }),
  );
});

test("words after the page's address are read in any order", () => {
  assert.deepEqual(readStatsQuery(";csv;norefresh;up?scope=w%65b&x=1"), {
    format: "csv",
    up: true,
    noMaint: false,
    noRefresh: true,
    part: "web",
    result: undefined,
  });
  assert.equal(readStatsQuery(";st=DONE").result, "DONE");
});

test("a scrape takes scopes from the first on, and refuses one that is not known", () => {
  const scopes = (query: string) => [...(readScrapeRequest(query)?.scopes ?? [])];
  assert.equal(scopes("").length, 6);
  assert.deepEqual(scopes("scope=server&scope=global"), ["server", "global"]);
  assert.deepEqual(scopes("scope=server&scope="), []);
  assert.equal(readScrapeRequest("scope=servers"), undefined);
  assert.equal(readScrapeRequest("scope=%zz"), undefined);
});
