#!/usr/bin/env bats
# The keys of [faultshim], and runs without the faultshim command.

load ../common

profile() { # LINES of [faultshim] on stdin; one rule on write
  { echo '[faultshim]' && cat && printf '[rule w]\ncalls = write\nfault = error EIO\n'; } >p.ini
}

@test "seed-of-the-profile-the-environment-and-the-command-line" {
  profile <<<'seed = 77'
  fs run -q -p p.ini -- "$victims/say" on:file write
  run fs stats --json
  grep -q '\b77\b' <<<"$output"
  clean FAULTSHIM_SEED=78 "$faultshim" run -q -p p.ini -- "$victims/say" on:file write
  run fs stats --json
  grep -q '\b78\b' <<<"$output"
  clean FAULTSHIM_SEED=78 "$faultshim" run -q -s 79 -p p.ini -- "$victims/say" on:file write
  run fs stats --json
  grep -q '\b79\b' <<<"$output"
}

@test "seed-is-drawn-and-shown-if-none-is-given" {
  run fs run -r 'calls=write probability=50% fault=error:EIO' --expect=any -o a.trace -- "$victims/say" on:file x64:write:1
  seed=$(sed -n 's/.*seed[ =:]*\([0-9][0-9]*\).*/\1/p' <<<"$output" | head -n 1)
  [ -n "$seed" ]
  grep '^write' <<<"$output" >first
  run fs run -s "$seed" -r 'calls=write probability=50% fault=error:EIO' --expect=any -o b.trace -- "$victims/say" on:file x64:write:1
  diff first <(grep '^write' <<<"$output")
  fs diff -q a.trace b.trace
}

@test "another-seed-is-another-set-of-faults" {
  seed=1 run under 'calls=write probability=50% fault=error:EIO' -- say on:file x64:write:1
  one=$output
  seed=2 run under 'calls=write probability=50% fault=error:EIO' -- say on:file x64:write:1
  [ "$one" != "$output" ]
}

@test "trace-all-holds-every-decision" {
  profile <<<'trace = all'
  sed -i 's/^fault/nth = 3\nfault/' p.ini
  fs run -q -p p.ini -- "$victims/say" on:file x9:write:1 || true
  [ "$(decisions | wc -l)" -eq 9 ]
  [ "$(decisions | how_many '.outcome == "pass"')" -eq 8 ]
}

@test "trace-faults-holds-faults-and-counts-the-rest" {
  profile <<<'trace = faults'
  sed -i 's/^fault/nth = 3\nfault/' p.ini
  fs run -q -p p.ini -- "$victims/say" on:file x9:write:1 || true
  [ "$(decisions | how_many '.outcome == "fault"')" -eq 1 ]
  [ "$(decisions | how_many '.outcome == "pass"')" -eq 0 ]
  fs stats --json | jq -e '[.. | numbers] | index(9)'
}

@test "trace-off-holds-counters-only" {
  profile <<<'trace = off'
  run fs run -s 1 -p p.ini -- "$victims/say" on:file x9:write:1
  [ "$(grep -c 'write -1 EIO' <<<"$output")" -eq 9 ]
  [ "$(decisions | wc -l)" -eq 0 ]
  fs stats --json | jq -e '[.. | numbers] | index(9)'
}

@test "trace-limit-stops-passes-and-keeps-faults" {
  profile <<<'trace-limit = 300KB'
  sed -i 's/^fault/interval = 20000\nfault/' p.ini
  run fs run -q -s 1 -p p.ini -- "$victims/robust" loop 600000
  says "loop 600000 errors 30"
  [ "$(stat -c %s faultshim.trace)" -lt 900000 ]
  [ "$(faults | wc -l)" -eq 30 ]
  fs stats --json | jq -e '[.. | numbers] | index(600000)'
}

@test "children-follow-into-programs-with-a-cleared-environment" {
  profile <<<'children = follow'
  run fs run -q -s 1 -p p.ini -- /usr/bin/env -i /usr/bin/env -i "$victims/say" on:file write
  says "write -1 EIO"
}

@test "children-skip-leaves-other-programs-alone-and-forks-in" {
  profile <<<'children = skip'
  run fs run -q -s 1 --expect=any -p p.ini -- /bin/sh -c "'$victims/say' on:file write; '$victims/say' on:file write"
  says "write 100" "write 100"
  run fs run -q -s 1 -p p.ini -- "$victims/say" on:file in-child:write
  says "write -1 EIO"
}

@test "headstart-by-calls" {
  profile <<<'headstart = 5 calls'
  run fs run -q -s 1 -p p.ini -- "$victims/say" on:file x8:write:1
  [ "$(grep -c 'write 1$' <<<"$output")" -eq 5 ]
  [ "$(grep -c EIO <<<"$output")" -eq 3 ]
}

