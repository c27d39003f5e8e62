#!/usr/bin/env bats
# Debian's redis-server, which nobody here wrote: its normal work, and what it does when an fsync fails.
# https://redis.io/docs/management/persistence/: with appendfsync always a write is answered once it is on disk; a failed
# fsync leaves nothing to answer, and the server ends.

load ../common

prepare() {
  port=$(free_port)
  redis=(/usr/bin/redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly yes --appendfsync always --dir "$place")
}

cli() {
  clean timeout 20 /usr/bin/redis-cli -h 127.0.0.1 -p "$port" "$@"
}
answers() {
  [ "$(cli ping 2>/dev/null)" = PONG ]
}
answers_or_is_gone() {
  answers || gone "$1"
}
rewritten() {
  cli info persistence | grep -q aof_rewrite_in_progress:0
}
# One connection, fixed commands, one at a time.
load_it() {
  for ((i = 1; i <= 60; i++)); do echo "set key$i value$i"; done | cli 2>&1 || true
}

# Starts a server, loads it, and sees how it ends: start_and_load COMMAND...
start_and_load() {
  background server.log "$@"
  # it may be gone before it ever listens
  wait_for 20 answers_or_is_gone "$server"
  load_it >load.log
  kill -TERM "$server" 2>/dev/null || true
  ended=0
  wait "$server" || ended=$?
}

@test "redis-works-as-without-the-shim" {
  local how
  for how in bare shimmed; do
    rm -rf appendonlydir
    if [ $how = bare ]; then
      background server.log "${redis[@]}"
    else
      background server.log "$faultshim" run -q -s 1 -r "$everything" -- "${redis[@]}"
    fi
    wait_for 20 answers
    {
      load_it
      cli get key7
      cli incr counter
      cli lpush list a b c
      cli lrange list 0 -1
      cli eval 'return redis.call("dbsize")' 0
      cli bgrewriteaof
      wait_for 20 rewritten
      cli debug reload
      cli dbsize
      cli shutdown
    } >$how.out 2>&1
    wait_for 20 gone "$server"
  done
  diff bare.out shimmed.out
  [ "$(grep -c OK bare.out)" -ge 60 ]
  fs verify -q
  [ "$(fs log --json | jq -r .process | sort -u | wc -l)" -ge 2 ]
}

@test "redis-ends-on-a-failed-fsync-and-twenty-replays-of-it-agree" {
  start_and_load "$faultshim" run --log card -s 1 -o run.trace -r 'calls=@file.sync fault=error:EIO nth=3' -- "${redis[@]}"
  cat server.log card
  [ "$ended" -eq 1 ]
  grep -q "fsync.*Input/output error\|Input/output error.*fsync\|Fail to fsync\|Can't persist AOF" server.log
  # the card says why: what fired, on what, and how to see it again
  grep -q EIO card
  grep -q 'fsync\|fdatasync' card
  grep -q 'faultshim replay' card
  faults run.trace | jq -c '[.process, .thread, .n, .call, .resource, .ordinal, .errno]' >first
  [ "$(wc -l <first)" -eq 1 ]
  for ((i = 1; i <= 20; i++)); do
    rm -rf appendonlydir
    start_and_load "$faultshim" replay -q -o again.trace run.trace
    [ "$ended" -eq 1 ]
    diff first <(faults again.trace | jq -c '[.process, .thread, .n, .call, .resource, .ordinal, .errno]') || {
      echo "replay $i differs"
      return 1
    }
  done
}

@test "redis-keeps-every-answered-write-when-the-log-fails-to-sync" {
  # a server that is up, and then loses its disk in the midst of the load
  start_and_load "$faultshim" run -q -s 1 -r 'calls=@file.sync path=*.aof fault=error:EIO nth=30' -- "${redis[@]}"
  [ "$ended" -eq 1 ]
  grep -q "Can't persist AOF for fsync error when the AOF fsync policy is 'always'" server.log
  local answered
  answered=$(grep -c '^OK$' load.log)
  [ "$answered" -ge 10 ] && [ "$answered" -lt 60 ]
  # without the shim again: all that was answered is there
  background again.log "${redis[@]}"
  wait_for 20 answers
  [ "$(cli dbsize)" -ge "$answered" ]
  [ "$(cli get "key$answered")" = "value$answered" ]
}

@test "redis-carries-its-own-allocator-and-check-says-so" {
  run fs check /usr/bin/redis-server
  [[ $output == *jemalloc* ]]
}
