#!/usr/bin/env bats
# record = time, random: what clocks said and random bytes, in the trace and back.

load ../common

recorded() { # ARGUMENT...
  fs run -q --expect=any -s 1 --set record=time,random -o run.trace "$@"
}
events() { # TRACE
  fs log --json --events "$1" | jq -c 'select(.event == "clock" or .event == "random") | del(.n, .time)'
}

# Records the command and replays it: the same words on stdout.
same_again() { # ARGUMENT...
  recorded "$@" >first
  run fs replay -o again.trace run.trace >second
  [ "$status" -eq 0 ]
  fs replay -q -o again.trace run.trace >second
  diff first second
  diff <(events run.trace | sort) <(events again.trace | sort)
  [ "$(events run.trace | wc -l)" -gt 0 ]
  fs verify -q run.trace
  fs verify -q again.trace
}

@test "record-gives-threads-every-clock-and-random-byte-back" {
  same_again -- "$victims/readings"
  [ "$(wc -l <first)" -eq 101 ]
  grep -qx 'waited: yes' second
  # nothing comes twice: the run had threads of different bytes
  [ "$(sort -u first | wc -l)" -eq 101 ]
}

@test "record-works-at-symbols-too" {
  same_again --set doors=symbols -- "$victims/readings" 5
}

@test "record-and-faults-go-together" {
  cat >p.ini <<'END'
[rule short]
calls = getrandom read
probability = 30%
fault = short
fault = error EINTR

[rule clocks]
calls = clock_gettime gettimeofday
probability = 20%
fault = error EINVAL
fault = delay 1us..50us

[rule memory]
calls = malloc
probability = 1%
fault = delay 1us..20us

[rule skewed]
calls = clock_gettime
nth = 3
fault = skew 1h
END
  same_again -p p.ini -- "$victims/readings"
  [ "$(faults run.trace | wc -l)" -gt 50 ]
}

@test "record-counts-and-tells-what-came-back" {
  recorded -- "$victims/readings" 5 >first
  run fs replay --json -o again.trace run.trace
  tail -n 1 <<<"$output" | jq -e '.replay | .clock_readings == {recorded: 451, given: 451, beyond: 0}
    and .random_bytes.recorded == .random_bytes.given and .random_bytes.recorded > 75000'
  fs diff --json run.trace again.trace | jq -e '.equal and .recorded == .other_recorded and .recorded == .recorded_agree'
}

@test "record-lets-a-longer-program-go-on-and-no-clock-goes-back" {
  recorded -- "$victims/readings" 5 >first
  run fs replay -o again.trace run.trace -- "$victims/readings" 30
  [ "$status" -eq 0 ]
  [[ $output == *"gave 451 of 451 readings of clocks back; "*" more were asked for than recorded"* ]]
  [[ $output == *"random bytes back; "*" more were asked for than recorded"* ]]
  [[ $output == *"waited: yes"* ]]
  # each thread's clocks by themselves: realtime is the first number, monotonic the second, cpu time the fifth
  grep '^[0-9]' <<<"$output" >second
  [ "$(wc -l <second)" -eq 150 ]
  awk '{ for (i = 1; i <= 16; i++) { if (FNR % 30 != 1 && $i + 0 < last[i] + 0) bad = 1; last[i] = $i } } END { exit bad }' second
  # and it is still the recorded hour, not that of the replay
  [ "$(cut -d. -f1 first | head -n 1)" -le "$(sed -n 30p second | cut -d. -f1)" ]
}

@test "record-gives-a-clock-of-another-day-and-waits-go-by-it" {
  recorded -r 'calls=clock_gettime nth=1 fault=skew:100h' -- "$victims/readings" 5 >first
  fs replay -q -o again.trace run.trace >second
  diff first second
}

