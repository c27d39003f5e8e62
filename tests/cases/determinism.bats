#!/usr/bin/env bats
# One seed means one set of faults, whatever the scheduler does.

load ../common

# What identifies a fault, whenever and by whichever thread id it happened.
set_of() { # TRACE
  faults "$1" | jq -c '[.process, .thread, .call, .ordinal, .fault, .errno, .amount]' | sort
}

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
fault = error-after EIO

[rule interrupted]
calls = @file.read @file.write @net.recv @net.send @net.accept @pipe.read @pipe.write
probability = 10%
fault = error EINTR
fault = short

[rule network]
calls = @net.send @net.connect @net.socket
except = listen bind shutdown setsockopt
probability = 8%
fault = error EACCES EINVAL ENOMEM
fault = delay 1us..50us
END
}

@test "threads8-forks3-one-seed-fifty-runs-one-set-of-faults" {
  local port i sum first=
  port=$(free_port)
  for ((i = 1; i <= 50; i++)); do
    rm -rf w*
    run fs run -q -s 4711 -o run.trace -p p.ini -- "$victims/threads8" "$port"
    [ "$status" -eq 0 ] || { echo "run $i: status $status: $output" && return 1; }
    set_of run.trace >found
    sum=$(sha256sum <found)
    if [ -z "$first" ]; then
      first=$sum
      cp found first.found
      # there is something to compare: faults of each kind of call
      [ "$(wc -l <found)" -gt 300 ]
      local call
      for call in malloc write pread openat sendto recvfrom connect; do
        grep -q "\"$call\"" found || { echo "no fault on $call" && return 1; }
      done
      [ "$(faults run.trace | jq -r '.process + "/" + .thread' | sort -u | wc -l)" -eq 11 ]
    fi
    [ "$sum" = "$first" ] || { echo "run $i differs:" && diff first.found found | head -n 20 && return 1; }
    run fs verify -q run.trace
    [ "$status" -eq 0 ] || { echo "verify of run $i: $output" && return 1; }
  done
}

@test "another-seed-is-another-set" {
  local port
  port=$(free_port)
  fs run -q -s 1 -o a.trace -p p.ini -- "$victims/threads8" "$port"
  fs run -q -s 2 -o b.trace -p p.ini -- "$victims/threads8" "$port"
  ! diff -q <(set_of a.trace) <(set_of b.trace)
  run fs diff -q a.trace b.trace
  [ "$status" -eq 1 ]
}

@test "a-replay-of-threads-and-children-gives-every-fault-back" {
  local port
  port=$(free_port)
  fs run -q -s 99 -o a.trace -p p.ini -- "$victims/threads8" "$port"
  rm -rf w*
  run fs replay -q -o b.trace a.trace
  [ "$status" -eq 0 ]
  diff <(set_of a.trace) <(set_of b.trace)
  run fs diff a.trace b.trace
  [ "$status" -eq 0 ] || { echo "$output" && return 1; }
}

@test "a-thread-or-a-rule-more-changes-no-draw-of-the-others" {
  rule='calls=write key=thread probability=30% fault=error:EIO'
  run_say "$rule" on:file in-thread:a:x30:write:1
  one=$output
  run under "$rule" 'calls=malloc key=thread probability=30% fault=error:ENOMEM' -- \
    say on:file in-thread:a:x30:write:1 in-thread:b:x30:write:1
  [ "$one" = "$(grep '^write' <<<"$output" | head -n 30)" ]
  [ "$one" != "$(grep '^write' <<<"$output" | tail -n 30)" ]
}

@test "threads-that-start-together-are-known-by-their-names" {
  cat >together.c <<'END'
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *work(void *p) {
  char name[32];
  sprintf(name, "data%ld", (long)p);
  int fd = open(name, O_RDWR | O_CREAT, 0600);
  for (int i = 0; i < 500; i++) pwrite(fd, "0123456789", 10, 0);
  return 0;
}
int main(void) {
  pthread_t t[12];
  for (long i = 0; i < 12; i++) pthread_create(&t[i], 0, work, (void *)i);
  for (int i = 0; i < 12; i++) pthread_join(t[i], 0);
  return 0;
}
END
  gcc -w -O1 -pthread -o together together.c
  for ((i = 0; i < 15; i++)); do
    fs run -q -s 3 -r 'calls=pwrite path=data* probability=30% fault=short' -- ./together
    names=$(fs log --events --json | jq -r 'select(.event == "thread").name' | sort -n | xargs)
    [ "$names" = "0 1 2 3 4 5 6 7 8 9 10 11 12" ] || { echo "run $i: $names"; return 1; }
  done
}

@test "children-before-and-after-an-exec-have-names-of-their-own" {
  printf 'some words\n' >data
  run_it() { # TRACE
    fs run -q -s 5 -o "$1" --expect=any -r 'calls=@file.read path=data key=thread fault=short probability=50%' -- \
      /bin/bash -c "/bin/cat data; /bin/cat data; exec /bin/bash -c '/bin/cat data; /bin/cat data; true'"
  }
  run_it a.trace
  fs log --json --path data a.trace | jq -r .process | sort -u >names
  printf '1.%d\n' 1 2 3 4 >wanted
  diff wanted names
  run_it b.trace
  which_faults() { faults "$1" | jq -c '[.process, .call, .ordinal, .amount]' | sort; }
  diff <(which_faults a.trace) <(which_faults b.trace)
  run fs replay a.trace
  [ "$status" -eq 0 ] && [[ $output == *"(100%)"* ]]
}
