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
  ctl set w times=10
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
  begin 60000 2 <<<$'[rule a]\ncalls = write\nprobability = 0%\nfault = error EIO\n[rule b]\ncalls = nanosleep\nfault = delay 1us'
  # the same rules with other numbers, in other words; one is left out
  printf '# calmer\n[rule a]\ncalls=write ; as before\nprobability = 50%%\ntimes = 1000000\n  fault = error EIO\n' >other.ini
  ctl load other.ini
  [ "$(rule a probability)" = 0.5 ] && [ "$(rule a set_times)" = 1000000 ] && [ "$(rule b enabled)" = false ]
  ctl load p.ini
  [ "$(rule a probability)" = 0 ] && [ "$(rule a set_times)" = null ] && [ "$(rule b enabled)" = true ]
  # what can't be taken over changes nothing
  local text
  for text in '[rule a]\ncalls = read\nfault = error EIO' '[rule a]\ncalls = write\nfault = error ENOSPC' \
    '[rule c]\ncalls = write\nfault = error EIO' '[rule b]\ncalls = nanosleep\nfault = delay 1us\n[rule a]\ncalls = write\nfault = error EIO' \
    '[rule a]\ncalls = wriet\nfault = error EIO'; do
    printf '%b\n' "$text" >wrong.ini
    run ctl load wrong.ini
    [ "$status" -eq 125 ] || { echo "$text: status $status: $output" && return 1; }
  done
  [ "$(rule a probability)" = 0 ] && [ "$(rule b enabled)" = true ]
  finish
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
