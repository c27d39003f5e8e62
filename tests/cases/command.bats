#!/usr/bin/env bats
# The faultshim command: exit statuses, banner and card, and each subcommand.

load ../common

rule='calls=write nth=2 fault=error:EIO'

@test "run-passes-the-programs-status-and-output-through" {
  run fs run -q -r "$rule" -- /bin/sh -c "'$victims/say' on:file x2:write:1 >/dev/null; echo out; echo err >&2; exit 7"
  [ "$status" -eq 7 ]
  says "out" "err"
  run fs run -q -r "$rule" -- /bin/sh -c "'$victims/say' on:file x2:write:1 >/dev/null; kill -TERM \$\$"
  [ "$status" -eq 143 ]
  echo in | run fs run -q --expect=any -r "$rule" -- /bin/cat
}

@test "run-120-nothing-was-injected" {
  run fs run -q -r "$rule" -- "$victims/say" on:file write
  [ "$status" -eq 120 ]
  run fs run -r "$rule" -- "$victims/say" on:file write
  [ "$status" -eq 120 ]
  [[ $output == *"nothing was injected"* ]]
  # a status of its own is not hidden, unless a fault is demanded
  run fs run -q -r "$rule" -- "$victims/say" on:file write exit:9
  [ "$status" -eq 9 ]
  run fs run -q --expect=fault -r "$rule" -- "$victims/say" on:file write exit:9
  [ "$status" -eq 120 ]
  run fs run -q --expect=any -r "$rule" -- "$victims/say" on:file write
  [ "$status" -eq 0 ]
  run fs run -q --expect=none -r "$rule" -- "$victims/say" on:file write
  [ "$status" -eq 0 ]
  run fs run -q --expect=none -r "$rule" -- "$victims/say" on:file x2:write
  [ "$status" -eq 120 ]
  # a plan that can't inject is not vacuous
  run fs run -q -r "$rule probability=0" -- "$victims/say" on:file x2:write
  [ "$status" -eq 0 ]
}

@test "run-121-the-shim-did-not-start" {
  run fs run -r "$rule" -- "$victims/tiny-static"
  [ "$status" -eq 121 ]
  [[ $output == *static* ]]
}

@test "run-121-in-a-program-that-runs-as-another-user" {
  needs_root "makes a set-user-ID program"
  cp "$victims/tiny" setuid-tiny
  chown nobody setuid-tiny
  chmod 4755 setuid-tiny
  chmod 755 .
  if findmnt -no OPTIONS -T . | grep -q nosuid; then skip "this file system knows no set-user-ID"; fi
  run fs run -r "$rule" -- ./setuid-tiny
  [ "$status" -eq 121 ]
  [[ $output == *rights* ]]
  run fs check ./setuid-tiny
  [ "$status" -eq 1 ]
  [[ $output == *set-user-ID* ]]
}

@test "run-121-if-the-program-becomes-one-that-cannot-be-met" {
  run fs run -q --expect=any -r "$rule" -- /bin/sh -c "exec '$victims/tiny-static'"
  [ "$status" -eq 121 ]
  [[ $output == *tiny-static*"became"*static* ]]
  # by fexecve's descriptor too
  cat >by-fd.c <<'END'
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv) { return fexecve(open(argv[1], O_RDONLY), argv + 1, environ) != 0; }
END
  gcc -D_GNU_SOURCE -o by-fd by-fd.c
  run fs run -q --expect=any -r "$rule" -- ./by-fd "$victims/tiny-static"
  [ "$status" -eq 121 ]
  [[ $output == *tiny-static*static* ]]
}

