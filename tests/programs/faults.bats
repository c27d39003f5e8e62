#!/usr/bin/env bats
# Programs that nobody here wrote, each bare and then under a fault that its own manual has an answer for.

load ../common

inserts() { # N
  echo 'create table if not exists t (id integer primary key, words text);'
  local i
  for ((i = 1; i <= $1; i++)); do
    echo "insert into t (words) values ('the words of row $i, which are as long as they are');"
  done
}
sqlite() {
  clean timeout 60 /usr/bin/sqlite3 "$@"
}
whole() { # DATABASE
  [ "$(sqlite "$1" 'pragma integrity_check' 2>&1)" = ok ]
}

@test "sqlite-fills-its-quota-says-so-and-goes-on-when-there-is-room" {
  inserts 400 >script.sql
  sqlite bare.db 'pragma synchronous = off' '.read script.sql'
  run fs run -q -s 1 -r "calls=@file.write path=$place/test.db* fault=quota:20000" -- \
    /usr/bin/sqlite3 test.db 'pragma synchronous = off' '.read script.sql' 'drop table t' 'vacuum' 'select count(*) + 41 from sqlite_master'
  [[ $output == *"database or disk is full"* ]]
  # what was given back by dropping and shrinking can be used again
  [[ $output == *41* ]]
  whole test.db
  [ "$(stat -c %s test.db)" -le 20000 ]
  fs verify -q
}

@test "sqlite-finds-torn-and-misdirected-pages" {
  local fault
  inserts 400 >script.sql
  sqlite sound.db 'pragma synchronous = off' '.read script.sql'
  whole sound.db
  for fault in torn misdirect:by=4096 'corrupt:stored,zero' 'corrupt:at-rest,bytes=200'; do
    rm -f test.db*
    run fs run -q -s 3 -r "calls=pwrite,pwrite64 path=$place/test.db nth=40..200 times=20 fault=$fault" -- \
      /usr/bin/sqlite3 test.db 'pragma synchronous = off' '.read script.sql'
    [ "$(faults | wc -l)" -gt 0 ] || { echo "$fault: none" && return 1; }
    run sqlite test.db 'pragma integrity_check' 'select count(*) from t where length(words) < 20 or words is null'
    [[ $output != ok*0 ]] || { cmp -s test.db sound.db || true; echo "$fault: not found"; return 1; }
  done
}

@test "sqlite-finds-rot-in-the-file-that-it-opens" {
  inserts 400 >script.sql
  sqlite test.db 'pragma synchronous = off' '.read script.sql'
  cp test.db before.db
  run fs run -q -s 5 -r "calls=@file.open path=$place/test.db nth=1 fault=corrupt:at-rest,bytes=300" -- /usr/bin/sqlite3 test.db 'pragma integrity_check'
  [ "$output" != ok ]
  [ "$(cmp -l test.db before.db | wc -l)" -eq 300 ]
}

@test "sqlite-reports-a-failed-sync-and-rolls-back" {
  inserts 40 >script.sql
  run fs run -q -s 1 -r "calls=@file.sync path=$place/* nth=30 fault=fsync-fail" -- /usr/bin/sqlite3 -bail test.db '.read script.sql'
  [ "$status" -ne 0 ]
  [[ $output == *"disk I/O error"* ]]
  whole test.db
}

# It rolls back, and so writes the pages again that a failed sync has lost.
@test "sqlite-keeps-what-it-has-committed-whatever-syncs-fail" {
  local seed
  cat >insert.py <<'END'
import sqlite3
c = sqlite3.connect("t.db", isolation_level=None)
c.execute("pragma synchronous = full")
for i in range(100):
    try:
        c.execute("create table if not exists t (n integer primary key, words text)")
        c.execute("insert into t values (?, ?)", (i, "x" * (i * 37 % 900)))
        print(i)
    except sqlite3.Error:
        pass
END
  for seed in 1 2 3 4; do
    rm -f t.db*
    fs run -q -s $seed -r 'calls=@file.sync path=**/t.db* probability=15% fault=fsync-fail' -- /usr/bin/python3 insert.py >committed
    [ "$(wc -l <committed)" -gt 20 ] && [ "$(wc -l <committed)" -lt 100 ]
    [ "$(clean /usr/bin/sqlite3 t.db 'pragma integrity_check')" = ok ]
    diff committed <(clean /usr/bin/sqlite3 t.db 'select n from t order by n')
  done
}

