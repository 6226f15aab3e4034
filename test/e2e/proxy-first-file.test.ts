import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { LBPROXY } from "../support/lbproxy.ts";
import { lacksHaproxy } from "../support/proxy-pair.ts";

// Goal: the file that an HAProxy user starts with works unchanged, with user, group, chroot, daemon, /dev/log and its
// sockets. Method: a machine of namespaces with an own /dev, /run and /var/lib/haproxy, in which 192.168.1.101 and .102
// answer; both programs run the very file, and what can be seen of them is compared.
const file = fileURLToPath(
  new URL("../../../test/config-haproxy/two-servers.cfg", import.meta.url),
);

const SCRIPT = `
set -eu
ip link set lo up
unshare --net sleep 60 & web=$!
ip link add v0 type veth peer name v1
for i in $(seq 100); do [ "$(readlink /proc/$web/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.05; done
ip link set v1 netns $web
ip addr add 192.168.1.1/24 dev v0
ip link set v0 up
inweb() { nsenter -t $web -n "$@"; }
for host in 101 102; do inweb ip addr add 192.168.1.$host/24 dev v1; done
inweb ip link set lo up
inweb ip link set v1 up
mount -t tmpfs none /mnt
for device in null zero full random urandom; do touch /mnt/$device; mount --bind /dev/$device /mnt/$device; done
mount --rbind /mnt /dev
ln -s /proc/self/fd /dev/fd
mount -t tmpfs none /run
mkdir /run/haproxy
mount -t tmpfs none /var/lib/haproxy
socat -u UNIX-RECV:/dev/log - >> /run/log 2>/dev/null &
inweb ${process.execPath} -e "for (const host of ['101', '102']) require('http').createServer((_q, a) => a.end(host)).listen(80, '192.168.1.' + host)" &
# As Debian's rsyslog has it: one within the chroot too.
mkdir /var/lib/haproxy/dev
socat -u UNIX-RECV:/var/lib/haproxy/dev/log - >> /run/log 2>/dev/null &
for i in $(seq 100); do [ -S /dev/log ] && [ -S /var/lib/haproxy/dev/log ] && inweb curl -m 2 -sf -o /dev/null http://192.168.1.102/ && break; sleep 0.05; done
chmod 666 /var/lib/haproxy/dev/log
"$@" -f ${file}
echo "exit $?"
for i in $(seq 100); do curl -m 2 -sf -o /dev/null http://127.0.0.1/ && break; sleep 0.05; done
api() { echo "$1" | socat - UNIX-CONNECT:/run/haproxy/admin.sock; }
pid=$(api "show info" | sed -n 's/^Pid: //p')
echo "user $(stat -c %U:%G /proc/$pid)"
echo "groups $(sed -n 's/^Groups:\\s*//p' /proc/$pid/status)"
echo "root $(readlink /proc/$pid/root)"
echo "parent $(sed -n 's/^PPid:\\s*//p' /proc/$pid/status)"
echo "socket $(stat -c %a /run/haproxy/admin.sock)"
echo "level $(api 'show cli level' | head -1)"
echo "timeout $(api 'show cli sockets' | grep -c admin)"
# Health checks may not have said their first word yet: whoever answers, both do in turn.
for i in 1 2 3 4; do curl -m 5 -s http://127.0.0.1/; echo; done | sort | uniq -c | sed 's/^ */answers /'
api "disable server my_backend/server1" > /dev/null
for i in 1 2; do curl -m 5 -s http://127.0.0.1/; echo; done | sort | uniq -c | sed 's/^ */alone /'
for i in $(seq 100); do grep -q 'server1 is going DOWN' /run/log && grep -q 'GET / HTTP' /run/log && break; sleep 0.05; done
echo "requests on $(grep -ao '<[0-9]*>[A-Z][a-z]* *[0-9]* [0-9:]* haproxy\\[[0-9]*\\]: 127.0.0.1:[0-9]* .* www my_backend/server2' /run/log | sed 's/>.*//' | sort -u | tr '\\n' ' ')"
echo "states on $(grep -ao '<[0-9]*>[^<]*Server my_backend/server1 is going DOWN for maintenance' /run/log | sed 's/>.*//' | sort -u | tr '\\n' ' ')"
kill $pid
for i in $(seq 100); do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
kill -0 $pid 2>/dev/null && echo "still there" || echo "gone"
`;

const lacks = (): string | false => {
  if (process.getuid?.() !== 0) return "needs root: namespaces, chroot, port 80";
  if (!/^haproxy:/m.test(readFileSync("/etc/passwd", "latin1"))) return "there is no user haproxy";
  return lacksHaproxy();
};

function run(program: readonly string[]): string[] {
  const { stdout, stderr } = spawnSync(
    "unshare",
    [
      "--net",
      "--mount",
      "--pid",
      "--fork",
      "--kill-child",
      "--mount-proc",
      "bash",
      "--norc",
      "-c",
      SCRIPT,
      "bash",
      ...program,
    ],
    { encoding: "utf8", timeout: 60_000 },
  );
  return [...stdout.trim().split("\n"), ...(stdout.includes("gone") ? [] : [stderr])];
}

test("the first file runs in the background, under its user, in its root, with its logs and sockets, as haproxy does", {
  skip: lacks(),
}, () => {
  const ours = run([process.execPath, LBPROXY]);
  const theirs = run(["haproxy"]);
  assert.deepEqual(ours, theirs);
  assert.ok(ours.includes("exit 0"), ours.join("\n"));
  assert.ok(ours.includes("user haproxy:haproxy"));
  assert.ok(ours.includes("root /var/lib/haproxy"));
  assert.ok(ours.includes("answers 2 101") && ours.includes("answers 2 102"), ours.join("\n"));
  assert.ok(ours.includes("alone 2 102"));
});
