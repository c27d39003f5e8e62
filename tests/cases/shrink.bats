#!/usr/bin/env bats
# shrink: of many faults, those that a failure needs.

load ../common

# A run that fails for want of two of its faults.
failing() {
  cat >p.ini <<'END'
[rule writes]
calls = write
path = journal
probability = 40%
fault = short

[rule others]
calls = pwrite @memory.alloc
probability = 25%
fault = error ENOMEM
fault = delay 1us..20us

[rule syncs]
calls = @file.sync
probability = 30%
fault = error EIO
END
  run fs run -q -s 3 -p p.ini -o t.trace -- "$victims/twofaults"
  [ "$status" -eq 3 ]
  # the mended build lives with the same
  fs run -q -s 3 -p p.ini -o mended.trace -- "$victims/twofaults-mended"
}

@test "shrink-of-two-hundred-decisions-finds-the-two-faults" {
  failing
  [ "$(decisions t.trace | wc -l)" -gt 200 ]
  [ "$(faults t.trace | wc -l)" -gt 40 ]
  run fs shrink t.trace
  [ "$status" -eq 0 ]
  [[ $output == *" → 2 faults, "*"8 of 8 fail (at least 69% of all, with a confidence of 95%)"* ]]
  faults t.shrunk.trace | jq -c '[.call, (.resource | split("/") | last), .fault]' >left
  diff left - <<'END'
["write","journal","short"]
["fsync","index","error"]
END
  # the profile alone brings the failure back: these two faults, whatever the seed; and the mended build lives with it
  local seed
  for seed in 1 2 3; do
    run fs run -q -s $seed -p t.shrunk.ini -o again.trace -- "$victims/twofaults"
    [ "$status" -eq 3 ]
    [ "$(faults again.trace | wc -l)" -eq 2 ]
  done
  run fs run -q -p t.shrunk.ini -o mended.trace -- "$victims/twofaults-mended"
  [ "$status" -eq 0 ]
  [ "$(faults mended.trace | jq -c .call | sort -u | wc -l)" -eq 2 ]
  # so does the trace
  run fs replay -q --mode set -o again.trace t.shrunk.trace
  [ "$status" -eq 3 ]
  # either of the two alone does no harm
  fs log --as-profile --call write t.shrunk.trace >one.ini
  fs run -q -p one.ini -- "$victims/twofaults"
  fs log --as-profile --call fsync t.shrunk.trace >one.ini
  fs run -q -p one.ini -- "$victims/twofaults"
  # what else would do stands in the profile
  grep -q '^; write.*any amount' t.shrunk.ini
  grep -q '^; fsync.*any errno' t.shrunk.ini
  grep -q '^fault   = short$' t.shrunk.ini
  grep -q '^fault   = error EIO .*ENOSPC' t.shrunk.ini
  [ ! -e t.shrunk.state ]
}

@test "shrink-side-by-side-finds-the-same" {
  failing
  fs shrink --json -o one.trace t.trace >one
  fs shrink --json -j 2 -o two.trace t.trace >two
  jq -e '.faults == 2 and .confirmed == 8 and .profile_fails == 8 and (.remaining | length) == 2 and (.wider | length) == 2' two
  diff <(jq -c '[.remaining[] | [.call, .n, .amount]]' one) <(jq -c '[.remaining[] | [.call, .n, .amount]]' two)
  # in copies: nothing came here, and no copy stays
  [ -z "$(ls -d "$BATS_TEST_TMPDIR"/faultshim.* 2>/dev/null)" ]
}

twenty_runs() {
  [ "$(wc -l <runs)" -ge 20 ]
}

@test "shrink-goes-on-where-it-was-stopped" {
  failing
  run fs shrink --resume t.trace
  [ "$status" -eq 125 ]
  # the twentieth run does not begin
  # shellcheck disable=SC2016
  echo 'echo run >>runs; [ "$(wc -l <runs)" -lt 20 ] || exec sleep 60' >setup
  background stopped.log "$faultshim" shrink --setup 'sh ./setup' t.trace
  wait_for 30 twenty_runs
  pkill -INT -P "$server" faultshim
  wait_for 20 gone "$server"
  grep -q 'stopped after .* --resume goes on' stopped.log
  # two answers of three runs each, then one a run
  [ "$(wc -l <t.shrunk.state)" -eq $((1 + 2 + 13)) ]
  [ -z "$(ls -d "$BATS_TEST_TMPDIR"/faultshim.* 2>/dev/null)" ]
  # with another question its answers are worth nothing
  run fs shrink --resume --exit nonzero --setup 'sh ./setup' t.trace
  [ "$status" -eq 125 ]
  [[ $output == *"something else"* ]]
  : >setup
  fs shrink --json --resume --setup 'sh ./setup' t.trace >resumed
  # nothing was asked twice, and the result is that of a search in one go
  fs shrink --json --setup 'sh ./setup' -o whole.trace t.trace >whole
  jq -e '.faults == 2' resumed
  [ "$(jq .known resumed)" -eq $(($(jq .known whole) + 15)) ]
  [ "$(jq .questions resumed)" -eq "$(jq .questions whole)" ]
  diff <(jq -c '[.remaining[] | [.call, .n, .amount]]' resumed) <(jq -c '[.remaining[] | [.call, .n, .amount]]' whole)
}

