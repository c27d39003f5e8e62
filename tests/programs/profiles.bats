#!/usr/bin/env bats
# The shipped profiles by failure, each on a program that nobody here wrote: first without it, then under it, and what that program did.

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
# A program under a shipped profile: with PROFILE COMMAND...
with() {
  run fs run -q -s "${seed:-1}" --expect=any -p "$1" -- "${@:2}"
}

@test "full-disk-sqlite-says-so-and-its-file-is-whole" {
  inserts 3000 >script.sql
  with full-disk /usr/bin/sqlite3 -bail test.db 'pragma synchronous = off' '.read script.sql'
  [ "$status" -ne 0 ]
  [[ $output == *"disk is full"* || $output == *"disk I/O error"* ]]
  [ "$(sqlite test.db 'pragma integrity_check')" = ok ]
}

@test "slow-disk-sqlite-waits-and-loses-nothing" {
  inserts 10 >script.sql
  with slow-disk /usr/bin/sqlite3 -bail test.db '.read script.sql'
  [ "$status" -eq 0 ]
  [ "$(sqlite test.db 'select count(*) from t')" = 10 ]
  # every sync was held
  [ "$(faults | how_many '.fault == "delay" and .rule == "slow-disk-syncs"')" -ge 20 ]
}

@test "fsync-fails-sqlite-reports-it-and-goes-back" {
  inserts 0 | sqlite test.db
  inserts 100 | sed 1d >script.sql
  with fsync-fails /usr/bin/sqlite3 test.db '.read script.sql'
  [[ $output == *"disk I/O error"* || $output == *"disk is full"* ]]
  [ "$(sqlite test.db 'pragma integrity_check')" = ok ]
  # what failed is not there
  [ "$(sqlite test.db 'select count(*) from t')" -lt 100 ]
}

@test "torn-writes-sqlite-finds-them" {
  local seed found=0
  { echo 'pragma synchronous = off; begin;' && inserts 10000 && echo 'commit;'; } >script.sql
  for seed in 1 2 3; do
    rm -f test.db
    with torn-writes /usr/bin/sqlite3 test.db '.read script.sql'
    [ "$(faults | how_many '.fault == "torn"')" -ge 1 ]
    run sqlite test.db 'pragma integrity_check' 'select count(*) from t where length(words) < 20 or words is null'
    if [[ $output != ok*0 ]]; then found=$((found + 1)); fi
  done
  [ "$found" -ge 1 ]
}

@test "silent-corruption-git-finds-it" {
  mkdir repo
  head -c 400000 /dev/urandom >repo/file
  cat >work.sh <<'EOF'
cd repo && git init -q . && i=0
while [ $i -lt 40 ]; do echo "$i" >>"f$i"; i=$((i + 1)); done
git add . && git -c user.name=a -c user.email=a@b commit -qm words
EOF
  local seed found=0 injected=0
  for seed in 1 2 3 4; do
    rm -rf repo/.git repo/f[0-9]*
    with silent-corruption /bin/sh work.sh
    injected=$((injected + $(faults | wc -l)))
    [ "$status" -eq 0 ] || found=$((found + 1))
    run clean git -C repo fsck --full
    [ "$status" -eq 0 ] || found=$((found + 1))
  done
  [ "$injected" -ge 4 ]
  [ "$found" -ge 1 ]
}

@test "out-of-memory-sqlite-says-so-and-never-crashes" {
  local seed said=0
  inserts 300 >script.sql
  for seed in 1 2 3 4 5; do
    with out-of-memory /usr/bin/sqlite3 :memory: '.read script.sql'
    [ "$status" -lt 125 ] || { echo "$status $output" && return 1; }
    if [[ $output == *"out of memory"* ]]; then said=$((said + 1)); fi
  done
  [ "$said" -ge 1 ]
}

