#!/usr/bin/env bats
# Traces in formats of others: Chrome's trace events, which Perfetto opens.

load ../common

prepare() {
  cat >bad.ini <<'END'
[rule slow]
calls = write
path = data
probability = 50%
fault = delay 1ms..2ms
phase = bad
[rule refused]
calls = write
path = data
key = thread
nth = 5
fault = error EIO
[phase bad]
from = 3 ops
to = 30 ops
END
}

perfetto() {
  python3 "$top/tests/cases/perfetto.py" "$1"
}

@test "perfetto-gets-processes-threads-faults-and-phases" {
  fs run -q -s 1 --set stacks=faults -p bad.ini -- sh -c "'$victims/say' on:file x9:write:1; exec '$victims/say' on:file x9:write:1"
  fs log --export perfetto >a.json
  run perfetto a.json
  [[ $output == M=*" phase="* ]]
  # each decision and each event is there, and nothing else
  [ "$(jq '[.traceEvents[] | select(.cat == "call" or .cat == "fault")] | length' a.json)" -eq "$(fs log | wc -l)" ]
  [ "$(jq '[.traceEvents[] | select(.cat == "fault")] | length' a.json)" -eq "$(fs log --faults | wc -l)" ]
  # a process is known by what it became, and by its number
  jq -e '[.traceEvents[] | select(.name == "process_name").args.name] | .[0] | test("^1 say \\(pid [0-9]+\\)$")' a.json
  jq -e '.traceEvents[] | select(.name == "write: error EIO") | .ph == "i" and .args.errno == "EIO" and .args.rule == "refused" and (.args.resource | endswith("/data"))' a.json
  # what takes time is a slice of that length
  jq -e '[.traceEvents[] | select(.name == "write: delay")] | length > 0 and all(.ph == "X" and .dur >= 1000 and .dur <= 2000)' a.json
  jq -e '[.traceEvents[] | select(.ph == "C" and .name == "phase bad").args.intensity] | contains([1])' a.json
}

@test "perfetto-has-stacks-when-asked" {
  fs run -q -s 1 --set stacks=faults -r 'calls=write nth=2 path=data fault=error:EIO' -- "$victims/say" on:file x3:write:1
  fs log --export perfetto --stacks --faults >a.json
  perfetto a.json
  jq -e '[.traceEvents[] | select(.cat == "fault").args.stack[]] | map(select(startswith("main at "))) | length == 1' a.json
  [ "$(jq '[.traceEvents[] | select(.cat == "call")] | length' a.json)" -eq 0 ]
}

@test "perfetto-takes-names-that-are-hostile" {
  name=$'a"b\\c<script>\n\xff\xe2\x80\xa8'
  fs run -q -s 1 --expect=any -r 'calls=@file probability=50% fault=delay:1ms' -- cp "$victims/say" "$name"
  fs log --export perfetto >a.json
  perfetto a.json
  jq -e '[.traceEvents[].args.resource // empty | select(test("a\"b"))] | length > 0' a.json
}

@test "perfetto-takes-an-empty-run-and-head-and-tail" {
  fs run -q -s 1 --expect=any -r 'calls=read path=/nowhere fault=error:EIO' -- true
  fs log --export perfetto >a.json
  perfetto a.json
  fs run -q -s 1 -r 'calls=write path=data nth=2 fault=error:EIO' -- "$victims/say" on:file x30:write:1
  fs log --export perfetto --tail 3 >a.json
  perfetto a.json
  [ "$(jq '[.traceEvents[] | select(.ph == "i")] | length' a.json)" -eq 3 ]
  run fs log --export perfetti
  [ "$status" -eq 125 ]
  [[ $output == *"--export 'perfetti' is unknown; write perfetto"* ]]
}
