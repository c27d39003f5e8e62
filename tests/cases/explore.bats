#!/usr/bin/env bats
# explore: many runs, each with other faults; what makes the program fail is kept and can be brought back.

load ../common

# The runs of a folder without what differs from time to time, in the order of their numbers.
runs_of() { # FOLDER
  jq -c 'del(.ms)' "$1/runs.jsonl" | sort -t: -k3 | jq -cs 'sort_by(.n) | .[]'
}

# id, why, key of the first run, and how many.
findings_of() { # FOLDER
  cat "$1"/findings/*/finding.json | jq -c '[.id, .why, .first, .runs]'
}

explore() { # FOLDER OPTION... -- PROGRAM...
  fs explore -o "$@"
}

@test "explore-each-once-fails-every-allocation-once-and-for-good" {
  run explore e -- "$victims/fragile" memory
  [ "$status" -eq 1 ]
  [[ $output == *"9 runs"*"2 levels; complete"*"4 fault points"*"3 runs failed"*"1 finding"* ]]
  [[ $output == *"SIGSEGV in "*" called by "*"(fragile.c:"*" after malloc = ENOMEM in allocate (fragile.c:"*" 3 runs"* ]]
  # the run without faults met three points; the fourth came up in an error path, and was tried behind the fault that leads there
  jq -se 'map(select(.key == "none"))[0].reached | length == 3' e/runs.jsonl
  jq -se 'map(select(.key | startswith("once"))) | length == 4' e/runs.jsonl
  jq -se 'map(select(.key | startswith("always"))) | length == 4' e/runs.jsonl
  jq -se 'map(select(.n == 7))[0] | .points | length == 2' e/runs.jsonl
  # one fault in each run of the first level that is transient
  jq -se 'map(select((.key | startswith("once")) and .n < 7)) | all(.faults == 1)' e/runs.jsonl
  # the finding can be brought back, with nothing but its trace
  local replay
  replay=$(jq -r .replay e/findings/*/finding.json)
  [[ $replay == "faultshim replay e/findings/"*"/run.trace" ]]
  run fs replay -q -o again.trace e/findings/*/run.trace
  [ "$status" -eq 139 ]
  # its faults stand where they were put, which no draw has to explain
  fs verify -q e/findings/*/run.trace
  # where it died stands beside it
  grep -q '^#[0-9]* *memory at .*fragile.c:' e/findings/*/backtrace.txt
  jq -e '.stack | map(.function) | index("memory")' e/findings/*/finding.json
  jq -e '.runs == 3 and .call == "malloc" and .error == "ENOMEM"' e/findings/*/finding.json
  # nothing of the work is left
  [ ! -e e/work ]
  [ -z "$(ls -d "$BATS_TEST_TMPDIR"/faultshim.* 2>/dev/null)" ]
  # the mended build lives with all of it
  run explore mended -- "$victims/fragile-mended" memory
  [ "$status" -eq 0 ]
  [[ $output == *"complete"*"nothing found"* ]]
}

@test "explore-tells-findings-apart-by-where-the-program-died" {
  run explore e -- "$victims/fragile" twice
  [ "$status" -eq 1 ]
  diff <(findings_of e | jq -r '.[1]' | sort) <(printf 'SIGABRT\nSIGSEGV\n')
  # what died in a child is told by the status
  run explore c -- "$victims/fragile" child
  [ "$status" -eq 1 ]
  [[ $output == *"SIGSEGV in a child after malloc"* ]]
}

@test "explore-does-the-same-with-any-number-of-workers" {
  explore one -q -j1 -- "$victims/fragile" twice || [ $? -eq 1 ]
  explore four -q -j4 -- "$victims/fragile" twice || [ $? -eq 1 ]
  diff <(runs_of one) <(runs_of four)
  diff <(findings_of one) <(findings_of four)
  diff <(jq -r .point one/points.jsonl | sort) <(jq -r .point four/points.jsonl | sort)
}

@test "explore-tries-what-it-knows-first" {
  explore e -q -- "$victims/fragile" twice || [ $? -eq 1 ]
  run explore e -- "$victims/fragile" twice
  [ "$status" -eq 1 ]
  [ "$(grep -c 'still fails' <<<"$output")" -eq 2 ]
  jq -se 'map(select(.key | startswith("again:"))) | length == 2' e/runs.jsonl
  # mended: what was found fails no more, and does not count
  cp "$victims/fragile" prog
  explore m -q -- ./prog twice || [ $? -eq 1 ]
  cp "$victims/fragile-mended" prog.new
  mv prog.new prog
  run explore m -- ./prog twice
  [ "$status" -eq 0 ]
  [ "$(grep -c 'fails no more' <<<"$output")" -eq 2 ]
  [ "$(find m/findings -name '*.gone' | wc -l)" -eq 2 ]
  # and broken again
  cp "$victims/fragile" prog.new
  mv prog.new prog
  run explore m -- ./prog twice
  [ "$status" -eq 1 ]
  [ "$(grep -c 'still fails' <<<"$output")" -eq 2 ]
  [ "$(find m/findings -name '*.gone' | wc -l)" -eq 0 ]
}

@test "explore-knows-failures-of-every-kind" {
  echo hello >data
  # no end in time
  run explore hang --timeout 500ms -- "$victims/fragile" patient
  [ "$status" -eq 1 ]
  [[ $output == *"hang after malloc = ENOMEM"* ]]
  # a sanitizer's report
  run explore asan -r 'calls=@file.read fault=error:EIO' -- "$victims/fragile-asan" after
  [ "$status" -eq 1 ]
  [[ $output == *"asan: heap-use-after-free in after after read = EIO"* ]]
  grep -q 'ERROR: AddressSanitizer' asan/findings/*/output
  # descriptors that stay open
  run explore leaks --leaks -r 'calls=@file fault=error:EIO' -- "$victims/fragile" files
  [ "$status" -eq 1 ]
  [[ $output == *"leaked descriptor in data after openat = EIO"*"2 runs"* ]]
  fs explore -q -o closed --leaks -r 'calls=@file fault=error:EIO' -- "$victims/fragile-mended" files
  # an exit status, and an oracle
  run explore exit --exit 1 -r 'calls=@file.open fault=error:EIO' -- "$victims/fragile" files
  [ "$status" -eq 1 ]
  [[ $output == *"exit 1 after openat = EIO"* ]]
  # shellcheck disable=SC2016
  run explore oracle --oracle '[ "$FAULTSHIM_STATUS" = 0 ]' -r 'calls=@file.open fault=error:EIO' -- "$victims/fragile" files
  [ "$status" -eq 1 ]
  [[ $output == *"oracle after openat = EIO"* ]]
}