@test "run-names-processes-that-lost-the-shim" {
  fs run --json --log card -s 1 --expect=any -r "$rule" -- /bin/sh -c "'$victims/tiny-static'; env -i '$victims/tiny-static'; '$victims/tiny'; true" >/dev/null || true
  jq -e --arg path "$victims/tiny-static" '.status == 0 and (.lost | length == 2 and
    all(.path == $path and (.why | test("static")) and .pid > 1)) and .missing.lost_unnamed == 0' card
  run fs run -s 1 --expect=any -r "$rule" -- /bin/sh -c "'$victims/tiny-static'; true"
  [ "$status" -eq 0 ]
  [[ $output == *"without the shim: "*tiny-static*"it is static"* ]]
}

@test "run-names-no-process-that-kept-the-shim-or-was-never-started" {
  printf '#!/bin/sh\nexit 0\n' >script
  chmod +x script
  fs run --json --log card -s 1 --expect=any -r "$rule" -- /bin/sh -c "
    '$victims/tiny'; env -i '$victims/tiny'; ./none; ./script; (exec '$victims/tiny'); exec /bin/sh -c './script; true'" >/dev/null 2>&1 || true
  jq -e '.status == 0 and .lost == []' card
  # and with children = skip there is nothing to lose
  printf '[faultshim]\nchildren = skip\n[rule w]\ncalls = write\nfault = error EIO\n' >p.ini
  fs run --json --log card -p p.ini --expect=any -- /bin/sh -c "'$victims/tiny-static'; true" >/dev/null || true
  jq -e '.status == 0 and .lost == []' card
}

@test "run-names-spawned-and-set-user-id-processes" {
  cat >spawns.c <<'END'
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char *none[] = {NULL}, *args[] = {argv[1], NULL};
  pid_t pid;
  if (posix_spawn(&pid, argv[1], NULL, NULL, args, none) || waitpid(pid, NULL, 0) != pid) return 1;
  if (posix_spawn(&pid, "/none", NULL, NULL, args, none) == 0) return 2;
  pid = vfork();
  if (pid == 0) { execve(argv[2], args, none); _exit(9); }
  int status;
  return waitpid(pid, &status, 0) != pid || status;
}
END
  gcc -o spawns spawns.c
  fs run --json --log card -s 1 --expect=any -r "$rule" -- ./spawns "$victims/tiny-static" "$victims/tiny-static" >/dev/null || true
  jq -e '.status == 0 and (.lost | length == 2 and all(.why | test("static")))' card
  fs run --json --log card -s 1 --expect=any -r 'calls=write probability=0 fault=error:EIO' -- ./spawns "$victims/tiny" "$victims/tiny" >/dev/null
  jq -e '.status == 0 and .lost == []' card
  [ "$(id -u)" -eq 0 ] || return 0
  if findmnt -no OPTIONS -T . | grep -q nosuid; then return 0; fi
  cp "$victims/tiny" setuid-tiny
  chown nobody setuid-tiny
  chmod 4755 setuid-tiny
  chmod 777 .
  rm -f tiny
  fs run --json --log card -s 1 --expect=any -r 'calls=write probability=0 fault=error:EIO' -- ./spawns /bin/true "$place/setuid-tiny" >/dev/null
  jq -e '.status == 0 and (.lost | length == 1 and (.[0].why | test("set-user-ID")))' card
}

@test "run-124-timeout-ends-the-whole-tree" {
  local start=$SECONDS
  run fs run -q --timeout 300ms -r "$rule" -- /bin/sh -c 'sleep 77.7 & sleep 77.7'
  [ "$status" -eq 124 ]
  [ $((SECONDS - start)) -lt 20 ]
  ! pgrep -f 'sleep 77\.7'
}

@test "run-125-errors-of-its-own" {
  local arguments
  while read -r arguments; do
    # shellcheck disable=SC2086  # words
    run fs run -q $arguments
    [ "$status" -eq 125 ] || { echo "$arguments: status $status: $output" && return 1; }
    [ -n "$output" ]
  done <<'END'
--no-such-option -- /bin/true
-r calls=wriet -- /bin/true
-p no-such-profile -- /bin/true
-s twelve -r calls=write,fault=short -- /bin/true
--timeout never -r calls=write -- /bin/true
--expect=luck -r calls=write -- /bin/true

END
}