@test "sqlite-reports-out-of-memory-and-never-crashes" {
  local bytes seen=0
  inserts 20 >script.sql
  for bytes in 2KiB 5KiB 9KiB 14KiB 20KiB 30KiB 200KiB; do
    run fs run -q -s 1 --expect=any -r "calls=@memory.alloc caller=libsqlite3* fault=budget:$bytes" -- /usr/bin/sqlite3 :memory: '.read script.sql'
    [ "$status" -lt 120 ] || { echo "$bytes: status $status: $output" && return 1; }
    if [[ $output == *"out of memory"* ]]; then seen=$((seen + 1)); fi
  done
  [ "$seen" -ge 1 ]
}

# Until nothing is injected any more, every place where SQLite allocates has failed once.
@test "sqlite-survives-the-failure-of-every-allocation-it-makes" {
  local i ended=no
  echo 'create table t (a); insert into t values (1), (2); select sum(a) from t; create index i on t (a);' >script.sql
  [ "$(sqlite :memory: '.read script.sql')" = 3 ]
  for ((i = 1; i <= 500; i++)); do
    run fs run -q -s 1 --expect=any -r 'calls=@memory.alloc caller=libsqlite3* times=1 fault=once-per-stack' -- \
      /usr/bin/sqlite3 :memory: '.read script.sql'
    [ "$status" -lt 120 ] || { echo "run $i: status $status: $output" && fs log --faults && return 1; }
    if [ "$(faults | wc -l)" -eq 0 ]; then
      ended=yes
      break
    fi
  done
  [ $ended = yes ] && [ "$i" -gt 20 ]
}

@test "python3-and-cp-name-the-disk-that-is-full" {
  head -c 200000 /dev/zero >big
  run fs run -q -s 1 -r "calls=@file.write path=$place/out fault=quota:100000" -- /usr/bin/cp big out
  [ "$status" -eq 1 ]
  [[ $output == *"No space left on device"* ]]
  [ "$(stat -c %s out)" -eq 100000 ]
  run fs run -q -s 1 -r "calls=@file.write path=$place/o* fault=quota:100000,EDQUOT" -- /usr/bin/python3 -c '
import os
try:
    with open("other", "wb", buffering=0) as f:
        while True: f.write(b"x" * 7000)
except OSError as e:
    print(e.strerror)
os.remove("other")
with open("other", "wb") as f: f.write(b"x" * 90000)
print("fits")'
  [ "$status" -eq 0 ]
  [ "$output" = $'Disk quota exceeded\nfits' ]
}

@test "python3-draws-the-same-with-the-same-seed" {
  local rules=(-r 'calls=@random key=thread fault=seeded' -r 'calls=@file.read path=/dev/urandom key=thread fault=seeded') first
  local script='import uuid, secrets, random; print(uuid.uuid4(), secrets.token_hex(8), random.random())'
  fs run -q -s 9 "${rules[@]}" -- /usr/bin/python3 -c "$script" # finds the sites in python3's libraries
  first=$(fs run -q -s 9 "${rules[@]}" -- /usr/bin/python3 -c "$script")
  [ "$(fs run -q -s 9 "${rules[@]}" -- /usr/bin/python3 -c "$script")" = "$first" ]
  [ "$(fs run -q -s 8 "${rules[@]}" -- /usr/bin/python3 -c "$script")" != "$first" ]
}

@test "python3-hears-of-a-child-that-failed-and-of-descriptors-that-ran-out" {
  run fs run -q -s 1 -r 'calls=@process.wait fault=exit-status:3' -- /usr/bin/python3 -c '
import subprocess
print(subprocess.run(["/bin/true"]).returncode)'
  [ "$output" = 3 ]
  run fs run -q -s 1 -r 'calls=@file.open,@net.socket,@pipe fault=descriptors:12' -- /usr/bin/python3 -c '
import os
kept = []
try:
    while True: kept.append(os.open("/dev/null", os.O_RDONLY))
except OSError as e: print(e.strerror, len(kept) < 10)
while kept: os.close(kept.pop())
print(len(os.pipe()))'
  [ "$output" = $'Too many open files True\n2' ]
}

