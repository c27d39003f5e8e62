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

# https://redis.io/docs/management/persistence/: while the log can't be written, writes are refused, and reads go on.
@test "redis-refuses-writes-while-the-disk-is-full-and-goes-on-when-there-is-room" {
  cat >p.ini <<'END'
[rule full]
calls = @file.write
path  = **/*.aof
fault = quota 3000
END
  redis=(/usr/bin/redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly yes --appendfsync everysec --dir "$place")
  background server.log "$faultshim" run -q -s 1 -o redis.trace -p p.ini -- "${redis[@]}"
  wait_for 20 answers
  cli set first value
  load_it >/dev/null
  load_it >refused
  grep -q 'MISCONF Errors writing to the AOF file: No space left on device' refused
  [ "$(cli get first)" = value ]
  fs ctl -o redis.trace disable full
  wait_for 20 takes_writes
  load_it >taken
  [ "$(grep -c OK taken)" -eq 60 ]
  cli shutdown nosave || true
  wait_for 20 gone "$server"
  grep -qE 'Short write while writing to the AOF file|Error writing to the AOF file' server.log
  [ "$(faults redis.trace | how_many '.fault == "quota" and .errno == "ENOSPC"')" -ge 1 ]
  # what was answered is there again
  background again.log "${redis[@]}"
  wait_for 20 answers
  [ "$(cli get first)" = value ] && [ "$(cli get key60)" = value60 ]
}
takes_writes() {
  [ "$(cli set again value)" = OK ]
}

@test "redis-ends-when-the-disk-is-full-and-every-write-must-be-on-it" {
  start_and_load "$faultshim" run -q -s 1 -r 'calls=@file.write path=**/*.aof fault=quota:1500' -- "${redis[@]}"
  [ "$ended" -ne 0 ]
  grep -q "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting" server.log
}