@test "run-126-and-127-as-env-has-them" {
  run fs run -q -r "$rule" -- ./none
  [ "$status" -eq 127 ]
  run fs run -q -r "$rule" -- no-such-program-anywhere
  [ "$status" -eq 127 ]
  echo text >text
  run fs run -q -r "$rule" -- ./text
  [ "$status" -eq 126 ]
  run fs run -q -r "$rule" -- /tmp
  [ "$status" -eq 126 ]
}

@test "run-shows-a-banner-and-a-card" {
  run fs run -s 42 -r "$rule" -r 'calls=fsync fault=error:EIO' -- "$victims/say" on:file x3:write:1
  [ "$status" -eq 0 ]
  # all lines but the program's own are marked
  [ "$(grep -vc '^faultshim: ' <<<"$output")" -eq 3 ]
  [[ $output == *42* && $output == *faultshim.trace* && $output == *r1* && $output == *r2* && $output == *replay* ]]
  # a rule that never matched is named as such
  grep 'r2' <<<"$output" | grep -q never
}

@test "run-the-cards-command-replays" {
  run fs run -s 42 -r "$rule" -- "$victims/say" on:file x3:write:1
  local command
  command=$(sed -n 's/^faultshim: .*\(faultshim replay.*\)$/\1/p' <<<"$output" | tail -n 1)
  [ -n "$command" ]
  run clean PATH="$(dirname "$faultshim"):$PATH" sh -c "$command"
  [[ $output == *"write -1 EIO"* ]]
}

@test "run-log-and-quiet-and-json" {
  run fs run --log card -s 1 -r "$rule" -- "$victims/say" on:file x3:write:1
  says "write 1" "write -1 EIO" "write 1"
  grep -q '^faultshim: ' card
  run fs run --json --log card.json -s 1 -r "$rule" -- "$victims/say" on:file x3:write:1
  says "write 1" "write -1 EIO" "write 1"
  jq -e 'type == "object"' card.json
  jq -e '[.. | strings] | index("r1")' card.json
  run fs run -q -s 1 -r "$rule" -- "$victims/say" on:file x3:write:1
  says "write 1" "write -1 EIO" "write 1"
}

@test "run-joins-profiles-and-rules-in-order" {
  printf '[rule a]\ncalls = write\nnth = 1\nfault = error EIO\n' >a.ini
  printf '[rule b]\ncalls = write\nnth = 1..2\nfault = error ENOSPC\n' >b.ini
  run fs run -q -s 1 -p a.ini -p b.ini -r 'calls=write nth=1..3 fault=error:EDQUOT' -r 'calls=write nth=4 fault=error:EFBIG' -- \
    "$victims/say" on:file x5:write:1
  says "write -1 EIO" "write -1 ENOSPC" "write -1 EDQUOT" "write -1 EFBIG" "write 1"
  # an error is told where it stands
  printf '[rule c]\ncalls = write\n\nfault = error EXDEV\n' >c.ini
  run fs run -q -p a.ini -p c.ini -- /bin/true
  [[ $output == *"c.ini:4:"* ]]
  [ "$status" -eq 125 ]
}

@test "run-finds-shipped-profiles-by-name" {
  run fs run -q -s 1 -p short-io -- "$victims/robust" file 100000
  [ "$status" -eq 0 ]
}

@test "run-leaves-wrappers-in-front-alone-and-keeps-their-preload" {
  # what is preloaded already stays
  cat >own.c <<'END'
int own(void) { return 5; }
END
  gcc -shared -fPIC -o own.so own.c
  run clean LD_PRELOAD="$place/own.so" "$faultshim" run -q -s 1 -r "$rule" -- /bin/sh -c 'grep -c own.so /proc/self/maps; echo x; echo y'
  [ "${lines[0]}" -gt 0 ]
}

