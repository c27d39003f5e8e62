#!/usr/bin/env bats
# replay --mode: which calls get the recorded faults.

load ../common

set_of() { # TRACE
  faults "$1" | jq -c '[.process, .call, .resource, .size, .fault, .errno, .amount]' | sort
}

@test "replay-set-gives-threads-and-children-every-fault-back" {
  local port
  port=$(free_port)
  cat >p.ini <<'END'
[rule memory]
calls = @memory.alloc
probability = 5%
fault = error ENOMEM

[rule rest]
calls = @file @net.send @net.recv @net.accept @pipe.read @pipe.write
except = close
probability = 8%
fault = error EINTR
fault = short
END
  fs run -q -s 99 -o a.trace -p p.ini -- "$victims/threads8" "$port"
  [ "$(faults a.trace | wc -l)" -gt 100 ]
  rm -rf w*
  run fs replay --mode set -o b.trace a.trace
  [ "$status" -eq 0 ]
  [[ $output == *"(set, 100%)"* ]]
  diff <(set_of a.trace) <(set_of b.trace)
}

# Two threads take turns on one file; in every second run in another order, and with another call in between.
changing() {
  cat >changes.c <<'END'
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static int fd, other;
static void *work(void *p) {
  for (int i = 0; i < 5; i++)
    if (write(fd, "12345", 5) < 0) printf("%d\n", i);
  return p;
}
int main(int argc, char **argv) {
  pthread_t t;
  fd = open("shared", O_WRONLY | O_CREAT, 0600);
  other = open("other", O_WRONLY | O_CREAT, 0600);
  if (argc > 1) {
    work(NULL);
    for (int i = 0; i < 300; i++) fsync(other);
    if (write(other, "1", 1) < 0) printf("other\n");
  }
  pthread_create(&t, NULL, work, NULL);
  pthread_join(t, NULL);
  if (argc == 1) {
    if (write(other, "1", 1) < 0) printf("other\n");
    work(NULL);
  }
  return 0;
}
END
  gcc -w -pthread -o changes changes.c
}

@test "replay-set-finds-the-same-calls-in-another-order" {
  changing
  fs run -q -o a.trace -r 'calls=write path=shared key=resource nth=3,8 fault=error:EIO' \
    -r 'calls=write,fsync path=other probability=0 fault=delay:1ms' -- ./changes >first
  run fs replay --mode set -o b.trace a.trace -- ./changes other
  [ "$status" -eq 0 ]
  [[ $output == *"replayed 2 of 2 faulty calls (set, 100%)"* ]]
  diff <(faults a.trace | jq -c '[.call, .resource, .errno]') <(faults b.trace | jq -c '[.call, .resource, .errno]')
  # exactly, it has left its path
  run fs replay -q -o c.trace a.trace -- ./changes other
  [ "$status" -eq 122 ]
}

@test "replay-set-says-what-did-not-come-again" {
  fs run -q -o a.trace -r 'calls=write nth=3,7 fault=error:EIO' -- "$victims/say" on:file x8:write:1
  run fs replay --mode set -o b.trace a.trace -- "$victims/say" on:file x5:write:1
  [ "$status" -eq 122 ]
  [[ $output == *"replayed 1 of 2 faulty calls (set, 50%)"* ]]
  [[ $output == *"not again: 1/0: write 7 of $place/data = error EIO, there were 5"* ]]
  run fs replay --mode set --json -o b.trace a.trace -- "$victims/say" on:file x5:write:1
  tail -n 1 <<<"$output" | jq -e '.replay | .mode == "set" and .faults == 2 and .faults_again == 1 and .score == 0.5 and (.missing | length) == 1'
}

@test "replay-site-goes-by-call-stack" {
  cat >places.c <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int fd;
__attribute__((noinline)) static void one(const char *why) { if (write(fd, "1", 1) < 0) printf("one %s\n", why); }
__attribute__((noinline)) static void two(const char *why) { if (write(fd, "2", 1) < 0) printf("two %s\n", why); }
int main(int argc, char **argv) {
  fd = open("data", O_WRONLY | O_CREAT, 0600);
  for (int i = 0; i < 3; i++) {
    char why[2] = {'0' + i};
    if (argc > 1) one(why);
    two(why);
    if (argc == 1) one(why);
  }
  return 0;
}
END
  gcc -w -O0 -g -o places places.c
  fs run -q -o a.trace -r 'calls=write path=data key=site nth=2 fault=error:EIO' -- ./places >first
  says_first=$(sort first)
  [ "$says_first" = $'one 1\ntwo 1' ]
  # the file's own third and fourth write is another one now; the places are the same
  cp places moved
  run fs replay -q --mode site -o b.trace a.trace -- ./places
  [ "$status" -eq 0 ]
  [ "$(sort <<<"$output")" = "$says_first" ]
  fs run -q -o c.trace -r 'calls=write path=data nth=2 fault=error:EIO' -- ./places >/dev/null
  run fs replay --mode site c.trace
  [ "$status" -eq 125 ]
  [[ $output == *"no call stacks"* ]]
  # stacks in the trace will do
  fs run -q -o d.trace --set stacks=all -r 'calls=write path=data nth=2,3 fault=error:EIO' -- ./places >second
  fs verify -q d.trace
  run fs replay -q --mode site -o e.trace d.trace -- ./moved
  [ "$status" -eq 0 ]
  [ "$(sort <<<"$output")" = "$(sort second)" ]
  # those of faults alone are in the trace, and not enough for that
  fs run -q -o f.trace --set stacks=faults -r 'calls=write path=data nth=2,3 fault=error:EIO' -- ./places >third
  cmp second third
  fs verify -q f.trace
  run fs run --set stacks=some -r 'calls=write fault=error:EIO' -- ./places
  [ "$status" -eq 125 ]
  [[ $output == *"--set 1:2: stacks has no 'some'; write off, faults or all"* ]]
  run fs replay --mode other c.trace
  [ "$status" -eq 125 ]
}

