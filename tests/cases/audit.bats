#!/usr/bin/env bats
# run --audit: what the kernel saw against what the gate saw.

load ../common

# Every case follows what it starts.
prepare() {
  run fs run -q --audit --expect=any -r "calls=fsync probability=0 fault=delay:1ms" -- /bin/true
  if [[ $output == *"needs ptrace"* ]]; then skip "ptrace(2) is not allowed here"; fi
}

# program NAME OPTION... <SOURCE
program() {
  gcc -O1 -D_GNU_SOURCE -x c - -o "$1" "${@:2}"
}

# audited RULE PROGRAM ARGUMENT...: its card is in the file `card`
audited() {
  fs run --audit --json --log card -s 1 --expect=any -r "$1" -- "${@:2}"
}

never='probability=0 fault=delay:1ms'

@test "audit-sees-what-the-gate-sees" {
  audited "calls=@file.write,@file.read,@file.sync $never" "$victims/say" on:file x7:write:5 fsync rewind x3:read:5 in-thread:t:x4:write:1 in-child:x6:write:1
  jq -e '.audit | .past == 0 and .past_calls == [] and .seen >= 21 and .unaudited == 0 and .without_the_shim == 0' card
  jq -e '.audit.seen >= .decisions and .lost == []' card
  jq -e '.audit | .system_calls == .before_main + .of_the_shim + .not_considered + .seen + .past + .after_vfork + .restarted +
    .without_the_shim + .foreign' card
}

@test "audit-names-what-went-past-by-call-file-and-function" {
  program own <<'END'
#include <unistd.h>
__attribute__((noinline)) long raw(const void *p, long n) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "0"(1L), "D"(1L), "S"(p), "d"(n) : "rcx", "r11", "memory");
  return r;
}
int main(void) {
  for (int i = 0; i < 5; i++)
    if (raw("x\n", 2) != 2 || write(1, "y\n", 2) != 2) return 1;
  return 0;
}
END
  run audited "calls=write fd=0..9 $never" ./own
  [ "$status" -eq 0 ]
  jq -e --arg path "$place/own" '.audit | .past == 5 and .seen == 5 and
    .past_calls == [{call: "write", number: 1, module: $path, function: "raw", count: 5}]' card
  # no rule for it, no complaint: none on write, on such a descriptor, on pipes
  audited "calls=write $never" ./own
  jq -e '.audit | .past == 0' card
  audited "calls=@file.write fd=0..9 $never" /bin/sh -c './own | cat'
  jq -e '.audit | .past == 0' card
  audited "calls=fsync $never" ./own
  jq -e '.audit | .past == 0 and .seen == 0' card
  run fs run --audit -s 1 --expect=any -r "calls=write fd=0..9 $never" -- ./own
  [ "$status" -eq 0 ]
  [[ $output == *"write 5 from "*/own" (raw)"* ]]
}

@test "audit-sees-libc-calls-that-symbols-do-not-meet" {
  program prints <<'END'
#include <stdio.h>
int main(void) { for (int i = 0; i < 4; i++) { printf("%d\n", i); fflush(stdout); } return 0; }
END
  printf '[faultshim]\ndoors = symbols\n[rule w]\ncalls = write\nfd = 0..9\nprobability = 0\nfault = delay 1ms\n' >p.ini
  fs run --audit --json --log card -p p.ini --expect=any -- ./prints
  jq -e '.audit | .past == 4 and (.past_calls | length == 1 and (.[0].module | test("/libc.so.6$")) and .[0].call == "write")' card
}

@test "audit-decides-the-status-only-if-asked" {
  program own <<'END'
int main(void) { long r; __asm__ volatile("syscall" : "=a"(r) : "0"(1L), "D"(1L), "S"("x\n"), "d"(2L) : "rcx", "r11", "memory"); return 7; }
END
  run fs run -q --audit --expect=any -r "calls=write fd=0..9 $never" -- ./own
  [ "$status" -eq 7 ]
  run fs run -q --expect=seen -r "calls=write fd=0..9 $never" -- ./own
  [ "$status" -eq 123 ]
  run fs run -q --expect=any,seen -r "calls=fsync $never" -- ./own
  [ "$status" -eq 7 ]
  run fs run -q --expect=fault,seen -r "calls=fsync fault=error:EIO" -- "$victims/say" on:file fsync
  [ "$status" -eq 0 ]
  run fs run -q --expect=fault,seen -r "calls=fsync fault=error:EIO" -- "$victims/say" on:file write
  [ "$status" -eq 120 ]
  run fs run -q --expect=seen,all -r "calls=fsync $never" -- ./own
  [ "$status" -eq 125 ]
}