@test "run-passes-signals-on" {
  "$faultshim" run -q -r "$rule" -- /bin/sh -c 'trap "echo caught; exit 5" TERM; echo ready; while :; do sleep 0.05; done' >out 3>&- &
  local pid=$!
  started+=("$pid")
  wait_for 10 grep -q ready out
  kill -TERM "$pid"
  local status=0
  wait "$pid" || status=$?
  [ "$status" -eq 5 ]
  grep -q caught out
}

@test "run-scripts-and-their-children-are-one-run" {
  cat >script <<'END'
#!/bin/bash
for i in 1 2 3; do
  /bin/echo $i >>list
done
END
  chmod +x script
  run fs run -q -s 1 --expect=any -r 'calls=@file,@process probability=0 fault=delay:1ms' -- ./script
  [ "$status" -eq 0 ]
  [ "$(cat list)" = $'1\n2\n3' ]
  [ "$(decisions | jq -r .process | sort -u | paste -sd' ')" = "1 1.1 1.2 1.3" ]
}

# --- log, stats ---

@test "log-json-has-every-field" {
  run_say 'calls=write,fsync nth=2 fault=error:EIO' on:file x2:write:77 in-thread:t:fsync in-child:write:5
  decisions >all
  [ "$(wc -l <all)" -eq 4 ]
  jq -e -s 'all(has("process") and has("thread") and has("n") and has("time") and has("call") and has("resource") and has("size") and has("outcome"))' all
  jq -e -s '[.[] | select(.outcome == "fault")] | length == 1' all
  faults | jq -e --arg path "$place/data" '.process == "1" and .thread == "0" and .n == 2 and .call == "write" and .size == 77 and
    .resource == $path and .rule == "r1" and .fault == "error" and .errno == "EIO" and .ordinal == 1 and has("key") and has("draw")'
  jq -e -s 'any(.process == "1" and .thread == "1" and .call == "fsync")' all
  jq -e -s 'any(.process == "1.1" and .thread == "0" and .size == 5)' all
}

@test "log-is-text-for-people-and-counts-with-c" {
  run_say "$rule" on:file x3:write:1
  run fs log
  [ "$status" -eq 0 ]
  [ "$(grep -c write <<<"$output")" -ge 3 ]
  [[ $output == *EIO* && $output == *"1/0"* ]]
  run fs log --faults
  [ "$(grep -c EIO <<<"$output")" -eq 1 ]
  run fs log -c
  [[ $output == *write* && $output == *3* ]]
}

@test "log-filters" {
  run_say 'calls=write,fsync nth=2 fault=error:EIO' on:file:a write:7 fsync on:file:b write:9 in-child:write:11 in-thread:t:write:13
  [ "$(fs log --json --call fsync | wc -l)" -eq 1 ]
  [ "$(fs log --json --process 1.1 | wc -l)" -eq 1 ]
  [ "$(fs log --json --thread 1 | wc -l)" -eq 1 ]
  [ "$(fs log --json --path '**/b' | wc -l)" -eq 3 ]
  [ "$(fs log --json --by-rule r1 --faults | wc -l)" -eq 1 ]
}

@test "stats-count-what-happened" {
  run_say 'calls=write,fsync nth=2 fault=error:EIO' on:file x5:write:1 fsync
  run fs stats
  [ "$status" -eq 0 ]
  [[ $output == *6* && $output == *r1* && $output == *write* && $output == *fsync* ]]
  fs stats --json | jq -e 'type == "object" and ([.. | numbers] | index(6) and index(1))'
}

@test "a-trace-that-is-none-is-refused" {
  local command
  echo text >none.trace
  : >empty.trace
  for command in log stats verify replay; do
    run fs $command none.trace
    [ "$status" -eq 125 ] || { echo "$command: $status" && return 1; }
    run fs $command empty.trace
    [ "$status" -eq 125 ]
    run fs $command missing.trace
    [ "$status" -eq 125 ]
  done
}

