import assert from "node:assert/strict";
import { test } from "node:test";
import { explainInstance } from "./explain.ts";
import { loadConfig } from "./load.ts";
import { memoryHost } from "./memory-host.ts";

function traps(text: string): string {
  const loaded = loadConfig("/c", { host: memoryHost({ "/c": text }) });
  const instance = loaded?.config.instances[0];
  assert.ok(loaded !== undefined && instance !== undefined);
  return explainInstance(instance, loaded.config, []).traps.join("\n");
}

const conf = (script: string, more = ""): string => `
vrrp_script check {
    script "${script}"
    interval 2
    weight 2
}
proxy web {
    config /etc/haproxy/haproxy.cfg
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        10.0.0.1
    }
    track_script {
        check
    }
    ${more}
}
`;

test("a check that asks for the proxy's process is told what track_proxy would gain, with its own delay", () => {
  assert.match(traps(conf("killall -0 haproxy")), /after up to 4000 ms .*track_proxy/);
  assert.match(traps(conf("pidof haproxy")), /track_proxy/);
});

test("who tracks the proxy already, or checks something else, is not told", () => {
  const tracked = "track_proxy {\n web weight -20\n }";
  assert.doesNotMatch(traps(conf("killall -0 haproxy", tracked)), /only asks whether/);
  assert.doesNotMatch(traps(conf("curl -f http://localhost/")), /only asks whether/);
});
