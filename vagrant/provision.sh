#!/usr/bin/env bash
# Makes a machine of the lab what its name says, from /opt/release and /opt/lab. Safe to repeat. Fetches nothing that
# is there already, and nothing at all with LAB_OFFLINE=yes.
#
# In: LAB_NODE (lb1, lb2, web1, web2 or client), LAB_SUBNET (10.77.0), LAB_OFFLINE, LAB_WEB (names of the web servers
# that this machine plays).
set -euo pipefail
: "${LAB_NODE:?}" "${LAB_SUBNET:?}" "${LAB_OFFLINE:=no}" "${LAB_WEB:=}"

need=(nftables iproute2 procps psmisc curl tcpdump)
case "$LAB_NODE" in lb*) need+=(keepalived haproxy) ;; esac
missing=()
for package in "${need[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]} > 0)); then
  if [ "$LAB_OFFLINE" = yes ]; then
    echo "lab: this box lacks ${missing[*]}, and the lab is offline; drills that need them will skip" >&2
  else
    # Debian starts what it installs; the originals are here for reference drills only.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
    rm -f /usr/sbin/policy-rc.d
  fi
fi

# fill FILE: the file on standard input, with this lab's addresses, into FILE; only when it differs.
fill() {
  local new
  new=$(mktemp)
  sed -e "s/@SUBNET@/$LAB_SUBNET/g" -e "s/@NODE@/$LAB_NODE/g" >"$new"
  mkdir -p "$(dirname "$1")"
  if cmp -s "$new" "$1"; then rm -f "$new"; else install -m 644 "$new" "$1" && rm -f "$new"; fi
}

case "$LAB_NODE" in
  lb*)
    systemctl disable --now keepalived haproxy >/dev/null 2>&1 || true
    fill /etc/keepalived/keepalived.conf <"/opt/lab/keepalived-$LAB_NODE.conf"
    fill /etc/haproxy/haproxy.cfg </opt/lab/haproxy.cfg
    /opt/release/install
    ;;
esac

for web in $LAB_WEB; do
  address=$LAB_SUBNET.2${web#web}
  fill "/etc/systemd/system/lab-$web.service" <<END
[Unit]
Description=Web server $web of the lab
[Service]
ExecStartPre=-/sbin/ip address add $address/24 dev eth1
ExecStart=/opt/release/node/bin/node /opt/lab/web-server.mjs $address 80 $web
Restart=always
[Install]
WantedBy=multi-user.target
END
  systemctl daemon-reload
  systemctl enable "lab-$web" >/dev/null 2>&1
  systemctl restart "lab-$web"
done
echo "lab: $LAB_NODE is ready"
