#!/usr/bin/env bats
# Phases and events: when a rule is on, how much of it, and that what it has begun ends with it.

load ../common

profile() { # the profile is stdin
  cat >p.ini
}
# What ran and what the trace says of it; the trace must be as its seed, profile and phases have it.
under_profile() { # VICTIM ARGUMENT...
  run fs run -q -s "${seed:-1}" --expect=any -p p.ini -- "$victims/$1" "${@:2}"
  [ "$status" -eq 0 ] || { echo "status $status: $output" && return 1; }
  verified
}
verified() {
  local said
  said=$(fs verify) || { echo "$said" && return 1; }
}
fired() { # RULE
  fs stats --json | jq --arg r "$1" '.rules[] | select(.name == $r).fired'
}
ordinals() { # RULE
  faults | jq --arg r "$1" 'select(.rule == $r).ordinal' | sort -n
}
phases() { # NAME of the phases, as the thread met them: intensity
  fs log --json --events | jq -r --arg p "$1" 'select(.event == "phase" and .name == $p) | .intensity'
}

@test "operations-from-to-are-counted-exactly" {
  profile <<'END'
[rule w]
calls = write
fault = error EIO
phase = middle
[phase middle]
from = 10 ops
to   = 14 ops
END
  under_profile say on:file x30:write
  [ "$(ordinals w | paste -sd ' ')" = "10 11 12 13" ]
  [ "$(phases middle | paste -sd ' ')" = "100% 0%" ]
}

@test "bursts-repeat" {
  profile <<'END'
[rule w]
calls = write
fault = error EIO
phase = p
[phase p]
from  = 5 ops
to    = 22 ops
every = 10 ops for 2 ops
END
  under_profile say on:file x40:write
  [ "$(ordinals w | paste -sd ' ')" = "5 6 15 16" ]
}

@test "bursts-repeat-in-time" {
  profile <<'END'
[rule w]
calls = write
fault = error EIO
phase = p
[phase p]
from  = 50ms
every = 200ms for 100ms
intensity = 50%
END
  under_profile steady 1200 2
  # each of the threads sees it begin and end, more than once
  local levels
  levels=$(fs log --json --events | jq -r 'select(.event == "phase" and .thread == "1") | .intensity' | paste -sd ' ')
  [[ $levels == "50% 0% 50% 0% "* ]]
  # within a burst some writes pass, and between two all do
  [ "$(decisions | how_many '.call == "write" and .outcome == "pass"')" -gt "$(faults | how_many true)" ]
}

@test "a-ramp-climbs-and-is-recomputed-step-by-step" {
  profile <<'END'
[rule w]
calls = write
probability = 80%
fault = error EIO
phase = worse
[phase worse]
to        = 6400 ops
intensity = 0%..100%
END
  under_profile say on:file x6400:write
  # 64 steps, the first of which is nothing; each is recorded once
  [ "$(phases worse | wc -l)" -eq 63 ]
  local early late
  early=$(ordinals w | awk '$1 < 1600' | wc -l)
  late=$(ordinals w | awk '$1 >= 4800' | wc -l)
  # 10 % and 70 % are wanted: 160 and 1120 of 1600
  [ "$early" -gt 100 ] && [ "$early" -lt 240 ] || { echo "early: $early" && return 1; }
  [ "$late" -gt 1000 ] && [ "$late" -lt 1230 ] || { echo "late: $late" && return 1; }
}

@test "the-same-seed-gives-the-same-faults-in-phases-of-operations" {
  profile <<'END'
[rule w]
calls = write
probability = 30%
fault = error EIO
fault = short
phase = p
[rule echo]
calls = write
probability = 1%
fault = delay 1us
on = rule w fired raises by 5% for 50 ops
[phase p]
from = 100 ops
to   = 700 ops
intensity = 100%..10%
END
  local i
  for i in 1 2 3; do
    under_profile say on:file x1000:write
    faults | jq -c '[.rule, .ordinal, .fault, .errno, .amount]' >"faults.$i"
  done
  [ "$(wc -l <faults.1)" -gt 100 ]
  cmp faults.1 faults.2
  cmp faults.1 faults.3
}

