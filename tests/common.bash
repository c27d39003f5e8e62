# common.bash: what the cases share. Each test has an empty folder of its own as working directory; what it starts gets an
# environment built from nothing.
# shellcheck shell=bash disable=SC2034

bats_require_minimum_version 1.5.0

# Servers that a test started, by process id: each leads a process group, which is ended when the test is over, whatever its outcome.
started=()

setup() {
  local here
  here=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
  top=${FS_TOP:-$here}
  build=${FS_BUILD:-$top/build/gcc}
  victims=$build/tests/victims
  faultshim=$build/tools/faultshim
  shim=$build/shim/preload/libfaultshim.so
  place=$BATS_TEST_TMPDIR/work
  mkdir "$place"
  cd "$place"
  PATH=/usr/sbin:/usr/bin:/sbin:/bin
  # Made from nothing. Python is to keep its hands off its caches: written under faults, they would be damaged for everybody.
  environment=(env -i PATH="$PATH" HOME="$place" LANG=C.UTF-8 TMPDIR="$BATS_TEST_TMPDIR" PYTHONDONTWRITEBYTECODE=1
    XDG_CACHE_HOME="$build/cache")
  if declare -F prepare >/dev/null; then prepare; fi
}

teardown() {
  end_servers
  if [ -n "$reachable" ]; then rm -rf "$reachable"; fi
}

end_servers() {
  local pid tries
  for pid in "${started[@]}"; do
    kill -TERM -- "-$pid" 2>/dev/null || continue
    for ((tries = 0; tries < 40; tries++)); do
      kill -0 -- "-$pid" 2>/dev/null || continue 2
      sleep 0.05
    done
    kill -KILL -- "-$pid" 2>/dev/null || true
  done
}

# A clean environment, and no descriptors of bats'.
clean() {
  "${environment[@]}" "$@" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
}

# A copy of the library, and of files named, in a folder that every user can reach, whatever the mode of the folders above the build:
# its path is left in $reachable.
reachable=
make_reachable() { # FILE...
  reachable=$(mktemp -d /tmp/faultshim-test.XXXXXX)
  chmod 755 "$reachable"
  cp "$shim" "$@" "$reachable"
  environment+=(FAULTSHIM_LIBRARY="$reachable/$(basename "$shim")")
}

# A server: background LOG COMMAND...; its process id, which takes signals for the command, is in $server.
background() {
  "${environment[@]}" timeout -k 5 100 "${@:2}" >"$1" 2>&1 </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  server=$!
  started+=("$server")
}

# The command under test.
fs() {
  clean timeout -k 5 "${limit:-60}" "$faultshim" "$@"
}

bare() { # VICTIM ARGUMENT...
  clean timeout -k 5 "${limit:-60}" "$victims/$1" "${@:2}"
}

# A victim under rules: under RULE [RULE]... -- VICTIM ARGUMENT... ; seed 1, nothing said by us, an empty run allowed.
under() {
  local rules=()
  while [ "$1" != -- ]; do
    rules+=(-r "$1")
    shift
  done
  fs run -q -s "${seed:-1}" --expect=any "${rules[@]}" -- "$victims/$2" "${@:3}"
}

# `say` under one rule: what its operations say is the result. run_say RULE OPERATION...
run_say() {
  run under "$1" -- say "${@:2}"
}

# $output is exactly these lines.
says() {
  diff -u --label wanted --label there <(printf '%s\n' "$@") <(printf '%s\n' "$output")
}

# The same with a pattern of bash for each line.
says_like() {
  local line i=0
  local -a there=()
  mapfile -t there <<<"$output"
  for line in "$@"; do
    # shellcheck disable=SC2053  # a pattern on purpose
    [[ ${there[$i]-} == $line ]] || {
      printf 'wanted: %s\nthere:  %s\n' "$line" "${there[$i]-}"
      return 1
    }
    i=$((i + 1))
  done
  [ "${#there[@]}" -eq "$i" ] || {
    printf 'and then: %s\n' "${there[@]:$i}"
    return 1
  }
}

# One rule on every family that never fires: what stands to be seen, and nothing changed.
everything='calls=@file,@net,@pipe,@memory,@time,@process,@random probability=0 fault=delay:1ms'

# Bare and then under a rule on everything that never fires: ends with 0 and says the same; and its trace is as its seed has it.
same_under_the_shim() { # VICTIM ARGUMENT...
  local words
  run bare "$@"
  [ "$status" -eq 0 ] || { echo "bare: status $status: $output" && return 1; }
  words=$output
  rm -rf ./*
  run fs run -q -s 1 -o ../victim.trace -r "$everything" -- "$victims/$1" "${@:2}"
  [ "$status" -eq 0 ] || { echo "under the shim: status $status: $output" && return 1; }
  [ "$output" = "$words" ] || { diff <(echo "$words") <(echo "$output") && return 1; }
  run fs verify -q ../victim.trace
  [ "$status" -eq 0 ] || { echo "verify: status $status: $output" && return 1; }
}

# Faults of a trace, one JSON object a line.
faults() { # [TRACE]
  fs log --json --faults "${1:-faultshim.trace}"
}
decisions() { # [TRACE]
  fs log --json "${1:-faultshim.trace}"
}
# How many JSON lines on stdin fulfil a condition of jq.
how_many() {
  jq -c "select($1)" | wc -l
}

# A TCP port on the loopback that nobody listens on, below those that the kernel hands out.
free_port() {
  local port tries
  for ((tries = 0; tries < 200; tries++)); do
    port=$((10000 + (RANDOM * 32768 + RANDOM) % 20000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  return 1
}

# Waits until a command succeeds: wait_for SECONDS COMMAND...
wait_for() {
  local tries=$(($1 * 20))
  shift
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "waited in vain for: $*" && return 1; }
    sleep 0.05
  done
}
listens() { # PORT
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
gone() { # PID
  ! kill -0 "$1" 2>/dev/null
}

needs_root() {
  if [ "$(id -u)" -ne 0 ]; then skip "must be root: $1"; fi
}
