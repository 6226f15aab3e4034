import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { planOf, playCheck } from "./testing/checked-backend.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

test("without an option the connection is the check", () => {
  const plan = planOf([]);
  assert.deepEqual(playCheck(plan, ["connected"]), {
    sent: [],
    result: { status: "L4OK", code: 0, info: "" },
  });
  assert.deepEqual(playCheck(plan, [{ error: "Connection refused" }]).result, {
    status: "L4CON",
    code: 0,
    info: "Connection refused",
  });
  assert.equal(playCheck(plan, ["timeout"]).result?.status, "L4TOUT");
});

test("option httpchk takes 2xx and 3xx, and says which other status came", () => {
  const plan = planOf(["option httpchk"]);
  const { sent, result } = playCheck(plan, ["connected", OK]);
  assert.deepEqual(sent, ["OPTIONS / HTTP/1.0\r\n\r\n"]);
  assert.deepEqual(result, { status: "L7OK", code: 200, info: "" });
  const status = (line: string) => playCheck(plan, ["connected", `${line}\r\n\r\n`]).result;
  assert.equal(status("HTTP/1.1 399 Odd")?.status, "L7OK");
  assert.deepEqual(status("HTTP/1.1 404 Not Found"), {
    status: "L7STS",
    code: 404,
    info: "Not Found",
  });
  assert.deepEqual(status("SSH-2.0-OpenSSH"), { status: "L7RSP", code: 0, info: "" });
  assert.equal(playCheck(plan, ["connected", "timeout"]).result?.status, "L7TOUT");
  assert.equal(playCheck(plan, ["connected", "end"]).result?.status, "L7RSP");
});

test("the first http-check send takes what it does not say from option httpchk, later ones do not", () => {
  const plan = planOf([
    "option httpchk HEAD /live HTTP/1.1",
    "http-check send hdr Host example.org hdr Connection keep-alive",
    "http-check expect status 200",
    "http-check connect",
    "http-check send uri /ready",
    "http-check expect status 204",
  ]);
  const { sent, result } = playCheck(plan, [
    "connected",
    OK,
    "connected",
    "HTTP/1.0 204 No\r\n\r\n",
  ]);
  assert.deepEqual(sent, [
    "HEAD /live HTTP/1.1\r\nhost: example.org\r\nconnection: close\r\n\r\n",
    "GET /ready HTTP/1.0\r\n\r\n",
  ]);
  assert.deepEqual(result, { status: "L7OK", code: 204, info: "" });
});

test("a body has its length sent, and send-state tells the server's state", () => {
  const plan = planOf([
    "option httpchk",
    "http-check send-state",
    "http-check send meth POST uri /u ver HTTP/1.1 body abc",
  ]);
  assert.deepEqual(playCheck(plan, ["connected"]).sent, [
    "POST /u HTTP/1.1\r\nx-haproxy-server-state: UP; name=b/s\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc",
  ]);
});

test("disable-on-404 stops an up server gently and does not bring one back", () => {
  const plan = planOf(["option httpchk", "http-check disable-on-404"]);
  const answer = ["connected", "HTTP/1.1 404 Gone\r\n\r\n"];
  assert.equal(playCheck(plan, answer).result?.status, "L7OKC");
  assert.equal(playCheck(plan, answer, { isUp: false }).result?.status, "L7STS");
});

