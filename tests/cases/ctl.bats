#!/usr/bin/env bats
# faultshim ctl: runs that are going on are found, shown and changed; every change is in the trace and recomputed.

load ../common

# A run of `steady` in the background under p.ini, which is stdin: begin MILLISECONDS THREADS [PAUSE-US [CHILDREN]]
begin() {
  cat >p.ini
  background log "$faultshim" run -q -s 1 --expect=any -o t.trace -p p.ini -- "$victims/steady" "$@"
  wait_for 20 made_calls
}
made_calls() {
  [ "$(state .decisions)" -gt 0 ]
}
ctl() {
  fs ctl -o t.trace "$@"
}
state() { # FILTER of jq
  ctl status --json | jq "$1"
}
rule() { # NAME FIELD
  state ".rules[] | select(.name == \"$1\").$2"
}
met() { # all threads have met all changes
  [ "$(state '.met == .threads')" = true ]
}
# The run is ended as its user would, and the trace is as its seed, its profile and the changes have it.
finish() {
  local said
  pkill -TERM -g "$server" -x steady || true
  wait_for 30 gone "$server"
  said=$(fs verify t.trace) || { echo "$said" && return 1; }
}
fired() { # RULE, by the trace
  faults t.trace | how_many ".rule == \"$1\""
}
events() { # EVENT
  fs log --json --events t.trace | jq -c "select(.event == \"$1\")"
}

@test "runs-are-found-without-being-told-where" {
  begin 60000 2 1000 1 <<<$'[rule w]\ncalls = write\nprobability = 0%\nfault = error EIO'
  run fs ctl list --json
  [ "$status" -eq 0 ]
  local here
  here=$(jq -c --arg t "$place/t.trace" '.[] | select(.trace == $t)' <<<"$output")
  [ -n "$here" ]
  jq -e '.processes == 2 and .seed == 1 and (.command[0] | endswith("/steady"))' <<<"$here"
  # any process of the run names it
  run fs ctl --pid "$(jq .pid <<<"$here")" status --json
  [ "$(jq -r .trace <<<"$output")" = "$place/t.trace" ]
  # and it is found when its trace is gone
  mv t.trace elsewhere
  run fs ctl --pid "$(jq .pid <<<"$here")" status --json
  [ "$(jq -r .trace <<<"$output")" = "$place/elsewhere" ]
  mv elsewhere t.trace
  finish
}

@test "probabilities-are-set-and-reset" {
  begin 60000 3 <<<$'[rule w]\ncalls = write\nprobability = 0%\nfault = error EIO'
  [ "$(rule w fired)" -eq 0 ]
  ctl set w probability=100%
  ctl wait w 50 --timeout 30s
  [ "$(rule w probability)" = 1 ]
  ctl set w probability=25%
  [ "$(rule w probability)" = 0.25 ]
  wait_for 20 met
  ctl reset w
  wait_for 20 met
  local before
  before=$(rule w fired)
  sleep 0.2
  [ "$(rule w fired)" -eq "$before" ]
  [ "$(rule w set_probability)" = null ]
  finish
  [ "$(fired w)" -eq "$before" ]
  # each of the three threads met each of the changes
  [ "$(events control | jq -r 'select(.probability != null) | .probability' | sort | uniq -c | awk '{print $1 " x " $2}' | paste -sd ' ')" = "3 x 100% 3 x 25%" ]
}

@test "no-decision-after-the-answer-is-made-by-the-old-state" {
  begin 60000 4 0 2 <<<$'[rule w]\ncalls = write\nfault = error EIO'
  local at _
  for _ in 1 2 3; do
    ctl disable w
    # what was being decided at that moment is over by now
    sleep 0.05
    at=$(rule w fired)
    sleep 0.1
    [ "$(rule w fired)" -eq "$at" ]
    ctl enable w
    ctl wait w $((at + 100)) --timeout 30s
  done
  finish
}

