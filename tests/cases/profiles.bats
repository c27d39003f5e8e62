#!/usr/bin/env bats
# Every shipped profile does to a program what its first line says.

load ../common

# Runs with a few seeds; the sum of faults must not be zero. profile NAME -- PROGRAM...
profile() {
  local name=$1 seed
  shift 2
  total=0
  for seed in 1 2 3; do
    run fs run -q -s $seed --timeout 50s --expect=any -o $seed.trace -p "$name" -- "$@"
    statuses[seed]=$status
    total=$((total + $(faults $seed.trace | wc -l)))
    run fs verify -q $seed.trace
    [ "$status" -eq 0 ] || { echo "$name: verify: $output" && return 1; }
  done
  [ "$total" -gt 0 ] || { echo "$name: no fault in three runs" && return 1; }
}

@test "basic-a-correct-program-shows-no-difference" {
  profile basic -- "$victims/robust" all 200000
  [ "${statuses[*]}" = "0 0 0" ]
}
@test "short-io-a-correct-program-shows-no-difference" {
  profile short-io -- "$victims/robust" all 200000
  [ "${statuses[*]}" = "0 0 0" ]
  [ "$total" -gt 300 ]
  # the reads and writes inside libc are short too
  profile short-io -- "$victims/robust" stdio 2000000
  [ "${statuses[*]}" = "0 0 0" ]
}
@test "eintr-storm-a-correct-program-shows-no-difference" {
  profile eintr-storm -- "$victims/robust" tcp 200000
  [ "${statuses[*]}" = "0 0 0" ]
  [ "$total" -gt 40 ]
  faults 1.trace | jq -e -s 'all(.errno == "EINTR")'
}
@test "full-disk-writes-fail-after-64-KiB-and-stay-failed" {
  run fs run -q -s 1 -p full-disk -- "$victims/say" on:file write:60000 write:10000 write:1 on:file:other write:1 fsync
  says "write 60000" "write -1 ENOSPC" "write -1 ENOSPC" "write -1 ENOSPC" "fsync ok"
  run fs run -q -s 1 -p full-disk -- "$victims/robust" file 1000000
  [ "$status" -eq 99 ]
  [[ $output == *ENOSPC* ]]
  [ "$(stat -c %s robust)" -le 65536 ]
}
@test "fsync-fails-one-sync-in-five" {
  run fs run -q -s 1 -p fsync-fails -- "$victims/say" on:file x200:fsync
  local n
  n=$(grep -c -- -1 <<<"$output")
  [ "$n" -gt 15 ] && [ "$n" -lt 70 ]
  [ "$(grep -c EIO <<<"$output")" -gt $((n / 3)) ]
}
@test "out-of-memory-larger-allocations-fail" {
  run fs run -q -s 1 -p out-of-memory -- "$victims/say" x300:malloc:2000
  local n
  n=$(grep -c ENOMEM <<<"$output")
  [ "$n" -gt 3 ] && [ "$n" -lt 40 ]
  run fs run -q -s 1 --expect=any -p out-of-memory -- "$victims/say" x300:malloc:500
  [ "$(grep -c ENOMEM <<<"$output")" -eq 0 ]
  profile out-of-memory -- /usr/bin/python3 -B -S -c 'print(sum(len(bytes(5000)) for i in range(2000)))'
}
@test "flaky-network-connections-fail-and-transfers-are-cut" {
  run fs run -q -s 1 -p flaky-network -- "$victims/say" x60:connect
  [ "$(grep -cE 'ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH' <<<"$output")" -ge 2 ]
  [ "$(grep -c 'connect ok' <<<"$output")" -ge 30 ]
  profile flaky-network -- "$victims/threads8" "$(free_port)"
}
@test "chaos-programs-end-by-themselves" {
  head -c 3000000 /dev/urandom >source-file
  profile chaos -- /usr/bin/python3 -B -I -c 'import shutil; shutil.copyfile("source-file", "copy")'
  local s
  for s in "${statuses[@]}"; do [ "$s" -lt 120 ]; done
  profile chaos -- /bin/cp source-file copy
  for s in "${statuses[@]}"; do [ "$s" -lt 120 ]; done
}
@test "aggressive-programs-end-by-themselves" {
  head -c 3000000 /dev/urandom >source-file
  local s
  profile aggressive -- /bin/cp source-file copy
  for s in "${statuses[@]}"; do [ "$s" -lt 120 ]; done
  profile aggressive -- /usr/bin/python3 -B -I -c 'import shutil; shutil.copyfile("source-file", "copy")'
  for s in "${statuses[@]}"; do [ "$s" -lt 120 ]; done
}
@test "verify-no-program-reports-success" {
  head -c 300000 /dev/urandom >source-file
  profile verify -- /bin/cp source-file copy
  local s
  for s in "${statuses[@]}"; do [ "$s" -ne 0 ] && [ "$s" -lt 120 ]; done
  ! cmp -s source-file copy
}
@test "every-shipped-profile-has-a-test" {
  local name
  for name in "$top"/profiles/*.ini; do
    name=$(basename "$name" .ini)
    grep -q "^@test \"$name-" "$BATS_TEST_FILENAME" "$top/tests/programs/profiles.bats" || { echo "$name has none" && return 1; }
  done
}

# --- by their course ---

# Which of the writes of `say` failed, by number from 0: failed_writes PROFILE N
failed_writes() {
  local said
  said=$(fs run -q -s 1 -p "$1" -- "$victims/say" on:file "x$2:write")
  fs verify -q
  grep -n -v '^write 100$' <<<"$said" | sed 's/:.*//' | awk '{ print $1 - 1 }'
}
# How many of the numbers on stdin lie from A to before B.
between() { # A B
  awk -v a="$1" -v b="$2" '$1 >= a && $1 < b' | wc -l
}