@test "shrink-says-when-the-failure-does-not-repeat" {
  failing
  run fs shrink t.trace -- "$victims/twofaults-mended"
  [ "$status" -eq 1 ]
  [[ $output == *"does not repeat: 0 of 3 runs"* ]]
  run fs shrink --exit 77 t.trace
  [ "$status" -eq 1 ]
  # and when it needs no fault
  fs run -q -r 'calls=write nth=1 fault=error:EIO' -o f.trace -- "$victims/say" on:file write >/dev/null
  run fs shrink --oracle false f.trace
  [ "$status" -eq 1 ]
  [[ $output == *"fail without any fault"* ]]
}

@test "shrink-knows-failures-of-every-kind" {
  cat >fails.c <<'END'
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
  int fd = open("file", O_WRONLY | O_CREAT | O_TRUNC, 0600), bad = 0;
  for (int i = 0; i < 30; i++)
    if (write(fd, "x", 1) < 0 && i == 20) bad = 1;
  if (!bad) return 0;
  if (!strcmp(argv[1], "signal")) raise(SIGABRT);
  if (!strcmp(argv[1], "hang")) for (;;) pause();
  if (!strcmp(argv[1], "output")) puts("it is broken");
  if (!strcmp(argv[1], "file")) unlink("file");
  return 0;
}
END
  gcc -w -o fails fails.c
  local how arguments
  for how in signal hang output file; do
    fs run -q -s 1 --timeout 2s -r 'calls=write path=file nth=3..25 fault=error:EIO' -o $how.trace -- ./fails $how >/dev/null || true
    # shellcheck disable=SC2016  # for the oracle's shell
    case $how in
    signal) arguments=(--signal SIGABRT) ;;
    hang) arguments=(--hang --timeout 500ms --confirm 2) ;;
    output) arguments=(--output '^it .*broken$') ;;
    file) arguments=(--oracle 'test -e file && test "$FAULTSHIM_STATUS" = 0 && test -e "$FAULTSHIM_OUTPUT"') ;;
    esac
    run fs shrink --json "${arguments[@]}" $how.trace
    [ "$status" -eq 0 ] || { echo "$how: $output" && return 1; }
    jq -e '.faults_before == 23 and .faults == 1 and .remaining[0].n == 21' <<<"$output"
    grep -qx 'nth     = 21' $how.shrunk.ini
  done
  # an end by a signal or by the timeout is a failure of itself; one with 0 is not
  fs shrink -q signal.trace
  run fs shrink output.trace
  [ "$status" -eq 125 ]
  [[ $output == *"say what counts as a failure"* ]]
}

@test "shrink-of-what-fails-now-and-then" {
  cat >sometimes.c <<'END'
#include <fcntl.h>
#include <unistd.h>
int main(void) {
  int fd = open("file", O_WRONLY | O_CREAT | O_TRUNC, 0600), bad = 0, n = 0;
  int count = open("count", O_RDWR | O_CREAT, 0600);
  read(count, &n, sizeof n);
  n++;
  pwrite(count, &n, sizeof n, 0);
  for (int i = 0; i < 20; i++)
    if (write(fd, "x", 1) < 0 && i == 7) bad = 1;
  return bad && n % 4 ? 9 : 0;
}
END
  gcc -w -o sometimes sometimes.c
  run fs run -q -r 'calls=write path=file nth=2..15 fault=error:EIO' -o s.trace -- ./sometimes
  [ "$status" -eq 9 ]
  run fs shrink --json --runs 4 --confirm 16 s.trace
  [ "$status" -eq 0 ]
  jq -e '.faults == 1 and .remaining[0].n == 8 and .confirmed >= 11 and .confirmed <= 13 and .confirm_runs == 16 and
    .fails_at_least > 0.4 and .fails_at_least < 0.75' <<<"$output"
}

@test "shrink-of-threads-and-children" {
  local work=(on:file x30:write:9 in-thread:a:x30:write:5 in-child:x30:write:4)
  fs run -q -s 5 -o a.trace -r 'calls=write probability=50% fault=error:EIO fault=short' -- "$victims/say" "${work[@]}" >/dev/null
  # the third fault of the child is what its output is about
  local n
  n=$(faults a.trace | jq -r 'select(.process == "1.1") | .n' | sed -n 3p)
  run fs shrink --json --oracle "! sed -n '$((60 + n))p' \"\$FAULTSHIM_OUTPUT\" | grep -qv '^write 4\$'" a.trace
  [ "$status" -eq 0 ]
  jq -e --argjson n "$n" '.faults == 1 and .remaining[0].process == "1.1" and .remaining[0].n == $n' <<<"$output"
  grep -q '^process = 1\.1$' a.shrunk.ini
}

@test "shrink-takes-no-nonsense" {
  local arguments
  fs run -q -r 'calls=write nth=1 fault=error:EIO' -o t.trace -- "$victims/say" on:file write >/dev/null
  for arguments in '--exit 300' '--exit x' '--signal NONE' '--output ( ' '--jobs 0' '--runs 0' '--confirm 0' 'none.trace' 't.trace two'; do
    # shellcheck disable=SC2086  # several words
    run fs shrink $arguments t.trace
    [ "$status" -eq 125 ] || { echo "$arguments: $status: $output" && return 1; }
  done
}