@test "intensity-is-for-all-rules" {
  begin 60000 2 <<<$'[rule w]\ncalls = write\nfault = error EIO\n[rule n]\ncalls = nanosleep\nfault = delay 1us'
  ctl set intensity 0%
  wait_for 20 met
  local before
  before=$(state .faults)
  sleep 0.2
  [ "$(state .faults)" -eq "$before" ]
  [ "$(state '.intensity == 0')" = true ]
  ctl set intensity 50%
  [ "$(rule w probability)" = 0.5 ]
  ctl reset
  [ "$(rule w probability)" = 1 ] && [ "$(state '.intensity == 1')" = true ]
  finish
}

@test "times-are-set" {
  begin 60000 2 <<<$'[rule w]\ncalls = write\ntimes = 3\nfault = error EIO'
  ctl wait w 3 --timeout 20s
  ctl set w times=10 enabled=no
  [ "$(rule w enabled)" = false ]
  ctl set w enabled=yes
  ctl wait w 10 --timeout 20s
  sleep 0.1
  [ "$(rule w fired)" -eq 10 ]
  finish
  [ "$(fired w)" -eq 10 ]
}

@test "a-phase-begins-now-and-ends-by-itself" {
  begin 60000 2 <<'END'
[rule w]
calls = write
fault = error EIO
phase = outage
[phase outage]
from = 3600s
to   = 3600500ms
END
  [ "$(rule w fired)" -eq 0 ]
  ctl phase outage
  ctl wait w 1 --timeout 20s
  wait_for 20 ended
  local after
  after=$(rule w fired)
  sleep 0.1
  [ "$(rule w fired)" -eq "$after" ]
  ctl phase outage
  ctl wait w $((after + 1)) --timeout 20s
  finish
  [ "$(events phase | jq -r 'select(.intensity == "100%") | .runs' | sort -u | paste -sd ' ')" = "1 2" ]
}
ended() {
  [ "$(rule w probability)" = 0 ]
}

@test "a-stall-without-end-ends-when-its-rule-is-disabled" {
  begin 3000 3 1000 1 <<<$'[rule s]\ncalls = write\nfault = stall'
  ctl wait s 6 --timeout 20s
  sleep 0.2
  # nobody writes
  [ "$(rule s considered)" -eq 6 ]
  ctl disable s
  wait_for 20 wrote_again
  finish
  [ "$(fired s)" -eq 6 ]
}
wrote_again() {
  [ "$(rule s considered)" -gt 20 ]
}

@test "marks-are-kept-and-begin-what-waits-for-them" {
  begin 60000 2 <<<$'[rule w]\ncalls = write\nfault = error EIO\non = mark go for 1h'
  ctl mark 'first of all'
  [ "$(rule w probability)" = 0 ]
  ctl mark go
  ctl wait w 1 --timeout 20s
  [ "$(state '[.marks[].text] | join(",")')" = '"first of all,go"' ]
  finish
  [ "$(events mark | jq -r .text | sort | uniq -c | awk '{print $1}' | paste -sd ' ')" = "2 2" ]
}

@test "a-profile-is-loaded-in-one-step" {
  begin 60000 2 1000 1 <<<$'[rule a]\ncalls = write\nprobability = 0%\nfault = error EIO\n[rule b]\ncalls = nanosleep\nfault = delay 1us'
  # another fault, a rule less, and one that is new
  printf '# harder\n[rule a]\ncalls=write ; as before\ntimes = 7\n  fault = error ENOSPC\n[rule c]\ncalls = nanosleep\nnth = 5\nfault = error EINTR\n' >other.ini
  ctl load other.ini
  [ "$(state .profile)" = 1 ] && [ "$(state '[.rules[].name] | join(" ")')" = '"a c"' ]
  ctl wait a 7 --timeout 20s
  ctl wait c 1 --timeout 20s
  # a rule of the same name counts from nothing
  ctl load other.ini
  ctl wait a 7 --timeout 20s
  ctl load p.ini
  wait_for 20 met
  [ "$(rule a fired)" -eq 0 ] && [ "$(state .profile)" = 3 ]
  ctl wait b 10 --timeout 20s
  finish
  [ "$(faults t.trace | jq -r 'select(.rule | startswith("b") | not) | "\(.rule) \(.errno)"' | sort | uniq -c | awk '{print $2, $3, $1}' | paste -sd ' ')" = \
    "a@1 ENOSPC 7 a@2 ENOSPC 7 c@1 EINTR 1 c@2 EINTR 1" ]
  # each of the four threads has turned three times, in order
  [ "$(events control | jq -r '"\(.process)/\(.thread) \(.profile)"' | sort | awk '{ a[$1] = a[$1] $2 } END { for (t in a) print a[t] }' | paste -sd ' ')" = "123 123 123 123" ]
}

