import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ask,
  DEFAULTS,
  nodePorts,
  runHaproxy,
  withoutHaproxy,
} from "../sample/haproxy-runner.test.ts";
import {
  createTestWorld,
  findings,
  testContext,
  testTransaction,
  words,
} from "../sample/testing/index.ts";
import { compileCondition, defineAcl } from "./compile-condition.ts";
import { PASS } from "./condition.ts";

// Goal: a condition holds exactly when it holds with the real haproxy.
// Method: each condition stands in a `return` rule of one haproxy; the same request goes through our own.

const ACLS = [
  "acl named path_beg /p/",
  "acl named path_beg /q/",
  "acl other hdr(x-num) 5",
  "acl local src 127.0.0.0/8",
];

const CONDITIONS = `
{ path /p/x.html }
{ path -i /P/X.HTML }
{ path /P/X.HTML }
{ path_beg /p /r }
{ path_beg -i /P }
{ path_end .html }
{ path_end -i .HTML }
{ path_sub x.h }
{ path_dir p }
{ path_dir /p/ }
{ path_dir x }
{ path_reg ^/p/.*\\.html$ }
{ path_reg -i ^/P/ }
{ path_len 9 }
{ path_len 1:5 }
{ path -m len gt 8 }
{ path -m beg /p }
{ path -m found }
{ hdr(nope) -m found }
{ hdr_dom(host) example }
{ hdr_dom(host) ample }
{ hdr_dom(host) -i EXAMPLE.COM }
{ hdr_dom(host) www.example }
{ hdr_beg(host) www. }
{ hdr_end(host) .com:8080 }
{ hdr(x-list) b }
{ hdr(x-list) -i B }
{ hdr(x-list) a,b }
{ hdr(x-list,1) b }
{ req.fhdr(x-list) b }
{ req.fhdr(x-list) -m sub b }
{ hdr_cnt(x-list) 3 }
{ hdr_cnt(x-list) gt 3 }
{ hdr_cnt(x-list) ge 3 }
{ hdr_cnt(x-list) le 2 }
{ hdr_cnt(x-list) 1:2 4:5 }
{ hdr_cnt(x-list) 2: }
{ hdr_cnt(x-list) :2 }
{ hdr_val(x-num) 42 }
{ hdr_val(x-num) lt 42 }
{ hdr_val(x-neg) lt 0 }
{ hdr_val(x-neg) -- -5 }
{ hdr_ip(x-ip) 192.0.2.0/24 }
{ hdr_ip(x-ip) 192.0.3.0/24 }
{ hdr_ip(x-ip6) 2001:db8::/32 }
{ hdr_ip(x-ip6) 2001:db9::/32 }
{ src 127.0.0.1 }
{ src 10.0.0.0/8 127.0.0.0/255.0.0.0 }
{ src ::1 }
{ src ::ffff:127.0.0.1 }
{ dst_port 1:65535 }
{ method GET }
{ method POST PUT }
{ method get }
METH_GET
METH_POST
HTTP_1.1
HTTP_1.0
HTTP
HTTP_URL_SLASH
HTTP_URL_ABS
HTTP_URL_STAR
HTTP_CONTENT
LOCALHOST
TRUE
FALSE
!FALSE
! TRUE
named
!named
named other
named or other
named || other
named !other
other or named local
other named or local
{ always_true }
{ always_false }
{ bool(1) }
{ int(3) -m bool }
{ int(0) -m bool }
{ int(5) 5 }
{ str(abc) abc }
{ str(abc) -m str -i ABC }
{ str(abc),upper ABC }
{ str(abc) -m reg ^a }
{ bin(4142) -m bin 41 42 }
{ bin(4142) -m str AB }
{ cook(a) 1 }
{ cook(b) two }
{ cook(a) -m found }
{ cook(zzz) -m found }
{ cook_cnt(a) 2 }
{ cook(a) 3 }
{ url_param(k) v }
{ urlp(k) -m beg v }
{ url_param(z) -m found }
{ urlp_val(n) gt 6 }
{ query -m sub k= }
{ base_beg www.example.com:8080/p }
{ base_dom example.com }
{ base_reg ^www }
{ url_sub ?k= }
{ var(txn.nope) -m found }
{ var(txn.nope) -m str x }
{ hdr(x-list) -m reg ^b$ }
{ hdr(x-list) -m len 1 }
{ req.hdr_cnt gt 5 }
{ http_first_req }
{ req.ver 1.1 }
{ req.proto_http }
{ path_dom p }
{ hdr_reg(host) -i ^WWW\\. }
{ hdr_sub(host) example zzz }
{ hdr(host) -m dom example }
{ hdr(x-empty) -m found }
{ hdr(x-empty) -m len 0 }
{ hdr_beg(x-list) a } { hdr_end(x-list) c }
`
  .split("\n")
  .filter((line) => line.trim() !== "");

const REQUEST = [
  "GET /p/x.html?k=v&n=7 HTTP/1.1",
  "Host: www.example.com:8080",
  "X-List: a, b",
  "X-List: c",
  "X-Num: 42",
  "X-Neg: -5",
  "X-IP: 192.0.2.7",
  "X-IP6: 2001:db8::7",
  "X-Empty:",
  "Cookie: a=1; b=two",
  "Cookie: a=3",
];

test("conditions hold exactly when they do with haproxy", { skip: withoutHaproxy }, async () => {
  const haproxy = await runHaproxy([
    ...DEFAULTS,
    "frontend f",
    "  bind 127.0.0.1:PORT",
    ...ACLS.map((line) => `  ${line}`),
    ...CONDITIONS.map(
      (condition, i) =>
        `  http-request return status 200 content-type text/plain string yes if { hdr(x-case) ${i} } ${condition.replaceAll(" or ", ` or { hdr(x-case) ${i} } `).replaceAll(" || ", ` || { hdr(x-case) ${i} } `)}`,
    ),
    "  http-request return status 200 content-type text/plain string no",
  ]);
  try {
    const wrong: string[] = [];
    for (const [i, condition] of CONDITIONS.entries()) {
      const request = `${REQUEST.join("\r\n")}\r\nX-Case: ${i}\r\n\r\n`;
      const { body } = await ask(haproxy.port, request);
      const context = testContext(createTestWorld({ ports: nodePorts() }));
      for (const line of ACLS) {
        const [, name, ...rest] = words(line);
        defineAcl(
          { at: { file: "test.cfg", line: 1, column: 1 }, name: name?.text ?? "", words: rest },
          context,
        );
      }
      const compiled = compileCondition(words(`if ${condition}`).map(unquoted), context);
      const transaction = testTransaction(request);
      transaction.session.source.address.set([127, 0, 0, 1]);
      const actual =
        compiled === undefined
          ? findings(context).join("\n")
          : compiled(transaction) === PASS
            ? "yes"
            : "no";
      if (actual !== body) wrong.push(`${condition}: haproxy ${body}, we ${actual}`);
    }
    assert.deepEqual(wrong, []);
  } finally {
    haproxy.stop();
  }
});

/** What the lexer makes of quotes. */
function unquoted<T extends { readonly text: string }>(token: T): T {
  return { ...token, text: token.text.replaceAll('"', "").replaceAll("\\\\", "\\") };
}