@test "a-trace-cut-off-anywhere-is-read-as-far-as-it-goes" {
  local size
  run under 'calls=write probability=10% fault=error:EIO' -- robust loop 200000
  for size in 0 7 100 4095 4096 5000 70000 150000 200001 300003; do
    head -c $size faultshim.trace >cut.trace
    run fs log -c cut.trace
    [ "$status" -eq 0 ] || [ "$status" -eq 125 ] || { echo "$size: status $status: $output" && return 1; }
  done
}

# --- verify ---

@test "verify-confirms-a-run-and-nothing-but-a-run" {
  run under 'calls=write probability=20% fault=error:EIO,ENOSPC' 'calls=@file probability=10% fault=delay:1us..9us' -- robust loop 5000
  run fs verify
  [ "$status" -eq 0 ]
  # one changed bit of the seed is another run: seed is the first number in the header after the nonce and two words
  cp faultshim.trace bad.trace
  local byte
  byte=$(od -An -tu1 -j32 -N1 bad.trace | tr -d ' ')
  printf '%b' "\\x$(printf %x $((byte ^ 1)))" | dd of=bad.trace bs=1 seek=32 conv=notrunc 2>/dev/null
  run fs verify bad.trace
  [ "$status" -eq 1 ]
}

# --- replay, diff ---

@test "replay-injects-the-same-faults-at-the-same-calls" {
  under 'calls=write probability=20% fault=error:EIO,ENOSPC' 'calls=@file.read probability=50% fault=short' -- \
    say on:file x50:write:10 rewind x30:read:9 >first
  run fs replay -q -o again.trace faultshim.trace
  diff first <(echo "$output")
  fs diff faultshim.trace again.trace
  diff <(faults | jq -c '[.process, .thread, .n, .call, .fault, .errno, .amount]') \
    <(faults again.trace | jq -c '[.process, .thread, .n, .call, .fault, .errno, .amount]')
}

@test "replay-needs-no-draw-and-no-rule-to-fire-by-itself" {
  # drawn with one seed; the replay applies outcomes, in threads and children too
  fs run -q -s 9 -o a.trace -r 'calls=write,send key=thread probability=30% fault=error-after:EIO' -- \
    "$victims/say" on:file in-thread:a:x20:write:3 in-child:x20:write:3 in-child:in-thread:b:x20:write:3 >first || true
  run fs replay -q -o b.trace a.trace
  diff first <(echo "$output")
  fs diff -q a.trace b.trace
}

@test "replay-of-another-command-diverges-and-says-where" {
  under "$rule" -- say on:file x3:write:1 >/dev/null
  run fs replay -o again.trace faultshim.trace -- "$victims/say" on:file write:1 fsync write:1 pwrite:1
  [[ $output == *diverge* ]]
}

@test "diff-shows-the-first-place-where-two-runs-part" {
  fs run -q -s 1 -o a.trace -r 'calls=write nth=3 fault=error:EIO' -- "$victims/say" on:file x5:write:1 >/dev/null
  fs run -q -s 1 -o b.trace -r 'calls=write nth=4 fault=error:EIO' -- "$victims/say" on:file x5:write:1 >/dev/null
  run fs diff a.trace a.trace
  [ "$status" -eq 0 ]
  run fs diff a.trace b.trace
  [ "$status" -eq 1 ]
  [[ $output == *3* && $output == *EIO* ]]
}

# --- list, check ---

@test "list-calls-coverage-knows-every-function-of-libc-and-every-system-call" {
  run fs list -q calls --coverage
  [ "$status" -eq 0 ] || { echo "$output" && return 1; }
  [ -z "$output" ]
  run fs list calls --coverage
  # met and left out, each with what stands for it or the reason
  grep -qE '^symbol +pwrite64 +met +pwrite$' <<<"$output"
  grep -qE '^symbol +fwrite +left out +.*stream' <<<"$output"
  grep -qE '^number +newfstatat +met +fstatat$' <<<"$output"
  grep -qE '^number +rt_sigreturn +left out +.*signal' <<<"$output"
  [ "$(grep -c '^symbol' <<<"$output")" -gt 2000 ]
  [ "$(grep -c '^number' <<<"$output")" -gt 350 ]
  fs list --json calls --coverage | jq -e 'map(select(.how == "met")) | length > 700' >/dev/null
  run fs list faults --coverage
  [ "$status" -eq 125 ]
}

