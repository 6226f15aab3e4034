import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "@ha/base";
import fc from "fast-check";
import { readServerStates, writeServerStates } from "./server-state-file.ts";

// As haproxy 2.6.12 wrote it.
const HAPROXY = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
2 l 1 s 127.0.0.1 2 0 5 5 1 1 0 2 0 0 0 0 - 1 - 0 0 - - 0
2 l 2 t 127.0.0.1 0 5 1 1 1 1 0 0 8 0 0 0 - 2 - 0 0 - - 0
`;

test("a file that haproxy wrote is read and written back the same", () => {
  const read = readServerStates(HAPROXY);
  assert.equal(read?.badLines, 0);
  assert.deepEqual(
    read?.states.map(({ serverName, adminState, port }) => [serverName, adminState, port]),
    [
      ["s", 0, 1],
      ["t", 5, 2],
    ],
  );
  assert.equal(writeServerStates(read?.states ?? [], formatAddress), HAPROXY);
});

test("another version is refused, and a line that is none is counted", () => {
  assert.equal(readServerStates("2\n"), undefined);
  assert.deepEqual(readServerStates("1\n# head\n2 l 1\nx y z\n"), { states: [], badLines: 2 });
});

test("no text makes the reader throw", () => {
  fc.assert(fc.property(fc.string(), (text) => void readServerStates(`1\n${text}`)));
});