@test "replay-site-finds-the-places-in-another-build" {
  cat >places.c <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int fd;
#ifdef MORE
__attribute__((noinline)) static int more(int n) { volatile int sum = n; for (int i = 0; i < n; i++) sum += i * n; return sum; }
#endif
__attribute__((noinline)) static void put(const char *why, const char *who) {
#ifdef MORE
  more(7);
#endif
  if (write(fd, "1", 1) < 0) printf("%s %s\n", who, why);
}
__attribute__((noinline)) static void one(const char *why) { put(why, "one"); }
__attribute__((noinline)) static void two(const char *why) {
#ifdef MORE
  if (more(3) > 1000) puts("never");
#endif
  put(why, "two");
}
int main(int argc, char **argv) {
  fd = open("data", O_WRONLY | O_CREAT, 0600);
#ifdef MORE
  write(fd, "head", 4);
#endif
  for (int i = 0; i < 5; i++) {
    char why[2] = {'0' + i};
#ifdef MORE
    two(why);
    one(why);
#else
    one(why);
    two(why);
#endif
  }
  return 0;
}
END
  gcc -w -O0 -o places places.c
  fs run -q -o a.trace --set stacks=all -r 'calls=write path=data nth=3,6 fault=error:EIO' -- ./places >first
  [ "$(cat first)" = $'one 1\ntwo 2' ]
  gcc -w -O0 -DMORE -o other places.c
  # by number on the file, other calls get them
  fs replay -q --mode set -o b.trace a.trace -- ./other >second
  [ "$(cat second)" = $'one 0\ntwo 2' ]
  fs replay -q --mode site -o b.trace a.trace -- ./other >second
  diff <(sort first) <(sort second)
  # built anew in its own place
  mv other places
  run fs replay --mode site -o b.trace a.trace
  [ "$status" -eq 0 ]
  [[ $output == *"(site, 100%)"* ]]
  [[ $output == *"one 1"* && $output == *"two 2"* ]]
  # without names there is one place
  strip places
  run fs replay --mode site -o b.trace a.trace
  [ "$status" -eq 122 ]
}

stands() {
  grep -q 'stands before decision 3' log && [ "$(ps -o stat= -p "$(sed -n 's/.*process \([0-9]*\) stands.*/\1/p' log)" | cut -c1)" = T ]
}

@test "replay-until-stops-before-a-decision" {
  fs run -q -o a.trace -r 'calls=write nth=3,4 fault=error:EIO' -- "$victims/say" on:file x6:write:1 >first
  rm data
  background log "$faultshim" replay --until 3 -o b.trace a.trace
  wait_for 20 stands
  grep -q "of 1/0: write $place/data = error EIO; look with gdb -p" log
  # two writes are done, the third is not
  [ "$(stat -c %s data)" -eq 2 ]
  kill -CONT "$(sed -n 's/.*process \([0-9]*\) stands.*/\1/p' log)"
  wait "$server"
  grep -q '(100%)' log
  # any thread
  fs run -q -o c.trace -r 'calls=write nth=3 fault=error:EIO' -- "$victims/say" on:file in-child:x6:write:1 >/dev/null
  background log "$faultshim" replay --until 1.1/0:3 -o d.trace c.trace
  wait_for 20 stands
  kill -CONT "$(sed -n 's/.*process \([0-9]*\) stands.*/\1/p' log)"
  wait "$server"
  local arguments
  for arguments in '--until 0' '--until x' '--until 1.7/0:3' '--gdb'; do
    # shellcheck disable=SC2086
    run fs replay $arguments c.trace
    [ "$status" -eq 125 ] || { echo "$arguments: $status: $output" && return 1; }
  done
}

@test "replay-until-with-gdb-starts-it-on-the-process" {
  fs run -q -o a.trace -r 'calls=write nth=3 fault=error:EIO' -- "$victims/say" on:file x6:write:1 >first
  mkdir bin
  # shellcheck disable=SC2016
  printf '#!/bin/sh\necho "$@" $(ps -o stat= -p "$2" | cut -c1) >gdb.log\n' >bin/gdb
  chmod +x bin/gdb
  # the recorded PATH is put back, so gdb is found through it
  environment+=(PATH="$place/bin:$PATH")
  fs run -q -o a.trace -r 'calls=write nth=3 fault=error:EIO' -- "$victims/say" on:file x6:write:1 >first
  run fs replay --until 3 --gdb -o b.trace a.trace
  [ "$status" -eq 0 ]
  grep -qE '^-p [0-9]+ T$' gdb.log
}