@test "a-phase-in-time-begins-and-ends" {
  profile <<'END'
[rule w]
calls = write
fault = error EIO
phase = p
[phase p]
from = 300ms
to   = 500ms
END
  under_profile steady 800 2
  [ "$(faults | how_many '.time < 0.3')" -eq 0 ]
  [ "$(faults | how_many '.time >= 0.3')" -gt 0 ]
  # each of the two threads met its beginning and its end, and wrote again after it
  [ "$(phases p | sort | uniq -c | awk '{print $1 " x " $2}' | paste -sd ' ')" = "2 x 0% 2 x 100%" ]
  [ "$(decisions | how_many '.time > 0.6 and .outcome == "pass"')" -gt 0 ]
  [ "$(decisions | how_many '.time > 0.6 and .outcome == "fault"')" -eq 0 ]
}

@test "of-several-phases-the-strongest-counts" {
  profile <<'END'
[rule w]
calls = write
fault = error EIO
phase = weak strong
[phase weak]
to = 20 ops
[phase strong]
from = 15 ops
to   = 30 ops
END
  under_profile say on:file x50:write
  [ "$(ordinals w | wc -l)" -eq 30 ]
  [ "$(ordinals w | tail -n 1)" -eq 29 ]
}

@test "a-rule-that-is-off-counts-its-candidates" {
  profile <<'END'
[rule w]
calls = write
nth   = 12
fault = error EIO
phase = p
[phase p]
from = 5 ops
END
  under_profile say on:file x20:write
  [ "$(ordinals w)" = 11 ]
}

@test "sticky-does-not-outlive-the-phase" {
  profile <<'END'
[rule w]
calls  = write
nth    = 3
sticky = rule
fault  = error EIO
phase  = p
[phase p]
to = 10 ops
END
  under_profile say on:file x20:write
  [ "$(ordinals w | paste -sd ' ')" = "2 3 4 5 6 7 8 9" ]
}

@test "operations-begin-after-the-head-start" {
  { echo '[faultshim]' && echo 'headstart = 10 calls'; } >p.ini
  cat >>p.ini <<'END'
[rule w]
calls = write
fault = error EIO
phase = p
[phase p]
from = 5 ops
to   = 6 ops
END
  under_profile say on:file x30:write
  [ "$(faults | jq .n)" -eq 16 ]
}

# --- events ---

@test "a-rule-waits-for-another-to-fire" {
  profile <<'END'
[rule first]
calls = write
nth   = 10
fault = error EIO
[rule next]
calls = write
fault = error ENOSPC
on    = rule first fired
END
  under_profile say on:file x30:write
  [ "$(ordinals next | wc -l)" -eq 20 ]
  [ "$(ordinals next | head -n 1)" -eq 10 ]
}

@test "an-event-raises-for-a-number-of-operations" {
  profile <<'END'
[rule first]
calls = write
nth   = 10,15
fault = delay 1us
continue = yes
[rule next]
calls = write
probability = 0%
fault = error ENOSPC
on    = rule first fired raises to 100% for 8 ops
END
  under_profile say on:file x50:write
  # from the call after the 10th for eight, and renewed after the 15th
  [ "$(ordinals next | paste -sd ' ')" = "$(seq 10 22 | paste -sd ' ')" ]
}

@test "events-add-up-and-a-rule-may-raise-itself" {
  profile <<'END'
[rule w]
calls = write
probability = 1%
fault = error EIO
on    = rule w fired raises by 20%
END
  seed=3 under_profile say on:file x1000:write
  # five faults, and it always fires
  local fifth
  fifth=$(ordinals w | sed -n 5p)
  [ "$(ordinals w | wc -l)" -eq $((1000 - fifth + 4)) ]
  [ "$(phases "on w" | wc -l)" -ge 5 ]
}

@test "a-phase-begins-with-an-event-and-begins-anew" {
  profile <<'END'
[rule trip]
calls = write
nth   = 10,40
fault = delay 1us
continue = yes
[rule w]
calls = write
fault = error EIO
phase = after
[phase after]
on   = rule trip fired
from = 2 ops
to   = 5 ops
END
  under_profile say on:file x60:write
  [ "$(ordinals w | paste -sd ' ')" = "12 13 14 42 43 44" ]
}

@test "processes-share-phases-and-events" {
  profile <<'END'
[rule w]
calls = write
fault = error EIO
phase = p
[phase p]
from = 15 ops
to   = 20 ops
[rule next]
calls = write
fault = error ENOSPC
on    = rule w fired for 2s
except = pwrite
END
  under_profile say on:file in-child:x10:write x10:write
  [ "$(fired w)" -eq 5 ]
  [ "$(faults | jq -r 'select(.rule == "w").process' | sort -u)" = 1 ]
}