@test "list-calls-coverage-finds-a-door-that-is-lost" {
  # a library without ours: every call of the table is unknown then, by its name
  run clean FAULTSHIM_LIBRARY=/lib/x86_64-linux-gnu/libm.so.6 "$faultshim" list -q calls --coverage
  [ "$status" -eq 1 ]
  grep -qE '^symbol +pwrite64 +UNKNOWN' <<<"$output"
  grep -qE '^symbol +flock +UNKNOWN' <<<"$output"
  ! grep -q fwrite <<<"$output"
}

@test "list-shows-the-tables" {
  local name
  run fs list calls
  for name in $(sed -n 's/^CALL(\([a-z0-9_]*\),.*/\1/p' "$top/shim/engine/calls.def"); do
    grep -qw "$name" <<<"$output" || { echo "no $name" && return 1; }
  done
  run fs list faults
  for name in error error-after delay crash short corrupt lost early; do
    grep -qw -- "$name" <<<"$output" || { echo "no $name" && return 1; }
  done
  run fs list keys
  [[ $output == *probability* && $output == *headstart* ]]
  run fs list errnos
  [[ $output == *ENOSPC* && $output == *EAI_AGAIN* ]]
  run fs list aliases
  [[ $output == *pwrite64* ]]
  run fs list profiles
  for name in "$top"/profiles/*.ini; do
    grep -qw -- "$(basename "$name" .ini)" <<<"$output"
  done
  for name in calls faults keys errnos aliases profiles; do
    fs list --json $name | jq -e . >/dev/null
  done
  run fs list nothing
  [ "$status" -eq 125 ]
}

@test "check-says-what-a-profile-will-do" {
  run fs check -r 'calls=@file.sync fault=error:EIO nth=3'
  [ "$status" -eq 0 ]
  [[ $output == *fsync* && $output == *fdatasync* ]]
  printf '[rule x]\ncalls = @file.sync\nfault = short\n' >bad.ini
  run fs check -p bad.ini
  [ "$status" -eq 1 ]
  [[ $output == *bad.ini:3:* ]]
}

@test "check-sees-through-programs" {
  run fs check "$victims/calls"
  [ "$status" -eq 0 ]
  [[ $output == *pwritev2* ]]
  run fs check "$victims/tiny-static"
  [ "$status" -eq 1 ]
  [[ $output == *static* ]]
  printf '#!/bin/sh\ntrue\n' >script
  chmod +x script
  run fs check ./script
  [ "$status" -eq 0 ]
  [[ $output == */bin/sh* ]]
  run fs check ./none
  [ "$status" -eq 125 ]
  fs check --json "$victims/calls" | jq -e '.[0] | .libc == "glibc" and .obstacle == null and (.blind | not) and .syscalls == []'
}

# A program of a few lines: program NAME OPTION... <SOURCE
program() {
  gcc -O1 -x c - -o "$1" "${@:2}"
}

