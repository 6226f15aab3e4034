import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { redact } from "./redact.ts";
import { tarOf } from "./tar.ts";

const secret = "hunter2-Zq";

const lines: readonly string[] = [
  `        auth_pass ${secret}`,
  `@vrrpd  auth_pass "${secret} and more"`,
  `    key 1 ${secret}`,
  `  auth_pass: ${secret}`,
  `$MY_PASSWORD=${secret}`,
  `  user admin password ${secret} groups g1`,
  `  user admin insecure-password ${secret}`,
  `  stats auth admin:${secret}`,
  `  http-request set-header Authorization "Basic ${secret}"`,
  `  http-check send hdr X-API-Key ${secret}`,
  `  smtp_server smtp://alice:${secret}@mail.example`,
];

for (const line of lines) {
  test(`no secret is left of: ${line.replace(secret, "…").trim()}`, () => {
    assert.ok(!redact(line).includes(secret), redact(line));
  });
}

test("what is no secret stays as it is", () => {
  const text =
    "vrrp_instance VI_1 {\n    priority 101\n    track_script {\n  server web1 10.0.0.1:80 check\n";
  assert.equal(redact(text), text);
});

test("tar reads what is written", () => {
  const archive = tarOf(
    [
      { name: "a/one.txt", data: Buffer.from("one\n") },
      { name: "a/two.bin", data: Buffer.alloc(1_537, 7) },
    ],
    1_700_000_000,
  );
  const { stdout, status } = spawnSync("tar", ["-tvf", "-"], { input: archive, encoding: "utf8" });
  assert.equal(status, 0);
  assert.match(
    stdout,
    /-rw------- root\/root +4 .* a\/one\.txt\n-rw------- root\/root +1537 .* a\/two\.bin/,
  );
});