for (const [line, good, bad] of [
  ["status 200,301-399", "HTTP/1.1 302 F\r\n\r\n", "HTTP/1.1 204 N\r\n\r\n"],
  ["! status 500", "HTTP/1.1 200 F\r\n\r\n", "HTTP/1.1 500 N\r\n\r\n"],
  ["rstatus ^4", "HTTP/1.1 404 F\r\n\r\n", OK],
  ["string ell", OK, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye"],
  ["! string ell", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye", OK],
  ["rstring ^h.*o$", OK, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye"],
  [
    "hdr name X-A value -m beg on",
    "HTTP/1.1 200 OK\r\nx-a: off, one\r\n\r\n",
    "HTTP/1.1 200 OK\r\nx-a: off\r\n\r\n",
  ],
  [
    "fhdr name -m end -A value off",
    "HTTP/1.1 200 OK\r\nx-a: off\r\n\r\n",
    "HTTP/1.1 200 OK\r\nx-a: off, one\r\n\r\n",
  ],
  [
    "hdr name -m reg ^x-.$",
    "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-Ab: 1\r\n\r\n",
  ],
] as const) {
  test(`http-check expect ${line} tells good from bad`, () => {
    const plan = planOf(["option httpchk", `http-check expect ${line}`]);
    assert.equal(playCheck(plan, ["connected", good, "end"]).result?.status, "L7OK");
    assert.match(playCheck(plan, ["connected", bad, "end"]).result?.status ?? "", /L7STS|L7RSP/);
  });
}

test("a script waits for bytes that could still match, unless min-recv says when to decide", () => {
  const waiting = planOf(["option tcp-check", "tcp-check expect string +PONG"]);
  assert.equal(playCheck(waiting, ["connected", "-ERR\r\n"]).result, undefined);
  assert.deepEqual(playCheck(waiting, ["connected", "-ERR\r\n", "end"]).result, {
    status: "L7RSP",
    code: 0,
    info: "TCPCHK did not match content '+PONG' at step 1",
  });
  const deciding = planOf(["option tcp-check", "tcp-check expect min-recv 4 string +PONG"]);
  assert.equal(playCheck(deciding, ["connected", "-ER"]).result, undefined);
  assert.equal(playCheck(deciding, ["connected", "-ER", "R"]).result?.status, "L7RSP");
});

test("consecutive expects see the same answer, and what is sent in between forgets it", () => {
  const plan = planOf([
    "option tcp-check",
    "tcp-check expect string one",
    "tcp-check expect string two",
    "tcp-check send x",
    "tcp-check expect string one",
  ]);
  assert.equal(playCheck(plan, ["connected", "one two"]).result, undefined);
  assert.deepEqual(playCheck(plan, ["connected", "one two", "one"]).result, {
    status: "L7OK",
    code: 0,
    info: "(tcp-check)",
  });
});

test("a script's errors name the step and its comment", () => {
  const plan = planOf([
    "option tcp-check",
    "tcp-check comment general",
    "tcp-check connect port 25",
    "tcp-check send-binary 0A0d comment asking",
    "tcp-check expect rbinary ^0102 comment answering",
  ]);
  assert.deepEqual(playCheck(plan, ["connected"]).sent, ["\n\r"]);
  assert.equal(
    playCheck(plan, [{ error: "No route to host" }]).result?.info,
    "No route to host at step 2 of tcp-check (connect port 25) comment: 'general'",
  );
  assert.equal(
    playCheck(plan, ["connected", "timeout"]).result?.info,
    " at step 4 of tcp-check (expect binary regex) comment: 'answering'",
  );
  assert.equal(
    playCheck(plan, ["connected", "\x01\x03", "end"]).result?.info,
    "TCPCHK did not match content (binary regex) at step 4 comment: answering",
  );
  assert.equal(playCheck(plan, ["connected", "\x01\x02"]).result?.status, "L7OK");
});

test("statuses and texts of an expect replace the usual ones", () => {
  const plan = planOf([
    "option tcp-check",
    "tcp-check set-var(check.word) str(moon)",
    'tcp-check expect ok-status L7OKC error-status L7STS tout-status L4TOUT on-success "to the %[var(check.word)]" on-error "%[str(no)]" status-code int(42) string yes',
  ]);
  assert.deepEqual(playCheck(plan, ["connected", "yes"]).result, {
    status: "L7OKC",
    code: 42,
    info: "to the moon",
  });
  assert.deepEqual(playCheck(plan, ["connected", "what", "end"]).result, {
    status: "L7STS",
    code: 42,
    info: "no",
  });
  assert.equal(playCheck(plan, ["connected", "timeout"]).result?.status, "L4TOUT");
});

test("texts with expressions are made for each check", () => {
  const plan = planOf([
    "option tcp-check",
    "tcp-check set-var-fmt(check.n) %[int(3)]x",
    "tcp-check send-lf <%[var(check.n)]>",
    "tcp-check send-binary-lf 41%[str(42)]",
    "tcp-check expect string-lf %[var(check.n)]",
    "tcp-check unset-var(check.n)",
  ]);
  const { sent, result } = playCheck(plan, ["connected", "3x"]);
  assert.deepEqual(sent, ["<3x>", "AB"]);
  assert.equal(result?.status, "L7OK");
});

test("however an answer is cut into pieces, the check ends alike", () => {
  const plan = planOf(["option httpchk", "http-check expect string needle"]);
  const answers = [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnee\r\n3\r\ndle\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstack",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\na needle",
    "HTTP/1.9 banana\r\n\r\n",
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...answers),
      fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 12 }),
      (answer, sizes) => {
        const pieces: string[] = [];
        let at = 0;
        for (const size of sizes) {
          if (at < answer.length) pieces.push(answer.slice(at, at + size));
          at += size;
        }
        if (at < answer.length) pieces.push(answer.slice(at));
        assert.deepEqual(
          playCheck(plan, ["connected", ...pieces, "end"]).result,
          playCheck(plan, ["connected", answer, "end"]).result,
        );
      },
    ),
  );
});