@test "threads-and-children-under-phases-are-recomputed" {
  profile <<'END'
[rule files]
calls = @file
except = close
probability = 20%
fault = error EIO
fault = short
phase = a b
[rule memory]
calls = @memory.alloc
probability = 1%
fault = error ENOMEM
on = rule files fired raises by 1% for 20ms
[rule net]
calls = @net.send @net.recv
probability = 5%
key   = run
fault = error EINTR
phase = b
[phase a]
from  = 50 ops
every = 200 ops for 100 ops
intensity = 0%..100%
[phase b]
from  = 10ms
every = 20ms for 10ms
END
  local port i
  port=$(free_port)
  for i in 1 2 3; do
    seed=$i under_profile threads8 "$port"
    rm -rf w*
  done
  [ "$(fs log --json --events | how_many '.event == "phase"')" -gt 10 ]
}

# --- what is held ---

@test "a-delay-ends-with-its-phase" {
  profile <<'END'
[rule w]
calls = write
fault = delay 1000s
times = 1
phase = p
[phase p]
to = 2s
END
  limit=30 under_profile say on:file write
  says "write 100"
  [ "$(fired w)" -eq 1 ]
}

@test "a-stall-without-end-ends-with-its-phase-and-the-call-is-made" {
  profile <<'END'
[rule w]
calls = write
fault = stall
times = 1
phase = p
[phase p]
to = 2s
END
  limit=30 under_profile say on:file write
  says "write 100"
  [ "$(fired w)" -eq 1 ]
}

@test "a-stall-ends-when-other-threads-end-its-phase-of-operations" {
  profile <<'END'
[rule w]
calls = write
nth   = 20
fault = stall
phase = p
[phase p]
to = 40 ops
END
  limit=30 under_profile steady 500 2
  [ "$(fired w)" -eq 1 ]
  # both threads have written after it
  [ "$(decisions | how_many '.time > 0.45' )" -gt 0 ]
}

@test "an-event-that-falls-back-releases-what-it-held" {
  profile <<'END'
[rule trip]
calls = write
nth   = 5
fault = delay 1us
[rule w]
calls = write
fault = stall
times = 1
on    = rule trip fired for 300ms
END
  limit=30 under_profile say on:file x10:write
  [ "$(fired w)" -eq 1 ]
}

@test "a-pause-and-memory-that-is-kept-end-with-the-phase" {
  profile <<'END'
[rule p]
calls = write
times = 1
fault = pause 1000s
phase = p
[rule m]
calls = fsync
times = 1
fault = memory 64MiB for=1h
phase = p
[phase p]
to = 2s
END
  limit=30 under_profile say on:file fsync resident write usleep:50 write resident
  [ "$(fired p)" -eq 1 ] && [ "$(fired m)" -eq 1 ]
  # KiB within the phase, and after it
  local -a kib
  mapfile -t kib < <(sed -n 's/^resident //p' <<<"$output")
  [ "${kib[0]}" -gt 65536 ] && [ $((kib[0] - kib[1])) -gt 60000 ]
}

@test "work-for-the-processor-ends-with-the-phase" {
  profile <<'END'
[rule c]
calls = write
fault = cpu 600s
phase = p
[phase p]
to = 300ms
END
  limit=30 under_profile say on:file x3:write
  [ "$(faults | how_many '.fault == "cpu"')" -ge 1 ]
}

@test "a-quota-lifts-when-its-phase-ends" {
  profile <<'END'
[rule q]
calls = @file.write
fault = quota 250
phase = p
[phase p]
to = 10 ops
END
  # two writes of 100 bytes fit, and half of the third; what does not fit is what the rule considers
  under_profile say on:file x15:write
  says "write 100" "write 100" "write 50" "write -1 ENOSPC" "write -1 ENOSPC" "write -1 ENOSPC" "write -1 ENOSPC" \
    "write -1 ENOSPC" "write -1 ENOSPC" "write -1 ENOSPC" "write -1 ENOSPC" "write -1 ENOSPC" "write 100" "write 100" "write 100"
}

# --- traces ---

