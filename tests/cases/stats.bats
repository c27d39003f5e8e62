#!/usr/bin/env bats
# Counters say what the trace says, while a run goes on and when it is over, in every form.

load ../common

prepare() {
  cat >p.ini <<'END'
[rule memory]
calls = @memory.alloc
probability = 5%
fault = error ENOMEM
[rule files]
calls = @file
except = close
probability = 8%
fault = error EIO
fault = short weight=2
fault = delay 1us
continue = yes
[rule network]
calls = @net.send @net.recv
probability = 8%
fault = error EINTR
fault = short
END
}

# The same numbers from the decisions themselves. What is counted and what is written differ by what is under way: LEEWAY.
from_the_log() { # TRACE
  decisions "$1" | jq -s '
    def tally(f): group_by(f) | map({key: (.[0] | f), value: length}) | from_entries;
    {
      decisions: (map("\(.process)/\(.thread) \(.n)") | unique | length),
      faults: map(select(.outcome == "fault")) | length,
      rules: map(select(.outcome == "fault")) | tally(.rule),
      kinds: map(select(.outcome == "fault")) | tally("\(.rule) \(.call) \(.fault) \(.errno)"),
      calls: (unique_by("\(.process)/\(.thread) \(.n)") | tally(.call)),
      processes: (map(select(.outcome == "fault")) | tally(.process))
    }'
}
from_the_counters() { # TRACE
  fs stats --json -q "$1" | jq '{
      decisions, faults,
      rules: [.rules[] | select(.fired > 0) | {key: .name, value: .fired}] | from_entries,
      kinds: [.faults_of_rules[] | {key: "\(.rule) \(.call) \(.fault) \(.errno)", value: .times}] | from_entries,
      calls: .calls,
      processes: [.processes[] | select(.faults > 0) | {key: .name, value: .faults}] | from_entries
    }'
}

@test "counters-are-what-the-trace-says-under-load" {
  run fs run -q -s 7 -o t.trace -p p.ini -- "$victims/threads8" "$(free_port)"
  [ "$status" -eq 0 ]
  from_the_log t.trace | jq -S . >log
  from_the_counters t.trace | jq -S . >counters
  [ "$(jq .faults counters)" -gt 200 ]
  diff log counters
}