@test "record-in-the-modes-set-and-site" {
  local mode
  # by call stack, threads that do the same are one: the fault is the main thread's alone
  recorded --set stacks=all -r 'calls=getrandom thread=0 key=thread nth=2 fault=short' -- "$victims/readings" 5 >first
  [ "$(faults run.trace | wc -l)" -eq 1 ]
  for mode in set site; do
    fs replay -q --mode $mode -o again.trace run.trace >second
    diff first second
  done
}

@test "record-follows-children-and-programs-that-are-executed" {
  cat >tree.py <<'END'
import os, subprocess, sys, time
print(time.time(), os.urandom(4).hex())
sys.stdout.flush()
for i in range(2):
    if os.fork() == 0:
        print(time.time(), os.urandom(4).hex())
        sys.stdout.flush()
        os.execv("/usr/bin/python3", ["python3", "-c", "import os, time; print(time.time_ns(), os.urandom(4).hex())"])
    os.wait()
print(subprocess.check_output(["/usr/bin/python3", "-c", "import random; print(random.random())"]))
END
  same_again -- /usr/bin/python3 tree.py
  [ "$(wc -l <first)" -eq 6 ]
}

@test "record-has-python-say-the-same" {
  cat >say.py <<'END'
import os, random, tempfile, time
print(time.time(), os.urandom(8).hex(), random.random(), time.monotonic_ns(), time.process_time_ns(), time.localtime())
time.sleep(0.01)
print(open("/dev/urandom", "rb").read(20).hex(), random.SystemRandom().random(), time.perf_counter())
END
  same_again -r 'calls=@file.read probability=2% fault=short' -- /usr/bin/python3 say.py
}

@test "record-has-sqlite-say-the-same" {
  same_again -r 'calls=@memory.alloc probability=1% fault=delay:1us' -- /usr/bin/sqlite3 :memory: \
    "select random(), julianday('now'), hex(randomblob(12)), strftime('%f', 'now')"
}

@test "record-names-temporary-files-anew" {
  # what a recorded run has left is not in the way of its replay
  recorded -- /usr/bin/python3 -c 'import os, tempfile; print(os.urandom(4).hex())' >first
  cat >temporary.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
int main(void) {
  unsigned n = 0;
  char name[] = "file-XXXXXX";
  if (mkstemp(name) < 0) return 1;
  getrandom(&n, sizeof n, 0);
  printf("%08x\n", n);
  return 0;
}
END
  gcc -w -o temporary temporary.c
  same_again -r 'calls=@file.open probability=0 fault=error:EIO' -- ./temporary
  [ "$(find . -name 'file-*' | wc -l)" -eq 3 ]
}

@test "record-is-nothing-without-being-asked" {
  fs run -q --expect=any -s 1 -r 'calls=getrandom probability=0 fault=error:EINTR' -- "$victims/readings" 5 >first
  [ "$(events faultshim.trace | wc -l)" -eq 0 ]
  # how often arc4random_uniform(3) asks depends on what it gets
  fs replay -q -o again.trace faultshim.trace >second || [ $? -eq 122 ]
  run diff -q first second
  [ "$status" -eq 1 ]
}

@test "record-needs-a-whole-trace" {
  run fs run --set trace=faults --set record=time -- /bin/true
  [ "$status" -eq 125 ]
  [[ $output == *"record is for replays, and they need every decision; write trace = all"* ]]
}

@test "record-survives-kill-9-and-is-given-back-up-to-there" {
  recorded -r 'calls=write fd=1 nth=1 fault=crash:before' -- "$victims/readings" 5 >out || true
  run bash -c "$(declare -f fs clean); $(declare -p environment faultshim); fs replay -o again.trace run.trace 2>&1 >out"
  [[ $output == *"gave 450 of 450 readings of clocks back"* ]]
  [[ $output != *"more were asked for"* ]]
}

# --- a replay needs nothing but the trace ---