@test "a-replay-holds-for-as-long-as-the-recorded-call-was-held" {
  profile <<'END'
[rule w]
calls = write
nth   = 3
fault = stall
phase = p
[rule v]
calls = write
nth   = 4
fault = delay 1000s
phase = q
[phase p]
to = 2s
[phase q]
to = 3s
END
  limit=30 under_profile say on:file x6:write
  [ "$(fs log --json --events | how_many '.event == "released" and .held > 20000000')" -eq 2 ]
  limit=30 run fs replay -q
  [ "$status" -eq 0 ]
  [ "$(faults faultshim.replay.trace | wc -l)" -eq 2 ]
  # as in the recorded run, nobody was told that the calls had failed
  [ "$(grep -c '^write 100$' <<<"$output")" -eq 6 ]
  fs diff -q faultshim.trace faultshim.replay.trace
}

@test "a-replay-repeats-what-phases-did" {
  profile <<'END'
[rule w]
calls = write
probability = 50%
fault = error EIO
phase = p
[phase p]
from = 20ms
to   = 10s
intensity = 20%..100%
END
  under_profile steady 300 2
  [ "$(fired w)" -gt 0 ]
  faults | jq -c '[.thread, .n, .errno]' | sort >recorded
  run fs replay -q
  faults faultshim.replay.trace | jq -c '[.thread, .n, .errno]' | sort >again
  # time decides how many writes there are; the faults of those that are there again are the recorded ones
  [ -s again ]
  [ -z "$(comm -13 recorded again)" ]
}

@test "verify-finds-a-phase-that-is-not-the-profile-s" {
  profile <<'END'
[rule w]
calls = write
probability = 50%
fault = error EIO
phase = p
[phase p]
from = 100 ops
intensity = 40%
END
  under_profile say on:file x300:write
  # the level in the record of the phase: 26214 of 65536, as a varint
  /usr/bin/python3 - faultshim.trace <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
at = next(i for i in range(0, len(data) - 20) if data[i] == 0x0c and data[i + 11] == 0 and data[i + 12:i + 15] == b"\xe6\xcc\x01")
data[at + 12] ^= 1
open("wrong.trace", "wb").write(data)
END
  run fs verify wrong.trace
  [ "$status" -eq 1 ]
  [[ $output == *"phase p has another intensity at position 100"* ]]
}

@test "a-profile-with-phases-is-explained" {
  profile <<'END'
[rule w]
calls = write
fault = error EIO
phase = p
on = mark now raises to 50% for 10s
[phase p]
from = 10s
to = 20s
END
  run fs check p.ini
  [ "$status" -eq 0 ]
  [[ $output == *"in phase p (from 10s to 20s)"* ]]
  [[ $output == *"raised to 50% when the mark now"* ]]
}

@test "quotas-lift-and-sectors-heal-when-their-phase-ends" {
  profile <<'END'
[rule q]
calls = @file.write
path  = **/data
fault = quota 150
phase = p
[phase p]
to = 3 ops
END
  under_profile say on:file x6:write
  [ "$output" = $'write 100\nwrite 50\nwrite -1 ENOSPC\nwrite -1 ENOSPC\nwrite 100\nwrite 100' ]
  rm data
  bare say on:file write:2000
  profile <<'END'
[rule s]
calls = @file.read
path  = **/data
times = 1
fault = bad-sector
phase = p
[phase p]
to = 3 ops
END
  under_profile say on:file x5:pread:400
  [ "$(grep -c EIO <<<"$output")" -eq 3 ] && [ "$(grep -c '400$' <<<"$output")" -eq 2 ]
}

@test "memory-that-was-taken-and-descriptors-come-back-when-the-phase-ends" {
  profile <<'END'
[rule m]
calls = write
fault = memory 32MiB for=1h
phase = a
[rule d]
calls = open
path  = /dev/null
fault = descriptors 4
phase = b
[phase a]
to = 2 ops
[phase b]
to = 1 ops
END
  under_profile say on:file resident write resident write resident descriptors:1 descriptors:9
  [[ $output =~ resident\ ([0-9]+).write\ 100.resident\ ([0-9]+).write\ 100.resident\ ([0-9]+).descriptors\ 0\ EMFILE.descriptors\ 9$ ]]
  [ $((BASH_REMATCH[2] - BASH_REMATCH[1])) -ge 32768 ]
  [ $((BASH_REMATCH[2] - BASH_REMATCH[3])) -ge 32768 ]
}