@test "a-profile-with-a-mistake-changes-nothing" {
  begin 60000 2 <<<$'[rule a]\ncalls = write\nprobability = 0%\nfault = error EIO'
  local words text
  while IFS='|' read -r words text; do
    printf '%b\n' "$text" >wrong.ini
    run ctl load wrong.ini
    [ "$status" -eq 125 ] && [[ $output == *"$words"* ]] || { echo "$text: status $status: $output" && return 1; }
  done <<'END'
wrong.ini:2: unknown call 'wriet'; did you mean 'write'?|[rule a]\ncalls = wriet\nfault = error EIO
wrong.ini:3: write never returns ENOENT|[rule a]\ncalls = write\nfault = error ENOENT
wrong.ini:2: rule r selects fsync, which no rule selects that the run began with|[rule r]\ncalls = fsync\nfault = error EIO
wrong.ini:1: rule r looks at who calls write|[rule r]\ncalls = write\nstack = main\nfault = error EIO
wrong.ini:1: rule r looks at who calls write|[rule r]\ncalls = write\ncaller = libc*\nfault = error EIO
wrong.ini:3: rule r keeps account of files|[rule r]\ncalls = write\nfault = quota 1MB
END
  run ctl load nothing.ini
  [ "$status" -eq 125 ]
  [ "$(state .changes)" -eq 0 ] && [ "$(state .profile)" -eq 0 ]
  [ "$(rule a enabled)" = true ]
  finish
}

@test "a-run-with-control-full-takes-any-profile" {
  begin 60000 2 <<<$'[faultshim]\ncontrol = full\n[rule none]\ncalls = nanosleep\nprobability = 0%\nfault = error EINTR'
  # a file that is open long since is known by its path
  printf '[rule w]\ncalls = @file.write\npath = **/steady.*.1\nfault = error ENOSPC\nkey = site\n' >other.ini
  ctl load other.ini
  ctl wait w 20 --timeout 20s
  printf '[rule s]\ncalls = @time.sleep @memory\nprobability = 1%%\nstack = work\nfault = error EINTR ENOMEM\n' >other.ini
  ctl load other.ini
  printf '[rule q]\ncalls = @file.write\nfault = quota 100\n[rule b]\ncalls = @file.sync\nfault = fsync-fail keep-data\n' >other.ini
  ctl load other.ini
  ctl wait q 20 --timeout 20s
  # but for what goes by what was there from the start
  printf '[rule m]\ncalls = malloc\nfault = budget 1MB\n' >wrong.ini
  run ctl load wrong.ini
  [ "$status" -eq 125 ] && [[ $output == *"keeps account of the heap from the start"* ]]
  printf '[rule y]\ncalls = fsync\nfault = fsync-fail\n' >wrong.ini
  run ctl load wrong.ini
  [ "$status" -eq 125 ] && [[ $output == *"keeps what was written until it is synced"* ]]
  printf '[rule t]\ncalls = clock_gettime\nfault = skew 1h\n' >wrong.ini
  run ctl load wrong.ini
  [ "$status" -eq 125 ] && [[ $output == *"changes a clock"* ]]
  finish
  [ "$(faults t.trace | how_many '.rule == "w@1" and (.resource | endswith(".1") | not)')" -eq 0 ]
}