@test "check-finds-system-calls-in-code-and-not-in-its-bytes" {
  program own <<'END'
#include <unistd.h>
__attribute__((noinline)) long raw(const void *p, long n) {
  long r;
  __asm__ volatile("mov $1, %%eax\n\tsyscall" : "=&a"(r) : "D"(1L), "S"(p), "d"(n) : "rcx", "r11", "memory");
  return r;
}
__attribute__((noinline)) int bytes(void) { volatile int v = 0x0000050f; return v; }
int main(void) { return raw("x\n", 2) != 2 || bytes() != 0x50f; }
END
  run fs check ./own
  [ "$status" -eq 2 ]
  [[ $output == *"1 of own own: raw+"*"(write)"* ]]
  fs check --json ./own | jq -e '.[0] | .blind and (.syscalls | length == 1) and
    (.syscalls[0] | .function == "raw" and .call == "write" and .number == 1)'
  # stripped, it is found all the same
  strip own
  fs check --json ./own | jq -e '.[0].syscalls | length == 1 and .[0].call == "write"'
  # and in libc, of which it is known how many there are
  fs check --json ./own | jq -e '.[0].libraries[] | select(.libc and (.path | endswith("/libc.so.6"))) | .own_syscalls > 400 and .syscalls == []'
}

@test "check-finds-them-in-libraries-too" {
  program libraw.so -shared -fPIC <<'END'
long raw(long n) { long r; __asm__ volatile("syscall" : "=a"(r) : "a"(n) : "rcx", "r11", "memory"); return r; }
END
  program user -L. -lraw "-Wl,-rpath,$place" <<'END'
long raw(long);
int main(void) { return raw(39) <= 0; }
END
  run fs check ./user
  [ "$status" -eq 2 ]
  [[ $output == *"1 of libraw.so own: raw+"* ]]
  fs check --json ./user | jq -e '.[0] | .syscalls == [] and (.libraries | map(select(.own_syscalls == 1)) | length == 1)'
}

@test "check-finds-io-uring" {
  run fs check "$victims/say"
  [ "$status" -eq 2 ]
  [[ $output == *io_uring* ]]
  program raw <<'END'
int main(void) { long r; __asm__ volatile("mov $425, %%eax\n\tsyscall" : "=&a"(r) : "D"(1L), "S"(0L) : "rcx", "r11", "memory"); return r == 0; }
END
  fs check --json ./raw | jq -e '.[0] | .io_uring and .syscalls[0].call == "io_uring_setup"'
  fs check --json "$victims/calls" | jq -e '.[0].io_uring | not'
}

@test "check-tells-allocators-that-are-met-from-those-that-are-not" {
  run fs check "$victims/tiny-jemalloc"
  [ "$status" -eq 0 ]
  [[ $output == *libjemalloc*"are met"* ]]
  program own <<'END'
#include <stddef.h>
static char room[4096];
void *malloc(size_t n) { return n < sizeof room ? room : NULL; }
void free(void *p) { (void)p; }
int main(void) { return malloc(5) != room; }
END
  run fs check ./own
  [ "$status" -eq 2 ]
  [[ $output == *"allocator its own, linked in"* ]]
  program known <<'END'
#include <stdio.h>
int main(int argc, char **argv) { return argc > 9 && printf("<jemalloc>: %s\n", argv[0]); }
END
  fs check --json ./known | jq -e '.[0].built_in_allocator == "jemalloc"'
}

@test "check-finds-musl-and-run-starts-it-bare" {
  echo 'int puts(const char *); int main(void) { puts("musl"); return 0; }' >m.c
  musl-gcc m.c -o musl
  run fs check ./musl
  [ "$status" -eq 1 ]
  [[ $output == *musl*glibc* ]]
  run fs run -q -r 'calls=write fault=error:EIO' -- ./musl
  [ "$status" -eq 121 ]
  [[ $output == *musl* && $output != *relocating* ]]
  fs check --json ./musl | jq -e '.[0].libc == "musl"'
}

@test "check-finds-go" {
  # a note of the section that Go's linker writes; its compiler is too large to be asked for
  echo 'int main(void) { return 0; }' | program plain
  printf '\377 Go buildinf:' >info
  objcopy --add-section .go.buildinfo=info plain go-like
  run fs check ./go-like
  [ "$status" -eq 2 ]
  [[ $output == *"Go        dynamic"* ]]
  echo 'int main(void) { return 0; }' | program plain -static
  objcopy --add-section .go.buildinfo=info plain go-static
  run fs check ./go-static
  [ "$status" -eq 1 ]
  [[ $output == *static*cgo* ]]
}