@test "what-a-fault-leaves-behind-is-no-other-fault" {
  profile <<'END'
[rule ends]
calls = @net.recv
nth   = 1
fault = close
[rule after]
calls = @net.recv
on    = rule ends fired raises to 1%
fault = delay 1us
probability = 0
END
  under_profile net tcp peer-send:hello recv recv recv
  [ "$(fs log --faults | grep -c lasting)" -ge 2 ]
  [ "$(fs log --json --events | jq -r 'select(.event == "phase" and .name == "on after") | .runs')" -eq 1 ]
}

# --- recovery: what a rule holds, counts or bends is as it was when its phase is over ---

@test "a-storm-ends-with-its-phase" {
  printf '%s\n' '[rule s]' 'calls = connect' 'fault = storm 1' 'phase = p' '[phase p]' 'to = 2 ops' >p.ini
  under_profile net tcp more more more more
  [ "$output" = $'more -1 ECONNREFUSED\nmore -1 ECONNREFUSED\nmore ok\nmore ok' ]
}

@test "a-budget-lifts-when-its-phase-ends" {
  printf '%s\n' '[rule b]' 'calls = @memory.alloc' 'size = 1000' 'fault = budget 0' 'phase = p' '[phase p]' 'to = 1 ops' >p.ini
  under_profile say hold:3 hold:3
  [ "$output" = $'hold 0 ENOMEM\nhold 3' ]
}

@test "datagrams-that-are-held-go-out-when-the-phase-is-over" {
  printf '%s\n' '[rule r]' 'calls = send' 'fault = reorder window=9' 'phase = p' '[phase p]' 'to = 1500ms' >p.ini
  under_profile net udp send:one send:two peer-recv sleep:900 sleep:900 send:three peer-recv peer-recv peer-recv
  [ "$output" = $'send 3\nsend 3\npeer-recv nothing\nsend 5\npeer-recv 3 "one"\npeer-recv 3 "two"\npeer-recv 5 "three"' ]
}

@test "clocks-are-right-again-when-the-phase-is-over" {
  local fault
  for fault in 'skew -1h' 'jump 1h' 'freeze 1h' 'strobe delta=1h period=1000s' 'drift rate=100'; do
    printf '%s\n' '[rule c]' 'calls = clock_gettime' "fault = $fault" 'phase = p' '[phase p]' 'to = 20 ops' >p.ini
    under_profile clocks offset:realtime sleep:100 offset:realtime steady:monotonic:30 offset:realtime wait:until-real:30
    [[ ${lines[1]} != "realtime +0" && ${lines[3]} == "realtime +0" && ${lines[4]} =~ ^until-real\ [0-9]+$ ]] ||
      { echo "$fault: $output" && return 1; }
  done
}

@test "processor-time-and-a-long-yield-end-with-their-phase" {
  local fault
  for fault in 'cpu 1000s' 'yield 1000s' 'late 1000s'; do
    printf '%s\n' '[rule m]' 'calls = write nanosleep' "fault = $fault" 'phase = p' '[phase p]' 'to = 1s' >p.ini
    if [[ $fault == late* ]]; then sed -i 's/write //' p.ini; fi
    limit=30 under_profile say on:file write nanosleep:1 write nanosleep:1
    [[ $output == *"write 100"*"write 100"* ]]
  done
}

@test "an-error-of-a-sync-is-owed-to-nobody-when-the-phase-is-over" {
  printf '%s\n' '[rule f]' 'calls = fsync' 'nth = 1' 'fault = fsync-fail' 'phase = p' '[phase p]' 'to = 1 ops' >p.ini
  under_profile say on:file again fsync on:fd:3 fsync fsync
  [ "$output" = $'fsync -1 EIO\nfsync ok\nfsync ok' ]
}

@test "a-connection-that-answered-by-itself-is-itself-again" {
  printf '%s\n' '[rule r]' 'calls = send' 'fault = reply "no"' 'phase = p' '[phase p]' 'to = 1 ops' >p.ini
  under_profile net tcp send:ask recv send:ask peer-recv peer-send:yes recv
  [ "$output" = $'send 3\nrecv 2 "no"\nsend 3\npeer-recv 3 "ask"\nrecv 3 "yes"' ] || { echo "$output" && return 1; }
}