@test "headstart-by-time" {
  profile <<<'headstart = 300ms'
  run fs run -q -s 1 -p p.ini -- "$victims/say" on:file write:1 nanosleep:400 write:1
  says "write 1" "nanosleep ok rest=0ms" "write -1 EIO"
}

@test "headstart-until-the-program-listens" {
  profile <<<'headstart = listen'
  run fs run -q -s 1 -p p.ini -- "$victims/say" on:file write:1 listen write:1
  says "write 1" "listen ok" "write -1 EIO"
}

@test "headstart-counts-for-nothing" {
  profile <<<'headstart = listen'
  sed -i 's/^fault/nth = 2\nfault/' p.ini
  run fs run -q -s 1 -p p.ini -- "$victims/say" on:file x3:write:1 listen x3:write:1
  says "write 1" "write 1" "write 1" "listen ok" "write 1" "write -1 EIO" "write 1"
}

@test "io-uring-is-refused-under-a-file-rule-and-can-be-allowed" {
  bare_answer=$(bare say io_uring_setup)
  profile <<<'io_uring = refuse'
  run fs run -q -s 1 --expect=any -p p.ini -- "$victims/say" io_uring_setup
  says "io_uring_setup -1 ENOSYS"
  profile <<<'io_uring = allow'
  run fs run -q -s 1 --expect=any -p p.ini -- "$victims/say" io_uring_setup
  says "$bare_answer"
  run fs run -q -s 1 --expect=any -r 'calls=malloc fault=error:ENOMEM' -- "$victims/say" io_uring_setup
  says "$bare_answer"
}

@test "settings-of-later-versions-are-refused-not-ignored" {
  local line
  for line in 'clock = virtual' 'node = n1'; do
    profile <<<"$line"
    run fs run -q -p p.ini -- "$victims/say" on:file write
    [ "$status" -eq 125 ] || { echo "$line: status $status: $output" && return 1; }
    [[ $output == *"p.ini:2:"*"not yet supported"* ]] || { echo "$line: $output" && return 1; }
  done
}

# --- without the command ---

@test "bare-preload-injects-and-traces" {
  profile <<<''
  run clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_SEED=5 FAULTSHIM_TRACE="$place/t.trace" "$victims/say" on:file write
  says "write -1 EIO"
  [ "$(faults t.trace | wc -l)" -eq 1 ]
  fs verify -q t.trace
}

@test "bare-preload-follows-children-into-one-trace" {
  profile <<<''
  run clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_TRACE=t.trace /bin/sh -c \
    "'$victims/say' on:file write; cd /; '$victims/say' on:file:$place/x in-child:write"
  [ "$(grep -c 'write -1 EIO' <<<"$output")" -eq 2 ]
  [ "$(faults t.trace | wc -l)" -ge 2 ]
  [ "$(faults t.trace | jq -r .process | sort -u | wc -l)" -ge 2 ]
}

@test "bare-preload-traces-to-the-working-directory" {
  profile <<<''
  run clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini "$victims/say" on:file write
  [ -e faultshim.trace ]
}

@test "bare-preload-finds-shipped-profiles-by-name" {
  run clean FAULTSHIM_PROFILES="$top/profiles" LD_PRELOAD="$shim" FAULTSHIM_PROFILE=short-io "$victims/say" on:file x20:write:100
  [ "$status" -eq 0 ]
  grep -v -q 'write 100' <<<"$output"
}

@test "without-a-profile-nothing-happens" {
  run clean LD_PRELOAD="$shim" "$victims/say" on:file write
  says "write 100"
  [ "$(ls)" = data ]
}

@test "bare-preload-with-a-bad-profile-does-not-start-the-program" {
  printf '[rule w]\ncalls = wriet\nfault = error EIO\n' >p.ini
  run clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini "$victims/say" on:file write
  [ "$status" -eq 125 ]
  [ "${#lines[@]}" -eq 1 ]
  [[ $output == *"p.ini:2:"*"wriet"*"write"* ]]
  run clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=none.ini "$victims/say" on:file write
  [ "$status" -eq 125 ]
  [ "${#lines[@]}" -eq 1 ]
}

@test "on-error-ignore-goes-on-without-faults" {
  printf '[rule w]\ncalls = wriet\nfault = error EIO\n' >p.ini
  run clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_ON_ERROR=ignore "$victims/say" on:file write
  [ "$status" -eq 0 ]
  [[ $output == *"write 100" ]]
}

# --- the file ---

@test "trace-is-readable-by-its-owner-alone" {
  run_say 'calls=write fault=error:EIO' umask:0 on:file write
  [ "$(stat -c %a faultshim.trace)" = 600 ]
  profile <<<''
  (umask 0 && clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_TRACE=t.trace "$victims/say" on:file write)
  [ "$(stat -c %a t.trace)" = 600 ]
}

