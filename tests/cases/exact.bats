#!/usr/bin/env bats
# log --as-profile: the faults of a trace as rules that bring them back by themselves.

load ../common

# What a fault was, whichever rule made it.
set_of() { # TRACE
  faults "$1" | jq -c '[.process, .thread, .call, .size, .fault, .errno, .amount]' | sort
}

# Runs a victim with the profile of a.trace: the faults are the same.
comes_back() { # VICTIM ARGUMENT...
  fs log --as-profile a.trace >exact.ini
  # says its own; the seed is another
  fs run -q -s 987654 -p exact.ini -o b.trace -- "$victims/$1" "${@:2}" >/dev/null
  diff <(set_of a.trace) <(set_of b.trace)
  fs verify -q b.trace
}

@test "exact-rules-for-a-file-are-what-a-person-would-write" {
  under 'calls=write nth=3 fault=error:EIO' -- say on:file x5:write:1
  fs log --as-profile >exact.ini
  grep -v '^;' exact.ini >rules
  diff rules - <<'END'

[rule exact-1-write]
calls   = write
path    = data
nth     = 3
fault   = error EIO
END
  run fs run -q -p exact.ini -- "$victims/say" on:file x5:write:1
  says 'write 1' 'write 1' 'write -1 EIO' 'write 1' 'write 1'
}

@test "exact-rules-bring-amounts-back" {
  local work=(on:file x20:write:9 in-thread:a:x20:write:5 in-child:x20:write:4 on:pipe x5:write:9)
  fs run -q -s 5 -o a.trace -r 'calls=write probability=30% fault=error:EIO fault=short fault=delay:1us..2ms fault=error-after:EIO' -- \
    "$victims/say" "${work[@]}" >/dev/null
  [ "$(faults a.trace | wc -l)" -ge 10 ]
  comes_back say "${work[@]}"
  grep -q '^thread  = 1$' exact.ini
  grep -q '^process = 1\.1$' exact.ini
  grep -q '^draw ' exact.ini
}

@test "exact-rules-for-eight-threads-and-three-children" {
  local port
  port=$(free_port)
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

[rule sockets]
calls = @net.send @net.recv @net.accept @pipe.read @pipe.write
probability = 10%
fault = error EINTR
fault = short
fault = delay 1us..50us
END
  fs run -q -s 4711 -o a.trace -p p.ini -- "$victims/threads8" "$port"
  [ "$(faults a.trace | wc -l)" -gt 200 ]
  rm -rf w*
  comes_back threads8 "$port"
}

@test "exact-rules-name-files-as-shortly-as-they-can" {
  mkdir one two
  cat >files.c <<'END'
#include <fcntl.h>
#include <unistd.h>
int main(void) {
  const char *paths[] = {"one/data", "two/data", "two/my [log]"};
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < 3; i++) {
      int fd = open(paths[i], O_WRONLY | O_CREAT | O_APPEND, 0600);
      if (write(fd, "x", 1) < 0) write(1, paths[i], 3);
      close(fd);
    }
  return 0;
}
END
  gcc -w -o files files.c
  fs run -q -s 1 -o a.trace -r 'calls=write key=resource nth=2 fault=error:EIO' -- ./files >/dev/null
  fs log --as-profile a.trace >exact.ini
  grep -qFx 'path    = **/one/data' exact.ini
  grep -qFx 'path    = **/two/data' exact.ini
  grep -qFx 'path    = "my \[log]"' exact.ini
  rm one/* two/*
  fs run -q -p exact.ini -o b.trace -- ./files >/dev/null
  diff <(set_of a.trace) <(set_of b.trace)
}

@test "exact-rules-count-what-passed-in-a-head-start" {
  printf '[faultshim]\nheadstart = 4 calls\n[rule w]\ncalls = write\nnth = 2\nfault = error EIO\n' >p.ini
  fs run -q -o a.trace -p p.ini -- "$victims/say" on:file x9:write:1
  fs log --as-profile a.trace >exact.ini
  run ! grep -q headstart exact.ini
  fs run -q -p exact.ini -o b.trace -- "$victims/say" on:file x9:write:1
  diff <(faults a.trace | jq .n) <(faults b.trace | jq .n)
}

@test "exact-rules-of-a-quota-are-the-quota" {
  fs run -q -s 5 -o a.trace -r 'calls=@file.write path=data fault=quota:30' -- "$victims/say" on:file x5:write:9
  rm data
  comes_back say on:file x5:write:9
  grep -q 'quota 30' exact.ini
  grep -q '^seed = 5$' exact.ini
}

@test "exact-rules-of-chosen-faults-only" {
  under 'calls=write,fsync nth=2..4 fault=error:EIO' -- say on:file write:1 write:1 fsync fsync
  fs log --as-profile --call fsync >exact.ini
  [ "$(grep -c '^\[rule' exact.ini)" -eq 1 ]
  grep -q '^nth     = 1,2$' exact.ini
  run fs log --as-profile --call read
  [ "$status" -eq 125 ]
}

@test "exact-rules-need-every-decision" {
  printf '[faultshim]\ntrace = faults\n[rule w]\ncalls = write\nnth = 2\nfault = error EIO\n' >p.ini
  fs run -q -o a.trace -p p.ini -- "$victims/say" on:file x9:write:1
  run fs log --as-profile a.trace
  [ "$status" -eq 125 ]
  [[ $output == *"does not hold all decisions"* ]]
}

@test "draw-goes-with-nth-alone" {
  local rule
  for rule in 'draw=1' 'nth=2,3 draw=1' 'nth=2 draw=1 probability=50%' 'nth=2 draw=1 sticky=rule' 'nth=2+ draw=1' 'nth=1..2 draw=1,2,3'; do
    run fs check -r "calls=write fault=short $rule"
    [ "$status" -ne 0 ] || { echo "taken: $rule" && return 1; }
  done
  run under 'calls=write fault=short nth=1,2 draw=0x1,0x1' -- say on:file x2:write:100
  [ "${lines[0]}" = "${lines[1]}" ] && [ "${lines[0]}" != 'write 100' ]
}
