# seen.bash: runs a command under strace and under the shim at once, and compares what the two saw (seen.py). For tests that load common too.
# shellcheck shell=bash disable=SC2034,SC2154

# Every call of the table, descriptors 0 to 2 too; nothing fires. Allocations make no system call of their own: what they ask the kernel for counts.
seen_profile() {
  cat <<'END'
[faultshim]
seed = 1
[rule all]
calls = *
except = @memory.alloc
probability = 0
fault = delay 1ms
[rule standard-descriptors]
calls = *
except = @memory.alloc
fd = 0..65535
probability = 0
fault = delay 1ms
END
}

# The table's rows: "call number over".
seen_table() {
  printf '%s\n' '#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, ...) ROW name | nr | roles' \
    '#define R0 R(0)' '#define R(...) <__VA_ARGS__>' '#include "calls.def"' |
    gcc -E -P -I"$top/shim/engine" -x c - | tr '\n' ' ' | sed 's/ROW /\n/g' | awk -F' *[|] *' 'NF == 3 {
      number = $2; gsub(/ /, "", number)
      over = "-"
      if (match($3, /\.over = CALL_[a-z0-9_]+/)) over = substr($3, RSTART + 13, RLENGTH - 13)
      print $1, number, over
    }'
}

# Both see COMMAND: seen ALLOWED... -- COMMAND... ; ALLOWED is REASON/CALL[/MOST] as seen.py has it.
seen() {
  local allowed=() status=0
  while [ "$1" != -- ]; do
    allowed+=("$1")
    shift
  done
  shift
  rm -rf ../seen
  mkdir ../seen
  seen_profile >../seen/profile.ini
  seen_table >../seen/table
  [ "$(wc -l <../seen/table)" -gt 80 ]
  clean timeout -k 5 "${limit:-100}" strace -ff -i -y -s 0 -o "$BATS_TEST_TMPDIR/seen/strace" -E LD_PRELOAD="${reachable:-$victims}/mainmark.so" \
    "$faultshim" run -q -p ../seen/profile.ini -o "$BATS_TEST_TMPDIR/seen/trace" --expect=any -- "$@" >../seen/out 2>&1 || status=$?
  [ "$status" -eq 0 ] || { echo "status $status" && tail -n 20 ../seen/out && return 1; }
  fs log --json --events ../seen/trace >../seen/log
  python3 -B "$top/tests/seen.py" ../seen/strace ../seen/log ../seen/table "${allowed[@]}" >../seen/said || {
    cat ../seen/said
    return 1
  }
  if [ -n "${SEEN_SHOW-}" ]; then cat ../seen/said >&2; fi
}
