# Sourced by the commands of this folder, from the repository's root: installs and builds what is missing, quietly.
# Each step does nothing, and costs nothing, when there is nothing to do. Which Node: $NODE, else the one in PATH.
node="${NODE:-node}"

setup_fail() {
  echo "$1" >&2
  exit 1
}

# prepare_packages NAME...: Debian packages. Without root or apt it names those that are absent and goes on: the tests
# that need them skip, and say so.
prepare_packages() {
  local missing=() name
  if ! command -v dpkg-query >/dev/null; then return 0; fi
  local installed
  installed=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package} ' 2>/dev/null | sed 's/ii  \?\|ii //g') "
  for name in "$@"; do
    case "$installed" in *" $name "*) ;; *) missing+=("$name") ;; esac
  done
  if ((${#missing[@]} == 0)); then return 0; fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed (needs root and apt-get): ${missing[*]}" >&2
    return 0
  fi
  echo "installing ${missing[*]}" >&2
  # A package must not start its daemon here: keepalived would act on this host's addresses.
  local policy=/usr/sbin/policy-rc.d made=no log
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=yes
  fi
  log=$(mktemp)
  local status=0
  {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" ||
      { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; }
  } >"$log" 2>&1 </dev/null || status=$?
  if [ "$made" = yes ]; then rm -f "$policy"; fi
  if [ "$status" != 0 ]; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install: ${missing[*]}; tests that need them will skip" >&2
  fi
  rm -f "$log"
}

# node_modules as the lock file has it.
prepare_modules() {
  command -v "$node" >/dev/null || setup_fail "Node.js is missing: install version 20.19 or newer"
  "$node" -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);
  ' || setup_fail "Node.js $("$node" --version) is too old: 20.19 or newer is needed"
  if [ node_modules/.package-lock.json -nt package-lock.json ]; then return 0; fi
  echo "installing npm packages" >&2
  local log
  log=$(mktemp)
  npm ci --no-audit --no-fund >"$log" 2>&1 </dev/null || {
    tail -n 40 "$log" >&2
    rm -f "$log"
    setup_fail "npm ci failed"
  }
  rm -f "$log"
  touch node_modules/.package-lock.json
}

# All TypeScript and native code, into dist/ and packages/linux/native/build. Returns 1, having said why, when it fails.
prepare_build() {
  local log
  log=$(mktemp)
  local status=0
  { "$node" node_modules/typescript/bin/tsc -b && "$node" packages/linux/native/build.mjs &&
    "$node" scripts/bundle.mjs; } >"$log" 2>&1 || status=1
  if [ "$status" != 0 ]; then
    cat "$log" >&2
    echo "the build failed" >&2
  fi
  rm -f "$log"
  return "$status"
}