@test "connections-and-files-that-are-open-meet-a-profile-that-is-loaded" {
  cat >talk.py <<'END'
import os, socket, time
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
here = socket.create_connection(listener.getsockname())
there, _ = listener.accept()
port = listener.getsockname()[1]
data = os.open("data", os.O_RDWR | os.O_CREAT)
os.write(data, b"x")
seen, end = set(), time.monotonic() + 30
while seen != {"read", "recv"} and time.monotonic() < end:
    try:
        os.pread(data, 1, 0)
    except OSError as e:
        seen.add("read")
    try:
        here.send(b"x")
        there.recv(1)
    except ConnectionResetError:
        seen.add("recv")
        there.close()
        there = socket.socketpair()[0]
    except OSError:
        pass
    time.sleep(0.005)
print(*sorted(seen))
END
  printf '[faultshim]\ncontrol = full\n[rule none]\ncalls = uname\nfault = error EFAULT' >p.ini
  background log "$faultshim" run -q -s 1 --expect=any -o t.trace -p p.ini -- /usr/bin/python3 talk.py
  wait_for 20 made_calls_of pread64
  printf '[rule f]\ncalls = @file.read\npath = **/data\nfault = error EIO\n[rule n]\ncalls = @net.recv\npeer = 127.0.0.1:*\nfault = reset\n' >other.ini
  ctl load other.ini
  wait_for 30 gone "$server"
  [ "$(cat log)" = "read recv" ]
  fs verify -q t.trace
}
made_calls_of() { # nothing is decided yet, so nothing but the program's own file tells how far it is
  [ -s data ]
}

@test "who-joins-later-decides-by-the-profile-that-holds" {
  printf '[rule w]\ncalls = write\nprobability = 0%%\nfault = error EIO\n' >p.ini
  printf '[rule w]\ncalls = write\nfault = error ENOSPC\n' >other.ini
  cat >start.sh <<'END'
until [ -e go ]; do
  echo waits >f
  sleep 0.02
done
"$1" 200 2 1000 1
exec "$1" 200 1
END
  background log "$faultshim" run -q -s 1 --expect=any -o t.trace -p p.ini -- bash start.sh "$victims/steady"
  wait_for 20 made_calls
  ctl load other.ini
  touch go
  wait_for 30 gone "$server"
  # the forked, the started and what the shell became: none of them has written a byte
  [ "$(grep -c 'written' log)" -eq 3 ]
  [ "$(grep -cv '^0 written' log)" -eq 0 ]
  fs verify -q t.trace
}

@test "what-the-old-profile-holds-goes-on" {
  begin 60000 3 <<<$'[rule s]\ncalls = write\nfault = stall'
  ctl wait s 3 --timeout 20s
  printf '[rule w]\ncalls = write\nprobability = 50%%\nfault = error EIO\n' >other.ini
  ctl load other.ini
  ctl wait w 30 --timeout 20s
  finish
  [ "$(fired s)" -eq 3 ]
}

@test "phases-of-a-profile-begin-when-it-is-loaded" {
  begin 60000 2 <<<$'[rule w]\ncalls = write\nprobability = 0%\nfault = error EIO\nphase = p\n[phase p]\nfrom = 1h'
  sleep 0.5
  printf '[rule o]\ncalls = write\nfault = error ENOSPC\nphase = q\n[rule w]\ncalls = write\nfault = error EIO\nphase = p\n[rule on]\ncalls = write\nfault = error EINTR\non = rule o fired for 1h\n[phase p]\nto = 300ms\n[phase q]\nfrom = 50 ops\nto = 60 ops\n' >other.ini
  ctl load other.ini
  ctl wait w 1 --timeout 20s
  ctl wait o 10 --timeout 20s
  ctl wait on 5 --timeout 20s
  finish
  # operations are counted from the load on, and by all threads together
  [ "$(fired o@1)" -eq 10 ]
  [ "$(events phase | jq -r 'select(.name == "p@1" and .intensity == "100%") | .thread' | sort -u | wc -l)" -eq 2 ]
}

@test "a-process-that-stands-still-does-not-hold-up-the-answer" {
  begin 60000 1 1000 1 <<<$'[rule w]\ncalls = write\nprobability = 0%\nfault = error EIO'
  local child
  child=$(state .pid)
  child=$(pgrep -P "$(pgrep -g "$server" -x steady | head -1)" -x steady)
  kill -STOP "$child"
  printf '[rule w]\ncalls = write\nfault = error EIO\n' >other.ini
  run ctl load other.ini --timeout 200ms
  [ "$status" -eq 0 ]
  [[ $output == *"process 1.1 ($child) has made no decision since"* ]]
  run ctl -q load other.ini --timeout 200ms
  [ "$status" -eq 0 ] && [ -z "$output" ]
  kill -CONT "$child"
  wait_for 20 met
  ctl wait w 20 --timeout 20s
  finish
  # its next decision was by the new one
  [ "$(fs log --json --events t.trace | jq -rs '[.[] | select(.process == "1.1" and .event == "control")] | map(.profile) | join(" ")')" = 2 ]
}