# https://redis.io/docs/management/replication/: a replica that hears nothing for repl-timeout gives its link up, and resynchronises.
@test "a-redis-replica-in-a-black-hole-times-out-and-catches-up" {
  local master=$port
  background master.log "${redis[@]}" --repl-ping-replica-period 1
  wait_for 20 answers
  port=$(free_port)
  mkdir replica
  cat >p.ini <<END
[rule hole]
calls = @net
peer  = 127.0.0.1:$master
on    = mark cut
fault = blackhole
END
  background replica.log "$faultshim" run -q -s 1 -o replica.trace -p p.ini -- /usr/bin/redis-server --port "$port" --bind 127.0.0.1 --save '' \
    --dir "$place/replica" --replicaof 127.0.0.1 "$master" --repl-timeout 3
  wait_for 20 is_up
  clean redis-cli -h 127.0.0.1 -p "$master" set before 1
  wait_for 20 has before 1
  fs ctl -o replica.trace mark cut
  clean redis-cli -h 127.0.0.1 -p "$master" set during 2
  wait_for 30 grep -q 'MASTER timeout' replica.log
  [ -z "$(cli get during)" ] && [ "$(cli get before)" = 1 ]
  fs ctl -o replica.trace disable hole
  wait_for 40 has during 2 || { tail -20 replica.log && return 1; }
  wait_for 20 is_up
}
is_up() {
  [[ $(cli info replication) == *master_link_status:up* ]]
}
has() {
  [ "$(cli get "$1")" = "$2" ]
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

# Three connections: in `turns` one after the other, in `free` each by itself.
three_clients() { # turns|free
  cat >clients.py <<'END'
import socket, sys, threading, time

port, way = int(sys.argv[1]), sys.argv[2]

def connect():
    for _ in range(400):
        try:
            return socket.create_connection(("127.0.0.1", port), 20)
        except OSError:
            time.sleep(0.05)
    sys.exit("no server")

def ask(s, *words):
    s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
    got = b""
    while not got.endswith(b"\r\n"):
        got += s.recv(4096) or sys.exit("closed")

def put(who, i):
    ask(clients[who], b"SET", b"key%d-%d" % (who, i), b"v" * (20 + i))

def all_of(who):
    for i in range(40):
        put(who, i)

clients = []
for who in range(3):
    clients.append(connect())
    ask(clients[who], b"CLIENT", b"SETNAME", b"c%d" % who)
if way == "turns":
    for i in range(25):
        for who in range(3):
            put(who, i)
else:
    threads = [threading.Thread(target=all_of, args=(who,)) for who in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
clients[0].sendall(b"SHUTDOWN\r\n")
clients[0].recv(100)
END
  rm -rf appendonlydir
  background clients.log /usr/bin/python3 clients.py "$port" "$1"
}

three_client_faults() {
  cat >p.ini <<END
[rule files]
calls = @file.write @file.sync
path = *.aof
probability = 20%
fault = delay 1us..50us
$1

[rule sockets]
calls = @net.send @net.recv
probability = 20%
fault = short
fault = delay 1us..50us

[rule memory]
calls = malloc
probability = 3%
fault = delay 1us..20us
END
}

@test "redis-with-three-clients-is-replayed-exactly-twenty-times" {
  three_client_faults
  three_clients turns
  # what its timer does depends on time: once a second is seldom enough
  run fs run -s 7 -p p.ini -o run.trace -- "${redis[@]}" --hz 1 --dynamic-hz no
  [ "$status" -eq 0 ]
  local rule
  for rule in files sockets memory; do [ "$(fs log --by-rule $rule --json run.trace | wc -l)" -ge 20 ]; done
  for ((i = 1; i <= 20; i++)); do
    three_clients turns
    run fs replay -o again.trace run.trace
    [ "$status" -eq 0 ] && [[ $output == *"decisions as recorded (100%)"* ]] || { echo "replay $i: $output" && return 1; }
  done
}

@test "redis-with-three-clients-in-any-order-meets-the-same-faults-on-the-same-resources" {
  # how many writes there are differs from run to run: the first of them are there every time
  three_client_faults 'nth = 1..30
key = resource'
  three_clients free
  run fs run -q -s 7 -p p.ini -o run.trace -- "${redis[@]}"
  [ "$status" -eq 0 ]
  local rule
  for rule in files sockets memory; do [ "$(fs log --by-rule $rule --json run.trace | wc -l)" -ge 5 ]; done
  # memory belongs to threads, the rest to its files and connections
  of_resources() {
    faults "$1" | jq -c '[.call, .resource, .fault, .amount, if .rule == "memory" then [.process, .thread] else 0 end]' | sort
  }
  for ((i = 1; i <= 20; i++)); do
    three_clients free
    run fs replay --mode set -o again.trace run.trace
    [ "$status" -eq 0 ] && [[ $output == *"(set, 100%)"* ]] || { echo "replay $i: $output" && return 1; }
    diff <(of_resources run.trace) <(of_resources again.trace)
  done
}

# Keys expire by the wall clock, https://redis.io/commands/expire/: "if you set a key to expire in 1000 seconds, and then set your computer
# time 2000 seconds in the future, the key will be expired immediately".
@test "redis-keys-expire-when-the-wall-clock-jumps" {
  cat >p.ini <<'END'
[rule forwards]
calls = @time.read
on    = mark later for 1h
fault = jump 1h
END
  background server.log "$faultshim" run -q -s 1 -p p.ini -o redis.trace -- "${redis[@]}"
  wait_for 20 answers
  cli set short value ex 600
  cli set long value ex 7200
  [ "$(cli get short)" = value ] && [ "$(cli ttl long)" -gt 7000 ]
  fs ctl -o redis.trace mark later
  wait_for 20 expired
  [ "$(cli get long)" = value ] && [ "$(cli ttl long)" -le 3600 ] && [ "$(cli ttl long)" -gt 3000 ]
  [ "$(cli set more value px 100)" = OK ]
  cli shutdown nosave || true
  wait "$server" || true
  fs log --json redis.trace | jq -e -s 'map(select(.fault == "jump")) | length == 1 and .[0].amount == 3600000000000'
}
expired() {
  [ -z "$(cli get short)" ]
}