@test "descriptors-python-gets-thirty-two-and-no-more" {
  local script='
import os
kept = []
try:
    while len(kept) < 100: kept.append(os.open("/dev/null", os.O_RDONLY))
    print("never")
except OSError as e: print(e.strerror, max(kept))
os.close(kept.pop())
print(os.open("/dev/null", os.O_RDONLY))'
  [[ $(clean /usr/bin/python3 -c "$script") == never* ]]
  with descriptors /usr/bin/python3 -c "$script"
  [ "$output" = $'Too many open files 31\n31' ]
}

@test "eintr-storm-python-copies-every-byte" {
  head -c 4000000 /dev/urandom >source-file
  # its start reads files by stdio, which gives up on EINTR
  printf '[faultshim]\nheadstart = 2000 calls\n' >later.ini
  run fs run -q -s 1 --expect=any -p eintr-storm -p ./later.ini -- /usr/bin/python3 -B -I -c '
with open("source-file", "rb", buffering=0) as a, open("copy", "wb", buffering=0) as b:
    while True:
        data = a.read(1000)
        if not data: break
        b.write(data)'
  [ "$status" -eq 0 ] || { echo "$output" && return 1; }
  cmp source-file copy
  [ "$(faults | how_many '.errno == "EINTR"')" -gt 500 ]
}

@test "short-io-git-keeps-what-it-is-given" {
  mkdir repo
  head -c 300000 /dev/urandom >repo/file
  with short-io /bin/sh -c 'cd repo && git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -qm words'
  [ "$status" -eq 0 ]
  clean git -C repo fsck --full --strict
  clean git -C repo show HEAD:file | cmp - repo/file
  [ "$(faults | wc -l)" -gt 5 ]
}

# A web server of nginx's on a port of these profiles.
serve() { # PORT
  port=$1
  mkdir -p tmp
  cat >origin.conf <<EOF
daemon off; master_process off; pid $place/origin.pid; error_log $place/origin.log notice;
events { worker_connections 64; }
http {
  access_log $place/access.log;
  client_body_temp_path tmp/a; proxy_temp_path tmp/b; fastcgi_temp_path tmp/c; uwsgi_temp_path tmp/d; scgi_temp_path tmp/e;
  server { listen 127.0.0.1:$port; location / { return 200 "words\n"; } }
}
EOF
  background origin.out /usr/sbin/nginx -p "$place" -c "$place/origin.conf"
  wait_for 20 listens "$port"
}
# A shipped profile with another port in its peers, so that a test needs none that is taken.
on_port() { # PROFILE
  sed "s/^peer .*/peer = 127.0.0.1:$port/" "$top/profiles/$1.ini" >"$1.ini"
  grep -q "^peer = 127" "$1.ini"
}

@test "flaky-network-curl-gets-there-with-retries" {
  serve "$(free_port)"
  local seed failed=0
  # one run in five fails; which ones, the port has a say in
  for ((seed = 1; seed <= 60 && failed == 0; seed++)); do
    with flaky-network /usr/bin/curl -sS --max-time 20 "http://127.0.0.1:$port/"
    if [ "$status" -eq 0 ]; then [ "$output" = words ]; else failed=1; fi
  done
  for seed in 1 2 3 4; do
    with flaky-network /usr/bin/curl -s --retry 8 --retry-all-errors --retry-delay 1 --max-time 30 "http://127.0.0.1:$port/"
    [ "$status" -eq 0 ] && [[ $output == *words ]]
  done
  [ "$failed" -ge 1 ]
}

@test "slow-network-curl-is-slow-and-gets-its-answer" {
  serve "$(free_port)"
  with slow-network /usr/bin/curl -sS "http://127.0.0.1:$port/"
  [ "$status" -eq 0 ] && [ "$output" = words ]
  faults | jq -e -s 'map(select(.fault == "delay")) | length >= 3'
}

@test "lossy-udp-python-misses-some-and-streams-are-whole" {
  local script='
import socket
a, b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
b.bind(("127.0.0.1", 0)); b.settimeout(0.3)
for i in range(200): a.sendto(b"%d" % i, b.getsockname())
a.close()
got = []
try:
    while True: got.append(int(b.recv(100)))
except socket.timeout: pass
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname()); d, _ = s.accept()
total = 0
for i in range(50): c.sendall(b"x" * 100)
c.close()
while True:
    data = d.recv(100)
    if not data: break
    total += len(data)