@test "signal-handlers-on-the-smallest-stacks-meet-a-profile-that-is-loaded" {
  printf '[faultshim]\ncontrol = full\n[rule x]\ncalls = @file @time @pipe @process\nprobability = 0%%\nfault = delay 1us\n' >p.ini
  printf '[rule y]\ncalls = @file @time @pipe @memory @process\nprobability = 0%%\nfault = delay 1us\n' >other.ini
  background log "$faultshim" run -q -s 1 --expect=any -o t.trace -p p.ini -- bash -c "for i in 1 2 3 4; do '$victims/waits' small-stacks || exit 1; done; echo done"
  local n=0
  until gone "$server"; do
    if [ "$n" -lt 30 ] && fs ctl -q -o t.trace load other.ini --timeout 20ms; then n=$((n + 1)); fi
    sleep 0.05
  done
  [ "$n" -ge 3 ]
  grep -qx 'done' log
  fs verify -q t.trace
}

@test "a-program-that-has-closed-all-its-descriptors-meets-a-profile-that-is-loaded" {
  cat >closes.py <<'END'
import os, time
os.closerange(3, 2000)
data = os.open("data", os.O_RDWR | os.O_CREAT)
end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        os.write(data, b"x")
    except OSError:
        break
    time.sleep(0.01)
else:
    raise SystemExit("nothing has failed")
END
  printf '[rule a]\ncalls = write\nprobability = 0%%\nfault = error EIO\n' >p.ini
  printf '[rule a]\ncalls = write\nfault = error EIO\n' >other.ini
  background log "$faultshim" run -q -s 1 --expect=any -o t.trace -p p.ini -- /usr/bin/python3 closes.py
  wait_for 20 made_calls
  ctl load other.ini
  wait_for 40 gone "$server"
  [ ! -s log ]
  # and one whose run has no file
  background log env LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_SEED=1 FAULTSHIM_TRACE=/proc/t.trace /usr/bin/python3 closes.py
  wait_for 20 is_controlled
  fs ctl --pid "$(pgrep -g "$server" -f closes.py | tail -1)" load other.ini
  wait_for 40 gone "$server"
  [[ $(cat log) != *"nothing has failed"* ]]
}
is_controlled() {
  [ "$(fs ctl --pid "$(pgrep -g "$server" -f closes.py | tail -1)" status --json | jq .decisions)" -gt 0 ]
}

@test "a-run-takes-a-bounded-number-of-profiles" {
  begin 60000 1 <<<$'[rule w]\ncalls = write\nprobability = 0%\nfault = error EIO'
  for i in $(seq 300); do
    printf '[rule r%d]\ncalls = write\nprobability = 0%%\nfault = error EIO\n' "$i"
  done | head -n $((56 * 4)) >many.ini
  local _
  for _ in 1 2 3 4; do
    ctl load many.ini
  done
  run ctl load many.ini
  [ "$status" -eq 125 ] && [[ $output == *"256 rules together, and with this one they have 280"* ]]
  for _ in $(seq 28); do
    ctl load <(printf '[rule w]\ncalls = write\nprobability = 0%%\nfault = error EIO\n')
    # half of them are never met by anybody
    [ $((RANDOM % 2)) -eq 0 ] || wait_for 20 met
  done
  [ "$(state .profile)" -eq 32 ]
  run ctl load p.ini
  [ "$status" -eq 125 ] && [[ $output == *"32 profiles have been loaded into this run"* ]]
  finish
}

