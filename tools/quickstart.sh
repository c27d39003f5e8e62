#!/usr/bin/env bash
# From a bare Debian with git to faults in a real program: installs packages, builds, then lets redis-server lose a sync, and shows
# the card, the log and the replay. As root or through sudo; nothing is installed but Debian's packages, no service is started.
#
#   tools/quickstart.sh
set -eu -o pipefail
top=$(realpath "$(dirname "$0")/..")
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
build=$top/build/quickstart

step() {
  printf '\n== %s\n' "$*"
}
show() { # a command: print it the way one would type it, then run it
  printf '\n$ %s\n' "${*//$build\/tools\//}"
  "$@"
}
quietly() { # WHAT COMMAND...: its noise only if it fails
  local log
  log=$(mktemp)
  if ! "${@:2}" >"$log" 2>&1 </dev/null; then
    cat "$log"
    echo "quickstart: could not $1" >&2
    exit 1
  fi
  rm -f "$log"
}

step "1. Debian packages: a compiler, meson, the libraries, redis-server and sqlite3"
quietly "install the packages" bash "$top/tools/install-deps.sh" --build

step "2. Build in build/quickstart"
[ -e "$build/build.ninja" ] || quietly "configure the build" meson setup "$build" "$top" -Dtests=false
quietly "build" ninja -C "$build"
faultshim=$build/tools/faultshim
"$faultshim" --version

place=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$place"
}
trap cleanup EXIT
cd "$place"

step "3. A real program: redis-server, told to sync every write to disk before it answers"
cat <<'WORDS'
The shipped profile fsync-fails lets one sync in five fail. Redis promises, with appendfsync always, that what it has answered
is on disk; so when a sync fails it must not answer, and its manual says that it ends. A profile of our own is joined with it:
no fault in the first 300 ms, so that the server is up before its disk goes bad.
WORDS
printf '[faultshim]\nheadstart = 300ms\n' >up-first.ini
show cat "$top/profiles/fsync-fails.ini"
show cat up-first.ini
for ((port = 20000 + $$ % 10000; ; port++)); do
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
done
redis=(/usr/bin/redis-server --port "$port" --bind 127.0.0.1 --appendonly yes --appendfsync always --logfile redis.log)

# The client's side, always the same: one connection, one write at a time, until the server is gone.
client() {
  local i
  for ((i = 0; i < 100; i++)); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  sleep 0.5
  for ((i = 1; i <= 100; i++)); do echo "set key$i value$i"; done | redis-cli -p "$port" >answers 2>&1 || true
  kill "$server" 2>/dev/null || true
  wait "$server" || true
  server=
}

printf '\n$ faultshim run -p fsync-fails -p ./up-first.ini --seed 11 -o run.trace -- %s\n' "${redis[*]}"
"$faultshim" run -p fsync-fails -p ./up-first.ini --seed 11 -o run.trace -- "${redis[@]}" &
server=$!
client
printf '\nWrites that were answered: %s. The last words of the server:\n' "$(grep -c '^OK' answers || true)"
tail -n 3 redis.log

step "4. What was decided: the faults, and the count of all decisions"
show "$faultshim" log --faults run.trace
show "$faultshim" log -c run.trace
show "$faultshim" verify run.trace

step "5. The replay: the same server again; what was recorded is applied, nothing is drawn"
rm -rf appendonlydir
printf '\n$ faultshim replay -o again.trace run.trace\n'
"$faultshim" replay -o again.trace run.trace &
server=$!
client
show "$faultshim" log --faults again.trace

step "6. Another program, another bad day: sqlite3 under short reads and writes"
{
  echo 'pragma synchronous = off; create table t (id integer primary key, words text);'
  for ((i = 1; i <= 2000; i++)); do echo "insert into t (words) values ('row $i');"; done
  echo 'select count(*) from t; pragma integrity_check;'
} >script.sql
show "$faultshim" run -r 'calls=@file.write probability=20% fault=short' --seed 7 -o sqlite.trace -- \
  /usr/bin/sqlite3 test.db '.read script.sql'
echo "All rows are there and the file is whole: sqlite3 takes short writes as it should."

step "Done"
cat <<WORDS
The command is $faultshim; 'faultshim --help' and the manual pages in man/ tell the rest.
Try it on a program of yours:

  $faultshim run -p basic -- ./your-program
  $faultshim log --faults
WORDS