@test "record-environment-brings-all-variables-back" {
  environment+=(ONE=1 'TWO=a b' LC_TIME=C EMPTY=)
  fs run -q --expect=any -s 1 --set record=environment -o run.trace -- /usr/bin/env >first
  # another shell, with other variables
  environment=(env -i PATH=/bin HOME=/ ONE=2 THREE=3 LC_ALL=C)
  mkdir elsewhere
  fs replay -q -o again.trace run.trace >second
  diff <(grep -v '^FAULTSHIM_\|^LD_PRELOAD=' first | sort) <(grep -v '^FAULTSHIM_\|^LD_PRELOAD=' second | sort)
  grep -qx 'TWO=a b' second
  grep -qx EMPTY= second
  run grep THREE second
  [ "$status" -eq 1 ]
}

@test "record-keeps-the-common-variables-without-being-asked" {
  environment+=(ONE=1 LC_TIME=C)
  fs run -q --expect=any -o run.trace -- /usr/bin/env >first
  run grep -a ONE=1 run.trace
  [ "$status" -eq 1 ]
  environment=(env -i PATH=/bin HOME=/ LC_ALL=C ONE=2)
  fs replay -q -o again.trace run.trace >second
  for name in PATH HOME LANG LC_TIME TMPDIR; do [ "$(grep "^$name=" first)" = "$(grep "^$name=" second)" ]; done
  run grep LC_ALL second
  [ "$status" -eq 1 ]
  grep -qx ONE=2 second
}

@test "record-brings-the-working-directory-and-the-command-back" {
  mkdir there
  (cd there && fs run -q --expect=any -s 1 -o ../run.trace -r 'calls=write nth=2 fault=error:EIO' -- \
    "$victims/say" on:file write:5 write:5 write:5) >first
  rm there/data
  cd /
  fs replay -q -o "$place/again.trace" "$place/run.trace" >"$place/second"
  cd "$place"
  diff first second
  [ "$(stat -c %s there/data)" -eq 10 ]
}

@test "replay-says-in-one-line-what-is-not-there-any-more" {
  mkdir there
  cp "$victims/say" program
  (cd there && fs run -q --expect=any -o ../run.trace -r 'calls=write fault=error:EIO' -- ../program on:file write:1) >first
  mv there gone
  run fs replay -o again.trace run.trace
  [ "$status" -eq 125 ]
  says "faultshim: the working directory of the run, $place/there: No such file or directory"
  mv gone there
  rm program
  run fs replay -o again.trace run.trace
  [ "$status" -eq 127 ]
  says "faultshim: ../program: there is no such program"
  [ ! -e again.trace ]
}

# Asks nobody: a rule answers.
asking() {
  cat >ask.py <<'END'
import socket
here, there = socket.socketpair()
here.settimeout(20)
here.sendall(b"question")
print(here.recv(100))
END
}

@test "record-has-the-files-that-the-profile-names" {
  asking
  printf 'the answer' >answer
  cat >p.ini <<'END'
[rule answers]
calls = send sendto write
nth = 1
fault = reply @answer
END
  recorded -p p.ini -- /usr/bin/python3 ask.py >first
  [ "$(cat first)" = "b'the answer'" ]
  rm answer
  fs replay -q -o again.trace run.trace >second
  diff first second
  # and the replay's own trace has them too
  fs replay -q -o third.trace again.trace >second
  diff first second
  # in bare preload as well
  printf 'the answer' >answer
  clean FAULTSHIM_PROFILE=p.ini FAULTSHIM_TRACE=bare.trace LD_PRELOAD="$shim" /usr/bin/python3 ask.py >second
  diff first second
  rm answer
  fs replay -q -o again.trace bare.trace >second
  diff first second
}

@test "replay-leaves-the-memory-of-once-per-stack-alone" {
  recorded -r 'calls=malloc fault=once-per-stack' -- "$victims/say" malloc:10 malloc:10 >first || true
  before=$(sha256sum faultshim.stacks)
  fs replay -q -o again.trace run.trace >second || true
  diff first second
  [ "$before" = "$(sha256sum faultshim.stacks)" ]
  rm faultshim.stacks
  fs replay -q -o again.trace run.trace >second || true
  diff first second
  [ ! -e faultshim.stacks ]
}