@test "counters-of-a-run-that-goes-on-are-what-its-trace-says" {
  printf '[rule w]\ncalls = write\nprobability = 30%%\nfault = error EIO\nfault = error ENOSPC\n' >w.ini
  background log "$faultshim" run -q -s 1 --expect=any -o t.trace -p w.ini -- "$victims/steady" 60000 4 500 1
  wait_for 20 busy
  # in the midst of its calls it is stopped, and looked at from outside: of each of the eight threads one call may be under way
  local i
  for i in 1 2 3; do
    pkill -STOP -g "$server" -x steady
    sleep 0.1
    from_the_log t.trace >log.json
    from_the_counters t.trace >counters.json
    pkill -CONT -g "$server" -x steady
    jq -e -n --slurpfile a log.json --slurpfile b counters.json '
      [$a[0], $b[0]] | [paths(numbers)] | map(.[1:]) | unique' >paths
    jq -e -n --slurpfile a log.json --slurpfile b counters.json --slurpfile paths paths '
      $paths[0] | all(. as $p | (($a[0] | getpath($p) // 0) - ($b[0] | getpath($p) // 0)) | fabs <= 8)' ||
      { echo "look $i" && diff log.json counters.json && return 1; }
    sleep 0.1
  done
  pkill -TERM -g "$server" -x steady
  wait_for 30 gone "$server"
  from_the_log t.trace | jq -S . >log
  from_the_counters t.trace | jq -S . >counters
  diff log counters
}

@test "counters-go-on-over-all-profiles-of-a-run" {
  printf '[faultshim]\ncontrol = full\n[rule w]\ncalls = write\nprobability = 30%%\nfault = error EIO\n' >w.ini
  printf '[rule w]\ncalls = write\nprobability = 30%%\nfault = error ENOSPC\n[rule n]\ncalls = nanosleep\nprobability = 10%%\nfault = delay 1us\n' >x.ini
  background log "$faultshim" run -q -s 1 --expect=any -o t.trace -p w.ini -- "$victims/steady" 60000 4 500 1
  wait_for 20 busy
  fs ctl -o t.trace load x.ini
  fs ctl -o t.trace wait w 200 --timeout 20s
  fs ctl -o t.trace load x.ini
  fs ctl -o t.trace wait n 200 --timeout 20s
  # while it goes on, no counter goes back, and none is behind the log that was read before it
  from_the_log t.trace >before.json
  from_the_counters t.trace >between.json
  jq -e -n --slurpfile a before.json --slurpfile b between.json '
    [$a[0] | paths(numbers)] | all(. as $p | ($b[0] | getpath($p) // 0) >= ($a[0] | getpath($p)))'
  fs stats --prometheus t.trace | grep -q '^faultshim_rule_fired_total{rule="w@2"} '
  pkill -TERM -g "$server" -x steady
  wait_for 30 gone "$server"
  from_the_log t.trace | jq -S . >log
  from_the_counters t.trace | jq -S . >counters
  [ "$(jq -c '.rules | keys' counters)" = '["n@1","n@2","w","w@1","w@2"]' ]
  diff log counters
}
busy() {
  [ "$(fs stats --json t.trace | jq .faults)" -gt 1000 ]
}

@test "kinds-of-faults-are-counted-without-a-trace" {
  local mode
  for mode in all faults off; do
    { printf '[faultshim]\ntrace = %s\n' "$mode" && cat p.ini; } >mode.ini
    rm -f data
    run fs run -q -s 7 -o "$mode.trace" -p mode.ini -- "$victims/say" on:file:data x300:write x300:malloc x100:pread x50:fsync
    [ "$status" -eq 0 ]
    # with trace = off there are no names of processes
    from_the_counters "$mode.trace" | jq -S '.processes |= add' >"$mode.json"
  done
  [ "$(jq '.kinds | length' all.json)" -ge 6 ]
  [ "$(jq '.kinds | add' all.json)" = "$(jq .faults all.json)" ]
  diff all.json faults.json
  diff all.json off.json
}

@test "prometheus-reads-the-same-numbers" {
  run fs run -q -s 7 -o t.trace -p p.ini -- "$victims/threads8" "$(free_port)"
  fs stats --json t.trace >json
  fs stats --prometheus t.trace >text
  /usr/bin/python3 - <<'END'
import json, re
said = json.load(open("json"))
name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
sample = re.compile(rf'({name})(?:\{{((?:{name}="(?:[^"\\\n]|\\.)*",?)*)\}})? ([0-9.e+-]+)')
types, got = {}, {}
for line in open("text"):
    line = line.rstrip("\n")
    if line.startswith("# TYPE "):
        _, _, metric, kind = line.split(" ")
        assert metric not in types, line
        types[metric] = kind
    elif not line.startswith("# HELP "):
        m = sample.fullmatch(line)
        assert m, line
        assert m[1] in types and (types[m[1]] == "counter") == m[1].endswith("_total"), line
        labels = dict(re.findall(rf'({name})="((?:[^"\\]|\\.)*)"', m[2] or ""))
        key = (m[1], tuple(sorted(labels.items())))
        assert key not in got, line
        got[key] = float(m[3])
def of(metric, **labels):
    return got["faultshim_" + metric, tuple(sorted(labels.items()))]
for rule in said["rules"]:
    assert of("rule_fired_total", rule=rule["name"]) == rule["fired"]
    assert of("rule_considered_total", rule=rule["name"]) == rule["considered"]
for call, n in said["calls"].items():
    assert of("decisions_total", call=call) == n
for o in said["faults_of_rules"]:
    assert of("faults_total", rule=o["rule"], call=o["call"], fault=o["fault"], errno=o["errno"] or "") == o["times"]
for p in said["processes"]:
    assert of("process_faults_total", process=p["name"], program=p["program"]) == p["faults"]
    assert of("process_decisions_total", process=p["name"], program=p["program"]) == p["decisions"]
assert sum(v for (k, _), v in got.items() if k == "faultshim_faults_total") == said["faults"] > 200
assert of("run_over") == 1
END
}

@test "a-run-is-counted-by-one-of-its-processes" {
  background log "$faultshim" run -q -s 1 --expect=any -o t.trace -r 'calls=write probability=50% fault=error:EIO' -- \
    "$victims/steady" 60000 2 0
  wait_for 20 busy
  run fs stats --pid "$(pgrep -g "$server" -x steady)" --json
  [ "$status" -eq 0 ]
  [ "$(jq .sealed <<<"$output")" = false ]
  [ "$(jq .faults <<<"$output")" -gt 1000 ]
  run fs stats --pid 1
  [ "$status" -eq 125 ]
}