@test "gradual-degradation-gets-worse" {
  failed_writes gradual-degradation 9000 >failed
  [ "$(between 0 1000 <failed)" -lt "$(between 3000 4000 <failed)" ]
  [ "$(between 3000 4000 <failed)" -lt "$(between 8000 9000 <failed)" ]
  [ "$(between 0 300 <failed)" -lt 20 ]
}
@test "sudden-failure-comes-once-and-stays" {
  failed_writes sudden-failure 1500 >failed
  diff failed <(seq 1000 1499)
}
@test "intermittent-has-bad-moments" {
  failed_writes intermittent 3000 >failed
  [ "$(wc -l <failed)" -gt 10 ]
  # only in the fifty from each hundredth of five hundred
  awk '($1 - 100) % 500 < 0 || ($1 - 100) % 500 >= 50 { bad = 1 } END { exit bad }' failed
}
@test "cascading-one-trouble-brings-the-next" {
  fs run -q -s 1 -p cascading -- "$victims/say" on:file x1500:write x200:malloc:2000 >said
  fs verify -q
  faults | jq -r .rule >rules
  # none of these has a probability of its own
  grep -q cascading-writes rules
  [ "$(head -n 1 rules)" = cascading-slow-disk ]
  [ "$(grep -n -m 1 cascading-writes rules | cut -d : -f 1)" -gt 1 ]
}
@test "recovery-a-program-that-tries-again-gets-there" {
  run fs run -q -s 1 -p recovery -- /usr/bin/python3 -B -I -c '
import os
fd = os.open("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
tries = 0
for i in range(1000):
    while True:
        tries += 1
        try:
            assert os.write(fd, b"%07d\n" % i) == 8
            break
        except OSError:
            pass
print(tries)'
  [ "$status" -eq 0 ]
  [ "$output" -gt 1100 ]
  diff out <(seq -f %07g 0 999)
  # the faults end where the outage does
  [ "$(faults | jq .ordinal | sort -n | tail -n 1)" -lt 520 ]
}