@test "redis-check-aof-finds-the-log-that-was-torn" {
  local i
  port=$(free_port)
  redis=(/usr/bin/redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly yes --appendfsync always --dir "$place")
  background server.log "$faultshim" run -q -s 4 -r "calls=@file.write path=**/*.aof size=2000.. nth=3 fault=torn:then=crash" -- "${redis[@]}"
  wait_for 20 listens "$port"
  for ((i = 1; i <= 6; i++)); do
    clean timeout 20 /usr/bin/redis-cli -h 127.0.0.1 -p "$port" set "key$i" "$(head -c 4000 /dev/zero | tr '\0' x)" || true
  done >answers 2>&1
  wait_for 20 gone "$server"
  [ "$(grep -c OK answers)" -eq 2 ]
  faults | jq -e '.fault == "torn" and .amount >= 1'
  run clean timeout 20 /usr/bin/redis-check-aof appendonlydir/appendonly.aof.1.incr.aof
  [ "$status" -ne 0 ]
  [[ $output == *"not valid"* ]]
  # what had been answered is still there when the rest is cut off
  clean timeout 20 /usr/bin/redis-check-aof --fix appendonlydir/appendonly.aof.1.incr.aof <<<y
  background again.log "${redis[@]}"
  wait_for 20 listens "$port"
  [ "$(clean timeout 20 /usr/bin/redis-cli -h 127.0.0.1 -p "$port" strlen key2)" = 4000 ]
}

@test "redis-check-aof-finds-the-log-that-was-corrupted" {
  local i
  port=$(free_port)
  redis=(/usr/bin/redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly yes --appendfsync always --dir "$place")
  background server.log "$faultshim" run -q -s 4 -r "calls=@file.write path=**/*.incr.aof nth=4 fault=corrupt:stored,junk" -- "${redis[@]}"
  wait_for 20 listens "$port"
  for ((i = 1; i <= 6; i++)); do
    clean timeout 20 /usr/bin/redis-cli -h 127.0.0.1 -p "$port" set "key$i" value
  done >answers 2>&1
  clean timeout 20 /usr/bin/redis-cli -h 127.0.0.1 -p "$port" shutdown || true
  wait_for 20 gone "$server"
  # it was told of nothing
  [ "$(grep -c OK answers)" -eq 6 ]
  run clean timeout 20 /usr/bin/redis-check-aof appendonlydir/appendonly.aof.1.incr.aof
  [ "$status" -ne 0 ]
  [[ $output == *"not valid"* ]]
}

@test "redis-ends-on-fsync-fail-as-its-manual-says" {
  port=$(free_port)
  redis=(/usr/bin/redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly yes --appendfsync always --dir "$place")
  background server.log "$faultshim" run -q -s 1 -r 'calls=fsync,fdatasync path=**/*.incr.aof nth=2 fault=fsync-fail' -- "${redis[@]}"
  wait_for 20 listens "$port"
  clean timeout 20 /usr/bin/redis-cli -h 127.0.0.1 -p "$port" set a 1 >/dev/null 2>&1 || true
  clean timeout 20 /usr/bin/redis-cli -h 127.0.0.1 -p "$port" set b 2 >/dev/null 2>&1 || true
  wait_for 20 gone "$server"
  grep -q "Can't persist AOF for fsync error" server.log
}

@test "nginx-lives-through-running-out-of-descriptors" {
  local i
  port=$(free_port)
  mkdir root tmp
  echo words >root/index.html
  cat >nginx.conf <<END
daemon off;
worker_processes 1;
pid $place/nginx.pid;
error_log $place/error.log notice;
$([ "$(id -u)" -eq 0 ] && echo 'user root;')
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path tmp/a; proxy_temp_path tmp/b; fastcgi_temp_path tmp/c; uwsgi_temp_path tmp/d; scgi_temp_path tmp/e;
  server { listen 127.0.0.1:$port; root $place/root; }
}
END
  background nginx.log "$faultshim" run -q -s 1 -r 'calls=@file.open path=**/root/** nth=1..5 fault=descriptors:3' -- \
    /usr/sbin/nginx -p "$place" -c "$place/nginx.conf"
  wait_for 20 listens "$port"
  for ((i = 0; i < 10; i++)); do
    clean timeout 20 curl -s -o /dev/null -w '%{http_code} ' "http://127.0.0.1:$port/index.html" || true
  done >codes
  kill -QUIT "$server"
  wait_for 20 gone "$server"
  [ "$(cat codes)" = "500 500 500 500 500 200 200 200 200 200 " ]
  [ "$(grep -c 'Too many open files' error.log)" -eq 5 ]
}