@test "check-knows-whose-rights-matter" {
  needs_root "gives capabilities"
  cp "$victims/tiny" tiny
  setcap cap_net_raw+ep tiny 2>/dev/null || skip "this file system keeps no capabilities"
  # for root they are nothing new: it is met
  run fs check ./tiny
  [ "$status" -eq 0 ]
  [[ $output == *"file capabilities"* ]]
  run fs run -q -s 1 -r 'calls=fsync fault=error:EIO' -- ./tiny
  [ "$status" -ne 121 ]
  make_reachable ./tiny "$faultshim"
  setcap cap_net_raw+ep "$reachable/tiny"
  chmod 755 "$reachable/faultshim"
  mkdir -m 777 "$reachable/there"
  cd "$reachable/there"
  run clean setpriv --reuid=65534 --regid=65534 --clear-groups "$reachable/faultshim" check "$reachable/tiny"
  [ "$status" -eq 1 ]
  [[ $output == *"file capabilities"*"drops LD_PRELOAD"* ]]
  run clean setpriv --reuid=65534 --regid=65534 --clear-groups "$reachable/faultshim" run -q -r 'calls=fsync fault=error:EIO' -- "$reachable/tiny"
  [ "$status" -eq 121 ]
}

@test "check-of-a-profile-and-a-program-says-which-rules-could-meet-it" {
  run fs check -r 'calls=fsync,fdatasync fault=error:EIO' -r 'calls=getaddrinfo fault=error:EAI_FAIL' "$victims/tiny"
  [ "$status" -eq 0 ]
  [[ $output == *"rule r1 could meet fsync of its own"* ]]
  [[ $output == *"rule r2 finds no call"* ]]
  fs check --json -r 'calls=fsync,fdatasync fault=error:EIO' "$victims/tiny" |
    jq -e '.[1].rules[0] | .name == "r1" and (.calls | map(.call) == ["fsync"]) and (.calls[0].module | endswith("/tiny"))'
  # a bad profile is told once, and the program is checked all the same
  run fs check -r 'calls=fsink fault=error:EIO' "$victims/tiny"
  [ "$status" -eq 1 ]
  [[ $output == *"will be met"* ]]
}

@test "help-and-version-everywhere" {
  local command
  run fs --version
  [ "$status" -eq 0 ] && [[ $output == *[0-9].[0-9]* ]]
  run fs --help
  [ "$status" -eq 0 ]
  for command in run log stats verify replay diff list check; do
    [[ $(fs --help) == *$command* ]]
    run fs $command --help
    [ "$status" -eq 0 ] && [[ $output == *usage* || $output == *Usage* ]]
    run fs $command --version
    [ "$status" -eq 0 ]
    run fs $command --no-such-option
    [ "$status" -eq 125 ]
  done
  run fs frobnicate
  [ "$status" -eq 125 ]
  run fs
  [ "$status" -eq 125 ]
}

@test "installed-copy-works" {
  local prefix
  prefix=$(meson introspect "$build" --buildoptions | jq -r '.[] | select(.name == "prefix") | .value')
  case $prefix in
  "$(dirname "$build")"/*) ;;
  *) skip "this build would be installed outside its own folder: run tests/run.sh" ;;
  esac
  meson install -C "$build" --no-rebuild --quiet
  # whatever the environment, the installed command finds its library and its profiles
  run clean "$prefix/bin/faultshim" run -q -s 1 -p short-io -- "$victims/robust" file 100000
  [ "$status" -eq 0 ]
  says "file 100000 ok"
  [ "$(find "$prefix" -name '*.ini' | wc -l)" -eq "$(find "$top/profiles" -name '*.ini' | wc -l)" ]
  [ "$(find "$prefix" -name 'faultshim*.[1578]*' | wc -l)" -ge 5 ]
}