@test "audit-injects-as-without-it" {
  local rule='calls=write,read probability=30% fault=error:EIO,EINTR'
  run fs run -q -s 5 -o a.trace -r "$rule" -- "$victims/say" on:file x40:write:3 rewind x40:read:2 in-thread:t:x9:write:1
  local without=$output
  run fs run -q -s 5 -o b.trace --audit -r "$rule" -- "$victims/say" on:file x40:write:3 rewind x40:read:2 in-thread:t:x9:write:1
  [ "$output" = "$without" ]
  fs diff -q a.trace b.trace
  fs verify -q b.trace
}

@test "audit-takes-no-injected-error-for-a-call" {
  # each second write fails and reaches no kernel: the raw one after it is still one that went past
  program both <<'END'
#include <unistd.h>
int main(void) {
  for (int i = 0; i < 6; i++) {
    long r;
    if (write(1, "y", 1) > 0) continue;
    __asm__ volatile("syscall" : "=a"(r) : "0"(1L), "D"(1L), "S"("x"), "d"(1L) : "rcx", "r11", "memory");
  }
  return 0;
}
END
  audited 'calls=write fd=0..9 interval=2 fault=error:EIO' ./both
  jq -e '.audit | .past == 3 and .seen == 3' card
}

@test "audit-finds-processes-that-lost-the-shim-however-they-were-made" {
  program clears <<'END'
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char *none[] = {0}, *args[] = {argv[1], 0};
  pid_t pid = fork();
  if (pid == 0) {
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "0"(59L), "D"(argv[1]), "S"(args), "d"(none) : "rcx", "r11", "memory");
    _exit(9);
  }
  int status;
  return waitpid(pid, &status, 0) != pid || status;
}
END
  audited "calls=fsync $never" ./clears "$victims/tiny"
  jq -e --arg path "$victims/tiny" '.lost | length == 1 and .[0].path == $path and (.[0].why | test("LD_PRELOAD is not")) and .[0].system_calls > 20' card
  run fs run -q --expect=seen -r "calls=fsync $never" -- ./clears "$victims/tiny"
  [ "$status" -eq 123 ]
  audited "calls=fsync $never" /bin/sh -c "'$victims/tiny-static'; '$victims/tiny'; env -i '$victims/tiny'"
  jq -e --arg path "$victims/tiny-static" '.lost | length == 1 and .[0].path == $path and (.[0].why | test("static"))' card
  run audited "calls=fsync $never" "$victims/tiny-static"
  [ "$status" -eq 121 ]
  jq -e '.audit.without_the_shim > 20' card
}

@test "audit-of-an-exec-in-between-is-no-loss-of-the-program" {
  program becomes -static <<'END'
#include <unistd.h>
int main(int argc, char **argv) { execv(argv[1], argv + 1); return 1; }
END
  run audited "calls=fsync $never" /bin/sh -c "exec ./becomes '$victims/tiny'"
  [ "$status" -eq 0 ]
  jq -e '.lost | length == 1 and (.[0].path | endswith("/becomes"))' card
}

@test "audit-follows-threads-forks-and-signals" {
  local part
  for part in 'raw-fork' 'fork-in-threads' 'many-forks 50' 'thread-churn 200' 'main-leaves' 'cancel' 'vfork-exec' 'vfork-nested' 'interrupted' \
    'spawn-clean' 'close-everything'; do
    # shellcheck disable=SC2086  # two words
    run bare life $part
    local wanted=$output wanted_status=$status
    # shellcheck disable=SC2086
    run fs run -q --audit --log card --expect=any -s 1 -r "calls=@file,@pipe,@net $never" -- "$victims/life" $part
    [ "$status" -eq "$wanted_status" ] || { echo "$part: status $status: $output" && return 1; }
    [ "$output" = "$wanted" ] || { echo "$part: $output" && return 1; }
  done
}

@test "audit-lets-stopped-programs-be-stopped" {
  background out "$faultshim" run -q --audit --expect=any -r "calls=write $never" -- /bin/sh -c 'echo $$; kill -STOP $$; echo on; sleep 60 & kill $!; wait; exit 4'
  wait_for 10 grep -q '[0-9]' out
  local pid
  pid=$(head -n 1 out)
  wait_for 10 grep -q '^State:.*[tT] ' "/proc/$pid/status"
  [ "$(wc -l <out)" -eq 1 ]
  wait_for 10 sh -c "kill -CONT $pid; grep -q on out"
  wait_for 10 gone "$pid"
}

@test "audit-leaves-running-what-outlives-the-program" {
  fs run -q --audit --expect=any -r "calls=write $never" -- /bin/sh -c '(sleep 1; echo later >later) & echo'
  wait_for 10 test -s later
}

@test "audit-and-timeout" {
  run fs run -q --audit --timeout=500ms -r "calls=write $never" -- /bin/sh -c 'sleep 50 & sleep 50'
  [ "$status" -eq 124 ]
}
