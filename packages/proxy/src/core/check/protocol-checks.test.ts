import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { planOf, playCheck } from "./testing/checked-backend.ts";

const mysql = (sequence: number, body: string): string =>
  `${String.fromCharCode(body.length, 0, 0, sequence)}${body}`;

/** Of each protocol: what a good server says, what a bad one, and what is found then. */
const PROTOCOLS: readonly {
  readonly option: string;
  readonly asks: string;
  readonly good: readonly string[];
  readonly bad: readonly string[];
  readonly found: { readonly status: string; readonly code: number; readonly info: string };
}[] = [
  {
    option: "smtpchk EHLO example.org",
    asks: "EHLO example.org\r\nQUIT\r\n",
    good: ["220 mail\r\n", "250-one\r\n250 two\r\n", "221 bye\r\n"],
    bad: ["554 go away\r\n"],
    found: { status: "L7STS", code: 554, info: "go away" },
  },
  {
    option: "redis-check",
    asks: "*1\r\n$4\r\nPING\r\n",
    good: ["+PONG\r\n"],
    bad: ["-NOAUTH who are you\r\n", "end"],
    found: { status: "L7STS", code: 0, info: "-NOAUTH who are you" },
  },
  {
    option: "pgsql-check user bob",
    asks: "\0\0\0\x12\0\x03\0\0user\0bob\0\0",
    good: ["R\0\0\0\x0c\0\0\0\x05abcd"],
    bad: ["E\0\0\0\x0e"],
    found: { status: "L7RSP", code: 0, info: "" },
  },
  {
    option: "mysql-check",
    asks: "",
    good: [mysql(0, `\n8.0.1\0${"\0".repeat(30)}`)],
    bad: [mysql(0, "\xff\x69\x04Host is blocked")],
    found: { status: "L7STS", code: 1129, info: "Host is blocked" },
  },
  {
    option: "ldap-check",
    asks: "0\x0c\x02\x01\x01`\x07\x02\x01\x03\x04\0\x80\0",
    good: ["0\x0c\x02\x01\x01a\x07\n\x01\0\x04\0\x04\0"],
    bad: ["0\x0c\x02\x01\x01a\x07\n\x01\x31\x04\0\x04\0"],
    found: {
      status: "L7STS",
      code: 49,
      info: "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9",
    },
  },
];

for (const { option, asks, good, bad, found } of PROTOCOLS) {
  test(`option ${option} asks as HAProxy does, passes a good server and says what a bad one said`, () => {
    const plan = planOf([`option ${option}`, "mode tcp"]);
    const passed = playCheck(plan, ["connected", ...good]);
    assert.equal(passed.result?.status, "L7OK");
    assert.equal(passed.sent.join(""), asks);
    assert.deepEqual(playCheck(plan, ["connected", ...bad]).result, found);
  });
}

test("a MySQL login has the packet of its protocol, and goodbye behind it", () => {
  const greeting = PROTOCOLS[3]?.good[0] ?? "";
  const sent = (option: string) =>
    playCheck(planOf([`option mysql-check user bob ${option}`]), ["connected", greeting]).sent.join(
      "",
    );
  assert.equal(sent("pre-41"), "\n\0\0\x01\0\x80\0\0\x01bob\0\0\x01\0\0\0\x01");
  assert.equal(
    sent("post-41"),
    `%\0\0\x01\0\x82\0\0\0\x80\0\x01!${"\0".repeat(23)}bob\0\0\x01\0\0\0\x01`,
  );
});

test("a TLS hello is one whole record, and both a handshake and an alert show TLS", () => {
  const plan = planOf(["option ssl-hello-chk"]);
  const [hello = ""] = playCheck(plan, ["connected"]).sent;
  const size = (at: number) => hello.charCodeAt(at) * 256 + hello.charCodeAt(at + 1);
  assert.equal(size(3), hello.length - 5);
  assert.equal(size(7), hello.length - 9);
  assert.equal(playCheck(plan, ["connected", "\x16\x03\x03\0\x02ab"]).result?.status, "L6OK");
  assert.equal(playCheck(plan, ["connected", "\x15\x03\x01\0\x02\x02\x28"]).result?.status, "L6OK");
  assert.equal(playCheck(plan, ["connected", "HTTP/1.0 400"]).result?.status, "L6RSP");
  assert.equal(playCheck(plan, ["connected", "timeout"]).result?.status, "L6TOUT");
});

test("whatever a server says, in whatever pieces, a check ends when the server does", () => {
  const options = [
    ...PROTOCOLS.map(({ option }) => option),
    "ssl-hello-chk",
    "mysql-check user x",
    "tcp-check",
    "httpchk",
  ];
  const plans = options.map((option) => planOf([`option ${option}`]));
  const byte = fc.integer({ min: 0, max: 255 }).map((value) => String.fromCharCode(value));
  const piece = fc.array(byte, { maxLength: 30 }).map((bytes) => bytes.join(""));
  fc.assert(
    fc.property(fc.constantFrom(...plans), fc.array(piece, { maxLength: 5 }), (plan, pieces) => {
      const { result } = playCheck(plan, ["connected", ...pieces, "end"]);
      assert.ok(result !== undefined);
    }),
  );
});