@test "trace-is-never-written-through-a-symbolic-link" {
  echo mine >target
  ln -s target link.trace
  run fs run -q -o link.trace -r 'calls=write fault=error:EIO' -- "$victims/say" on:file write
  [ "$status" -eq 125 ]
  [ "$(cat target)" = mine ]
  ln -s nowhere dangling.trace
  run fs run -q -o dangling.trace -r 'calls=write fault=error:EIO' -- "$victims/say" on:file write
  [ "$status" -eq 125 ]
  [ ! -e nowhere ]
}

@test "trace-never-replaces-a-file-that-is-no-trace" {
  echo precious >notes
  run fs run -q -o notes -r 'calls=write fault=error:EIO' -- "$victims/say" on:file write
  [ "$status" -eq 125 ]
  [ "$(cat notes)" = precious ]
  profile <<<''
  run clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_TRACE=notes "$victims/say" on:file write
  [ "$(cat notes)" = precious ]
}

@test "trace-replaces-an-older-trace" {
  run_say 'calls=write fault=error:EIO' on:file x5:write:1
  [ "$(decisions | wc -l)" -eq 5 ]
  run_say 'calls=write fault=error:EIO' on:file x2:write:1
  [ "$(decisions | wc -l)" -eq 2 ]
}

@test "trace-in-a-folder-that-is-not-there-is-an-error" {
  run fs run -q -o none/t.trace -r 'calls=write fault=error:EIO' -- "$victims/say" on:file write
  [ "$status" -eq 125 ]
}

@test "full-disk-stops-the-trace-and-not-the-program" {
  needs_root "mounts a small file system"
  mkdir small
  mount -t tmpfs -o size=640k none small 2>/dev/null || skip "no mount here"
  run fs run -s 1 -o small/t.trace --expect=any -r 'calls=write interval=3 fault=error:EIO' -- "$victims/robust" loop 300000
  words=$output ended=$status
  run fs stats small/t.trace
  umount -l small
  [ "$ended" -eq 0 ]
  [[ $words == *"loop 300000 errors 100000"* ]]
  # and it is said that something is missing
  grep -qiE 'missing|lost|stopped|no space|incomplete' <<<"$words$output"
}

@test "file-size-limit-stops-the-trace-and-not-the-program" {
  run under "$everything" -- life limit-file-size
  [ "$status" -eq 0 ]
  says "limited"
}

@test "memory-limit-stops-neither-program-nor-shim" {
  run under "$everything" -- life limit-memory
  [ "$status" -eq 0 ]
}

@test "another-user-goes-on-without-the-right-to-open-the-trace" {
  needs_root "changes the user"
  cp "$victims/life" life-victim
  chmod 755 . life-victim
  chmod o+x "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" 2>/dev/null || true
  run under "$everything" -- life other-user /proc/self/exe
  [ "$status" -eq 0 ]
  make_reachable "$victims/say"
  run fs run -q -s 1 -o t.trace --expect=any -r 'calls=write nth=2 fault=error:EIO' -- \
    /usr/sbin/runuser -u nobody -- "$reachable/say" on:pipe x3:write:1
  says "write 1" "write -1 EIO" "write 1"
}

@test "another-root-goes-on-with-everything-mapped" {
  needs_root "changes the root"
  run under "$everything" -- life other-root
  [ "$status" -eq 0 ]
  [ "$(decisions | wc -l)" -gt 10 ]
}

@test "kill-9-in-a-million-decisions-loses-none" {
  local thread begun over there
  run under 'calls=write,clock_gettime probability=0 fault=delay:1ms' -- million counts 1000000
  [ "$status" -eq 137 ]
  # the counts of each thread as the log has them
  fs log --json | head -n 1 | grep -q '^{"process":"1","thread":"'
  fs log --json | awk -F'"' '{ n[$8]++ } END { for (t in n) print n[t], t }' >there
  while read -r thread begun over; do
    there=$(awk -v t="$thread" '$2 == t { print $1 }' there)
    echo "thread $thread: began $begun, over $over, in the log ${there:-none}"
    [ "${there:-0}" -ge "$over" ] && [ "$there" -le "$begun" ]
  done < <("$victims/million" --print counts)
  [ "$(awk '{ n += $1 } END { print n }' there)" -ge 1000000 ]
  fs verify -q
}

@test "errors-are-ignored-where-that-is-asked-for-a-file-in-the-way-of-the-trace-too" {
  echo 'no trace' >precious
  printf '[rule r]\ncalls = @file\nfault = error EIO\n' >p.ini
  run clean env LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_TRACE=precious FAULTSHIM_ON_ERROR=ignore "$victims/say" on:file write
  [ "$status" -eq 0 ]
  says "faultshim: $place/precious: exists and is not a trace; it is left alone" "write 100"
  [ "$(cat precious)" = 'no trace' ]
}