print(len(got), got != sorted(got), total)'
  [ "$(clean /usr/bin/python3 -c "$script")" = "200 False 5000" ]
  with lossy-udp /usr/bin/python3 -c "$script"
  local there order total
  read -r there order total <<<"$output"
  [ "$there" -gt 120 ] && [ "$there" -lt 196 ]
  [ "$order" = True ] && [ "$total" = 5000 ]
}

@test "dns-outage-curl-and-python-say-so" {
  serve "$(free_port)"
  with dns-outage /usr/bin/curl -sS --max-time 5 "http://$(hostname):$port/"
  [ "$status" -eq 6 ] && [[ $output == *"Could not resolve host"* ]]
  with dns-outage /usr/bin/python3 -c '
import socket
try: print(socket.getaddrinfo("localhost", 80))
except socket.gaierror as e: print(e.errno == socket.EAI_AGAIN)'
  [ "$output" = True ]
}

@test "clock-skew-date-and-python-are-ahead" {
  local now
  now=$(date +%s)
  with clock-skew /bin/date +%s
  [ $((output - now)) -ge 29 ] && [ $((output - now)) -le 240 ]
  # a wait takes as long as ever by the monotonic clock
  with clock-skew /usr/bin/python3 -c 'import time; a = time.monotonic(); time.time(); time.sleep(0.2); print(0.2 <= time.monotonic() - a < 25)'
  [ "$output" = True ]
}

@test "clock-jump-python-sees-steps-on-the-wall-clock-alone" {
  with clock-jump /usr/bin/python3 -c '
import time
wall, mono, steps, back = time.time(), time.monotonic(), 0, False
for i in range(500):
    w, m = time.time(), time.monotonic()
    steps += abs(w - wall) > 0.9
    back |= m < mono
    wall, mono = w, m
print(steps, back)'
  local steps back
  read -r steps back <<<"$output"
  [ "$steps" -ge 3 ] && [ "$back" = False ]
}

@test "slow-start-a-client-that-does-not-wait-is-refused" {
  port=$(free_port)
  background server.log "$faultshim" run -q -s 1 --expect=any -p slow-start -- /usr/bin/python3 -B -m http.server --bind 127.0.0.1 "$port"
  run clean curl -s "http://127.0.0.1:$port/"
  [ "$status" -eq 7 ]
  run clean curl -s -o /dev/null --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/"
  [ "$status" -eq 0 ]
  kill -TERM "$server"
  wait_for 20 gone "$server"
  [ "$(faults | how_many '.call == "bind" or .call == "listen"')" -ge 2 ]
}

@test "api-rate-limited-curl-waits-and-gets-there" {
  serve "$(free_port)"
  on_port api-rate-limited
  local seed limited=0
  for seed in 1 2 3 4 5; do
    with ./api-rate-limited.ini /usr/bin/curl -sS -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/"
    [ "$output" = 200 ] || [ "$output" = 429 ]
    if [ "$output" = 429 ]; then limited=$((limited + 1)); fi
  done
  [ "$limited" -ge 1 ]
  seed=2 with ./api-rate-limited.ini /usr/bin/curl -s --retry 12 -w '%{http_code}' "http://127.0.0.1:$port/"
  [ "$status" -eq 0 ] && [[ $output == *words*200 ]]
}

@test "api-timeout-curl-gives-up-when-it-is-told-to" {
  serve "$(free_port)"
  on_port api-timeout
  local seed silent=0
  for seed in 1 2 3 4 5; do
    with ./api-timeout.ini /usr/bin/curl -sS --max-time 1 "http://127.0.0.1:$port/"
    [ "$status" -eq 0 ] || [ "$status" -eq 28 ]
    if [ "$status" -eq 28 ]; then silent=$((silent + 1)); fi
  done
  [ "$silent" -ge 1 ] && [ "$silent" -le 5 ]
}