@test "explore-knows-reports-of-valgrind" {
  echo hello >data
  run explore e -j1 --timeout 50s -r 'calls=@file.read path=data fault=error:EIO' -- valgrind -q "$victims/fragile" after
  [ "$status" -eq 1 ]
  [[ $output == *"valgrind: invalid read in after"* ]]
}

rules() {
  cat >p.ini <<'END'
[rule writes]
calls = write
path = journal
probability = 10%
fault = short

[rule others]
calls = pwrite @memory.alloc
probability = 10%
fault = error ENOMEM

[rule syncs]
calls = @file.sync
probability = 10%
fault = error EIO
END
}

@test "explore-random-finds-a-bug-that-needs-two-faults-and-shrink-gets-these" {
  rules
  run explore e --strategy random -p p.ini --exit 3 --copy --stop-on-finding --shrink -- "$victims/twofaults"
  [ "$status" -eq 1 ]
  [[ $output == *"stopped by a finding"*"exit 3"* ]]
  local found
  found=$(echo e/findings/*)
  [ "$(decisions "$found/run.trace" | wc -l)" -gt 150 ]
  faults "$found/shrunk.trace" | jq -c '[.call, (.resource | split("/") | last), .fault]' >left
  diff left - <<'END'
["write","journal","short"]
["fsync","index","error"]
END
  # the profile brings it back, and the mended build lives with it
  run fs run -q -p "$found/shrunk.ini" -o again.trace -- "$victims/twofaults"
  [ "$status" -eq 3 ]
  fs run -q -p "$found/shrunk.ini" -o again.trace -- "$victims/twofaults-mended"
  # a trace that was kept from a copy of the directory is replayed in the directory
  run fs replay -q -o again.trace "$found/run.trace"
  [ "$status" -eq 3 ]
  run explore mended --strategy random --seed-range 1..60 -p p.ini --exit 3 --copy -- "$victims/twofaults-mended"
  [ "$status" -eq 0 ]
  [ "$(jq -s 'map(select(.key | startswith("seed:"))) | length' mended/runs.jsonl)" -eq 60 ]
  jq -se 'map(select(.key == "seed:17"))[0] | .n == 17 and .seed == 17' mended/runs.jsonl
}

@test "explore-swarm-draws-rules-and-strengths-from-the-seed" {
  rules
  explore a -q --strategy swarm --seed-range 5..40 -p p.ini --copy -j1 --exit 3 -- "$victims/twofaults" || [ $? -eq 1 ]
  explore b -q --strategy swarm --seed-range 5..40 -p p.ini --copy -j2 --exit 3 -- "$victims/twofaults" || [ $? -eq 1 ]
  diff <(runs_of a) <(runs_of b)
  # some rules are out, and what is left is stronger or weaker: the numbers of faults are far apart
  jq -se 'map(select(.n > 0).faults) | (max > 20) and (min == 0)' a/runs.jsonl
  # what was used stands in the trace
  explore c -q --strategy swarm --seed-range 5..200 -p p.ini --copy --exit 3 --stop-on-finding -- "$victims/twofaults" || [ $? -eq 1 ]
  for trace in c/findings/*/run.trace; do
    [ -e "$trace" ] || continue
    strings "$trace" | grep -q '^probability = [0-9.]*%$'
    run fs replay -q -o again.trace "$trace"
    [ "$status" -eq 3 ]
  done
}

@test "explore-pairs-fails-every-two-points" {
  run explore e --strategy pairs -r 'calls=@memory.alloc fault=error:ENOMEM' -- "$victims/fragile-mended" memory
  [ "$status" -eq 0 ]
  jq -se 'map(select(.key | startswith("pair:"))) | length == 3' e/runs.jsonl
  # neighbours first
  jq -rse '(map(select(.n == 0))[0].reached) as $p | map(select(.n == 1))[0].key == "pair:\($p[0])+\($p[1])"' e/runs.jsonl
}

@test "explore-every-fault-tries-each-line-of-a-rule" {
  printf '[rule r]\ncalls = @memory.alloc\nfault = error ENOMEM\nfault = delay 1us\n' >p.ini
  explore e -q --every-fault -p p.ini -- "$victims/fragile-mended" memory
  jq -se 'map(select(.key | test("^once:.*:1$"))) | length == 4' e/runs.jsonl
  jq -se 'map(select(.key | test("^always:.*:2$"))) | length == 4' e/runs.jsonl
}

made() {
  [ "$(wc -l <made)" -ge "$1" ]
}


@test "explore-goes-on-where-it-was-stopped" {
  local stop
  for stop in INT KILL; do
    rm -rf e made
    background log "$faultshim" explore -o e --strategy random --seed-range 1..60 -j2 --setup "echo run >>$PWD/made; sleep 0.05" \
      -- "$victims/fragile-mended" memory
    wait_for 30 made 20
    # `background` puts timeout(1) before the command
    pkill "-$stop" -P "$server" faultshim
    wait_for 20 gone "$server"
    local before
    before=$(grep -c '"key":"seed:' e/runs.jsonl)
    [ "$before" -ge 10 ]
    [ "$before" -lt 60 ]
    : >made
    # something else is not gone on with
    run explore e --resume --strategy random --seed-range 1..60 -r 'calls=malloc fault=error:ENOMEM' \
      --setup "echo run >>$PWD/made; sleep 0.05" -- "$victims/fragile-mended" memory
    [ "$status" -eq 125 ]
    [[ $output == *"another profile"* ]]
    run explore e --resume --strategy random --seed-range 1..60 -j2 --setup "echo run >>$PWD/made; sleep 0.05" \
      -- "$victims/fragile-mended" memory
    [ "$status" -eq 0 ]
    # nothing is missing, nothing was made twice
    [ "$(wc -l <made)" -eq $((60 - before)) ]
    diff <(jq -r 'select(.n > 0).n' e/runs.jsonl | sort -n) <(seq 60)
    [ ! -e e/work ]
  done
}

@test "explore-each-once-that-was-stopped-ends-as-one-that-was-not" {
  explore whole -q -- "$victims/fragile" twice || [ $? -eq 1 ]
  local i
  for i in 3 5 8; do
    rm -rf part
    explore part -q --runs $i -- "$victims/fragile" twice || [ $? -eq 1 ]
    [ "$(wc -l <part/runs.jsonl)" -le $i ]
    # a line that a crash has cut off is dropped
    printf '{"key":"once:00' >>part/runs.jsonl
    explore part -q --resume -- "$victims/fragile" twice || [ $? -eq 1 ]
    diff <(runs_of whole) <(runs_of part)
    diff <(findings_of whole | jq -c '.[:2]') <(findings_of part | jq -c '.[:2]')
  done
}

@test "explore-says-when-the-disk-is-full-and-loses-nothing" {
  local full='calls=@file.write path=runs.jsonl fault=error:ENOSPC nth=6+'
  run fs run -q --set children=skip -r "$full" -o outer.trace -- "$faultshim" explore -o e -j1 -- "$victims/fragile" twice
  [ "$status" -eq 125 ]
  [[ $output == *"runs.jsonl: No space left on device; what has been found is kept, --resume goes on from here"* ]]
  [ "$(wc -l <e/runs.jsonl)" -eq 3 ]
  run explore e --resume -- "$victims/fragile" twice
  [ "$status" -eq 1 ]
  explore whole -q -- "$victims/fragile" twice || [ $? -eq 1 ]
  diff <(runs_of whole) <(runs_of e)
}

@test "explore-in-shards-makes-each-run-once" {
  local i often='calls=@memory.alloc fault=error:ENOMEM probability=30%'
  for i in 1 2 3; do
    explore s$i -q --strategy random --seed-range 1..50 --shard $i/3 -r "$often" -- "$victims/fragile-mended" memory
    explore o$i -q --shard $i/3 -- "$victims/fragile" memory || [ $? -eq 1 ]
  done
  diff <(cat s[123]/runs.jsonl | jq -r 'select(.n > 0).n' | sort -n) <(seq 50)
  explore whole -q -- "$victims/fragile" memory || [ $? -eq 1 ]
  diff <(cat o[123]/runs.jsonl | jq -r .key | sort -u) <(jq -r .key whole/runs.jsonl | sort)
  diff <(cat o[123]/findings/*/finding.json | jq -r .id | sort -u) <(findings_of whole | jq -r '.[0]')
}

@test "explore-has-statuses-for-scripts-and-json" {
  # nothing to explore
  run explore e -r 'calls=fsync fault=error:EIO' -- "$victims/fragile" memory
  [ "$status" -eq 120 ]
  run explore e --strategy random --runs 3 -r 'calls=malloc fault=error:ENOMEM nth=99' -- "$victims/fragile" memory
  [ "$status" -eq 120 ]
  [[ $output == *"nothing was injected in any run"* ]]
  # it fails by itself
  run explore e -- "$victims/fragile" bad
  [ "$status" -eq 125 ]
  [[ $output == *"fails without any fault (SIGSEGV)"* ]]
  run -127 explore e -- ./there-is-no-such-program
  run explore e --resume --strategy pairs -- "$victims/fragile"
  [ "$status" -eq 125 ]
  run explore e --strategy nonsense -- true
  [ "$status" -eq 125 ]
  [[ $output == *"each-once, pairs, random or swarm"* ]]
  run explore e --seed-range 9..3 --strategy random -- true
  [ "$status" -eq 125 ]
  run explore e --seed-range 1..3 -- true
  [ "$status" -eq 125 ]
  run explore e
  [ "$status" -eq 125 ]
  # a folder that is something else is left alone
  mkdir other
  echo mine >other/explore.json
  run explore other -- "$victims/fragile"
  [ "$status" -eq 125 ]
  [ "$(cat other/explore.json)" = mine ]
  run fs explore --json -o j -- "$victims/fragile" memory
  [ "$status" -eq 1 ]
  jq -e '.complete and .runs == 9 and .failed == 3 and .points == 4 and .levels == 2 and (.findings | length) == 1' <<<"$output"
  jq -e '.findings[0] | .why == "SIGSEGV" and .state == "new" and .runs == 3' <<<"$output"
  # a budget is kept
  run explore b --strategy random --budget 2s -r 'calls=malloc fault=error:ENOMEM' -- "$victims/fragile-mended" memory
  [ "$status" -eq 0 ]
  [[ $output == *"stopped by --budget"* ]]
}

@test "explore-is-not-ended-by-what-its-programs-do" {
  echo hello >data
  # a signal to the whole group of processes
  # shellcheck disable=SC2016
  run explore group --signal any -r 'calls=@file.read path=data fault=error:EIO' -- \
    bash -c 'line=$(cat data); [ -n "$line" ] || kill -KILL 0; true'
  [ "$status" -eq 1 ]
  [[ $output == *"complete"*"SIGKILL after read = EIO"* ]]
  # children that stay, each with a name that can be found
  cp /bin/sleep lingerer
  run explore lingers -r 'calls=@file.read path=data fault=error:EIO' -- bash -c './lingerer 97 & cat data; true'
  [ "$status" -eq 0 ]
  [ -z "$(pgrep -f "^./lingerer 97")" ]
  # and one that leaves the session
  run explore leaves -r 'calls=@file.read path=data fault=error:EIO' -- bash -c 'setsid ./lingerer 98 & cat data; true'
  [ "$status" -eq 0 ]
  [ -z "$(pgrep -f "^./lingerer 98")" ]
}

@test "explore-copies-the-directory-without-its-own-folder" {
  mkdir inner
  echo deep >inner/.hidden
  # shellcheck disable=SC2016
  run explore e --copy --exit 1 -r 'calls=@file.read path=.hidden fault=error:EIO' -- \
    bash -c '[ ! -e e ] && [ "$(ls -A)" = inner ] && touch mine && exec cat inner/.hidden'
  [ "$status" -eq 1 ]
  [[ $output == *"exit 1 after read = EIO"* ]]
  # nothing came back here
  [ ! -e mine ]
  [ -z "$(ls -d "$BATS_TEST_TMPDIR"/faultshim.* 2>/dev/null)" ]
}
