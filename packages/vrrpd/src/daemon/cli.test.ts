import assert from "node:assert/strict";
import { test } from "node:test";
import { type CliOptions, helpText, parseCli } from "./cli.ts";

function parse(...args: string[]): CliOptions {
  const parsed = parseCli(args);
  assert.ok("options" in parsed, "problem" in parsed ? parsed.problem : "");
  return parsed.options;
}

function problem(...args: string[]): string {
  const parsed = parseCli(args);
  return "problem" in parsed ? parsed.problem : "";
}

test("the options that packaged units pass are taken together and apart", () => {
  const options = parse("-nlDG", "-f", "/x.conf", "-p/run/x.pid", "--vrrp_pid=/run/v.pid");
  assert.equal(options.foreground && options.logConsole && options.logDetail, true);
  assert.equal(options.syslog, false);
  assert.deepEqual(
    [options.configFile, options.pidFile, options.vrrpPidFile],
    ["/x.conf", "/run/x.pid", "/run/v.pid"],
  );
});

test("-t takes a log file only when it is joined", () => {
  assert.equal(parse("-t", "-f", "x").configTest, true);
  assert.equal(parse("-t=/log").configTest, "/log");
  assert.equal(parse("-t/log").configTest, "/log");
  assert.equal(parse("--config-test=/log").configTest, "/log");
  assert.equal(parse("--config-test", "-f", "x").configFile, "x");
});

test("a long option may be shortened while only one begins like that", () => {
  assert.equal(parse("--dont-f").foreground, true);
  assert.match(problem("--dont"), /ambiguous/);
});

const facilities: readonly (readonly [string, string])[] = [
  ["0", "local0"],
  ["local7", "local7"],
  ["user", "user"],
  ["daemon", "daemon"],
];
for (const [written, facility] of facilities) {
  test(`-S ${written} is the facility ${facility}`, () => {
    assert.equal(parse("-S", written).logFacility, facility);
  });
}

const problems: readonly (readonly [readonly string[], RegExp])[] = [
  [["-S", "kern"], /facility/],
  [["-f"], /requires an argument/],
  [["-Q"], /invalid option/],
  [["--nope"], /unrecognized/],
  [["--dump=xml"], /conf, yaml or json/],
  [["-u", "9999"], /umask/],
  [["x.conf"], /unexpected argument/],
  [["--help=x"], /does not allow/],
];
for (const [args, says] of problems) {
  test(`'${args.join(" ")}' is refused in words`, () => assert.match(problem(...args), says));
}

test("the help names every option that has a help text once", () => {
  const lines = helpText().split("\n");
  assert.equal(lines.filter((line) => line.includes("--config-test")).length, 1);
});