@test "a-run-into-which-profiles-were-loaded-is-replayed" {
  begin 60000 3 500 1 <<<$'[faultshim]\ncontrol = full\n[rule a]\ncalls = write\nprobability = 10%\nfault = error EIO'
  printf '[rule a]\ncalls = write nanosleep\nprobability = 30%%\nfault = error EINTR\n' >other.ini
  printf '[rule a]\ncalls = nanosleep\nkey = run\nprobability = 30%%\nfault = error EINTR\n' >third.ini
  ctl wait a 30 --timeout 20s
  ctl load other.ini
  ctl wait a 30 --timeout 20s
  ctl load third.ini
  ctl wait a 30 --timeout 20s
  finish
  faults t.trace | jq -c '[.process, .thread, .ordinal, .call, .rule, .errno]' | sort >recorded
  run fs replay -q --timeout 6s t.trace
  faults t.replay.trace | jq -c '[.process, .thread, .ordinal, .call, .rule, .errno]' | sort >again
  # it ends by its time, perhaps before it has come to all; where a thread turns, a call that the next profile does not ask about may
  # be asked once more, and the faults after it are then given one decision later
  [ "$(wc -l <again)" -ge $(($(wc -l <recorded) / 2)) ]
  [ -z "$(comm -13 recorded again)" ]
  grep -q 'a@2' again
  fs verify -q t.replay.trace
}

@test "wait-ends-with-the-run-and-with-its-time" {
  begin 700 1 <<<$'[rule w]\ncalls = write\nprobability = 0%\nfault = error EIO'
  run ctl wait w 1 --timeout 100ms
  [ "$status" -eq 124 ]
  run ctl wait w 1 --timeout 60s
  [ "$status" -eq 1 ]
  wait_for 20 gone "$server"
  run ctl disable w
  [ "$status" -eq 125 ]
  [[ $output == *"the run is over"* ]]
}

@test "mistakes-are-named-and-change-nothing" {
  begin 60000 1 <<<$'[rule write-fails]\ncalls = write\nprobability = 0%\nfault = error EIO\n[rule never]\ncalls = write\nenabled = no\nfault = error EIO'
  refused() { # WORDS ACTION...
    local wanted=$1
    shift
    run ctl "$@"
    [ "$status" -eq 125 ] && [[ $output == *"$wanted"* ]] || { echo "$*: status $status: $output" && return 1; }
  }
  refused "did you mean 'write-fails'?" disable write-fail
  refused "did you mean 'status'?" statuss
  refused "enabled = no" enable never
  refused "is above 100%" set write-fails probability=200%
  refused "can't be set in a run" set write-fails path=/x
  refused "neither yes nor no" set write-fails enabled=maybe
  refused "is no KEY=VALUE" set write-fails probability
  refused "is no share" set intensity loud
  refused "has no phase 'x'" phase x
  refused "at most 48 bytes" mark 0123456789012345678901234567890123456789012345678
  refused "write wait RULE N" wait write-fails
  run fs ctl --pid 1 status
  [ "$status" -eq 125 ]
  run fs ctl -o /etc/passwd status
  [ "$status" -eq 125 ]
  [ "$(state .changes)" -eq 0 ]
  finish
}

@test "a-run-in-bare-preload-is-controlled-too" {
  printf '[rule w]\ncalls = write\nprobability = 0%%\nfault = error EIO\n' >p.ini
  background log env LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_SEED=1 FAULTSHIM_TRACE=t.trace "$victims/steady" 60000 2
  wait_for 20 made_calls
  ctl set w probability=100%
  ctl wait w 5 --timeout 20s
  kill -TERM "$server"
  wait_for 20 gone "$server"
  fs verify -q t.trace
}

@test "only-the-user-of-the-run-controls-it" {
  needs_root "another user is needed"
  begin 60000 1 <<<$'[rule w]\ncalls = write\nprobability = 0%\nfault = error EIO'
  chmod 755 . .. ../..
  run setpriv --reuid=65534 --regid=65534 --clear-groups "$faultshim" ctl -o "$place/t.trace" disable w
  [ "$status" -ne 0 ]
  [ "$(stat -c %a t.trace)" = 600 ]
  [ "$(state .changes)" -eq 0 ]
  finish
}

@test "a-run-that-was-changed-is-replayed" {
  begin 60000 2 <<<$'[rule w]\ncalls = write\nprobability = 0%\nfault = error EIO'
  ctl set w probability=50%
  ctl wait w 30 --timeout 20s
  finish
  faults t.trace | jq -c '[.thread, .n, .errno]' | sort >recorded
  run fs replay -q --timeout 5s t.trace
  faults t.replay.trace | jq -c '[.thread, .n, .errno]' | sort >again
  [ -s again ]
  [ -z "$(comm -13 recorded again)" ]
}