@test "tool-crash-bash-and-python-hear-of-it" {
  with tool-crash /bin/bash -c 'for ((i = 0; i < 40; i++)); do /bin/true; echo $?; done'
  local bad
  bad=$(grep -cE '^(1|137|126|127)$' <<<"$output")
  [ "$bad" -ge 2 ] && [ "$bad" -le 25 ]
  with tool-crash /usr/bin/python3 -c '
import subprocess
bad = 0
for i in range(30):
    try: bad += subprocess.run(["/bin/true"]).returncode != 0
    except OSError: bad += 1
print(bad)'
  [ "$output" -ge 1 ] && [ "$output" -le 25 ]
}

# --- by rate ---

@test "basic-redis-answers-everything-and-loses-nothing" {
  local port i
  port=$(free_port)
  background redis.log "$faultshim" run -q -s 1 -p basic -o redis.trace -- /usr/bin/redis-server --port "$port" --bind 127.0.0.1 --save '' \
    --appendonly yes --appendfsync everysec --dir "$place"
  wait_for 20 listens "$port"
  for ((i = 1; i <= 500; i++)); do echo "set key$i value$i"; done | clean redis-cli -p "$port" >answers
  [ "$(grep -c OK answers)" -eq 500 ]
  [ "$(clean redis-cli -p "$port" get key321)" = value321 ]
  clean redis-cli -p "$port" shutdown || true
  wait_for 20 gone "$server"
  [ "$(faults redis.trace | wc -l)" -ge 3 ]
  background again.log /usr/bin/redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly yes --dir "$place"
  wait_for 20 listens "$port"
  [ "$(clean redis-cli -p "$port" dbsize)" = 500 ]
}

# --- by course, measured on transactions of SQLite: their numbers are those of the lines ---

# Which rows could not be written, under a profile: missing PROFILE ROWS; the file is whole in any case.
missing() {
  inserts 0 | sqlite "$1.db"
  inserts "$2" | sed 1d >script.sql
  with "$1" /usr/bin/sqlite3 "$1.db" <script.sql # standard input is left alone
  [ "$status" -lt 120 ]
  [ "$(sqlite "$1.db" 'pragma integrity_check')" = ok ]
  grep -oE 'near line [0-9]+' <<<"$output" | grep -oE '[0-9]+' | sort -n -u
}

@test "gradual-degradation-sqlite-fails-more-and-more" {
  missing gradual-degradation 400 >failed
  # well at first, then now and then, then mostly
  [ "$(awk '$1 <= 50' failed | wc -l)" -eq 0 ]
  [ "$(awk '$1 > 50 && $1 <= 200' failed | wc -l)" -lt "$(awk '$1 > 250' failed | wc -l)" ]
  [ "$(sqlite gradual-degradation.db 'select count(*) from t')" -ge 50 ]
}

@test "sudden-failure-sqlite-writes-nothing-any-more" {
  missing sudden-failure 300 >failed
  # from the first that failed all did
  diff failed <(seq "$(head -n 1 failed)" 300)
  [ "$(sqlite sudden-failure.db 'select count(*) from t')" -eq $(($(head -n 1 failed) - 1)) ]
}

@test "intermittent-sqlite-fails-now-and-then-and-goes-on" {
  missing intermittent 300 >failed
  [ "$(wc -l <failed)" -ge 5 ] && [ "$(wc -l <failed)" -le 150 ]
  # between the bad moments all is well
  [ "$(awk '$1 - last > 20 { n++ } { last = $1 } END { print n + 0 }' failed)" -ge 3 ]
}

@test "cascading-sqlite-meets-one-trouble-after-the-other" {
  missing cascading 400 >failed
  [ "$(wc -l <failed)" -ge 10 ]
  grep -q 'disk I/O error' <<<"$output"
  faults | jq -r .rule >rules
  [ "$(head -n 1 rules)" = cascading-slow-disk ]
  grep -q cascading-writes rules && grep -q cascading-memory rules
}
