#!/usr/bin/env bats
# Debian's PostgreSQL, as its own user, who may not write the trace: cluster, start, queries, stop.

load ../common

prepare() {
  bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -n 1)
  # a place that the server's own user can reach, whatever the mode of the folders above this one
  data=$(mktemp -d /tmp/faultshim-postgres.XXXXXX)
  if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$data"
    as=(/usr/sbin/runuser -u postgres --)
  else
    as=(/usr/bin/env)
  fi
  make_reachable
}

# common's, and the place outside
teardown() {
  end_servers
  rm -rf "$reachable"
  if [ -n "${data-}" ]; then rm -rf "$data"; fi
}

@test "postgres-works-as-without-the-shim" {
  local how port front=()
  for how in bare shimmed; do
    port=$(free_port)
    if [ $how = shimmed ]; then front=("$faultshim" run -q -s 1 -o server.trace -r "$everything" --); fi
    clean timeout 100 "${front[@]/server.trace/initdb.trace}" "${as[@]}" "$bin/initdb" -D "$data/$how" -A trust -U postgres -N --no-locale -E UTF8 \
      >$how.initdb 2>&1 || { cat $how.initdb && return 1; }
    background $how.log "${front[@]}" "${as[@]}" "$bin/postgres" -D "$data/$how" -k "$data" -p "$port" \
      -c listen_addresses=127.0.0.1 -c max_parallel_workers=4
    wait_for 40 clean "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" || { cat $how.log && return 1; }
    cat >script.sql <<'END'
create table t (id serial primary key, n int, words text);
insert into t (n, words) select i, repeat('words ' || i, 10) from generate_series(1, 20000) i;
create index on t (n);
checkpoint;
select count(*), sum(n), md5(string_agg(words, '' order by id)) from t;
update t set n = -n where n % 3 = 0;
vacuum analyze t;
begin; delete from t; rollback;
select count(*) from t where n < 0;
explain (costs off) select * from t where n = 5;
END
    clean timeout 60 "$bin/psql" -X -q -h 127.0.0.1 -p "$port" -U postgres -f script.sql >$how.out 2>&1
    clean timeout 60 "$bin/psql" -X -q -h "$data" -p "$port" -U postgres -c 'select 6 * 7 as answer' >>$how.out 2>&1
    kill -INT "$(head -n 1 "$data/$how/postmaster.pid")"
    wait_for 40 gone "$server"
  done
  diff bare.out shimmed.out
  grep -q 42 bare.out
  run fs verify -q initdb.trace
  [ "$status" -eq 0 ] || { echo "verify of initdb: $output" && return 1; }
  run fs verify -q server.trace
  [ "$status" -eq 0 ] || { echo "verify: $output" && return 1; }
  # its many processes are in the trace, though none of them could have opened it
  [ "$(fs log --json server.trace | jq -r .process | sort -u | wc -l)" -ge 6 ]
}

# "PANIC: could not fdatasync file": PostgreSQL does not try again, and its log holds what was answered.
@test "postgres-panics-on-a-failed-sync-of-its-log-and-keeps-what-it-has-answered" {
  local port answered
  port=$(free_port)
  clean timeout 100 "${as[@]}" "$bin/initdb" -D "$data/c" -A trust -U postgres -N --no-locale -E UTF8 >initdb.log 2>&1 || { cat initdb.log && return 1; }
  background first.log "$faultshim" run -s 1 -o server.trace --log card -r 'calls=@file.sync path=**/pg_wal/* nth=30 fault=fsync-fail' -- \
    "${as[@]}" "$bin/postgres" -D "$data/c" -k "$data" -p "$port" -c listen_addresses=127.0.0.1 -c restart_after_crash=off
  wait_for 40 clean "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" || { cat first.log && return 1; }
  { echo 'create table t (n int);' && printf 'insert into t values (%d) returning n;\n' {1..60}; } >script.sql
  clean timeout 60 "$bin/psql" -X -q -t -A -h 127.0.0.1 -p "$port" -U postgres -f script.sql >answers 2>psql.log || true
  wait_for 60 gone "$server"
  grep -q 'PANIC:  could not fdatasync file' first.log || { cat first.log && return 1; }
  answered=$(grep -cE '^[0-9]+$' answers)
  [ "$answered" -ge 10 ] && [ "$answered" -lt 60 ]
  grep -qE "gone with a failed sync: [0-9]+ pages? of $data/c/pg_wal/" card || { cat card && return 1; }
  # as after a new start of the machine
  background second.log "${as[@]}" "$bin/postgres" -D "$data/c" -k "$data" -p "$port" -c listen_addresses=127.0.0.1
  wait_for 40 clean "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" || { cat second.log && return 1; }
  clean "$bin/psql" -X -q -t -A -h 127.0.0.1 -p "$port" -U postgres -c 'select n from t order by n' >rows
  kill -INT "$(head -n 1 "$data/c/postmaster.pid")"
  wait_for 40 gone "$server"
  # nothing that was answered is missing, and what was not answered went with the failed sync
  diff <(grep -E '^[0-9]+$' answers) rows
  fs verify -q server.trace
}

# https://www.postgresql.org/docs/15/runtime-config-error-handling.html: with data_sync_retry off "PostgreSQL will raise a PANIC-level error
# on failure to flush modified data files to the file system"; and of the WAL, nothing else can be done in any case. It then recovers.
@test "postgres-panics-when-a-sync-fails-and-recovers-whole" {
  local where port psql
  port=$(free_port)
  psql=("$bin/psql" -X -q -A -t -h "$data" -p "$port" -U postgres)
  clean timeout 100 "${as[@]}" "$bin/initdb" -D "$data/db" -A trust -U postgres -N --no-locale -E UTF8 >initdb.log 2>&1
  for where in pg_wal base; do
    cat >p.ini <<END
[rule sync]
calls = fsync, fdatasync
path  = **/$where/**
on    = mark now
times = 1
fault = fsync-fail
END
    background $where.log "$faultshim" run -q -s 1 -o $where.trace -p p.ini -- "${as[@]}" "$bin/postgres" -D "$data/db" -k "$data" -p "$port" \
      -c listen_addresses= -c max_parallel_workers=0 -c autovacuum=off
    wait_for 40 clean "$bin/pg_isready" -q -h "$data" -p "$port" || { cat $where.log && return 1; }
    clean timeout 60 "${psql[@]}" -c "create table t_$where (n int)" -c "insert into t_$where select generate_series(1, 5000)" -c checkpoint
    fs ctl -o $where.trace mark now
    # neither is answered
    ! clean timeout 60 "${psql[@]}" -c "insert into t_$where values (0)" -c checkpoint >answer 2>&1
    wait_for 40 recovered || { cat $where.log && return 1; }
    [ "$(clean timeout 60 "${psql[@]}" -c "select count(*) from t_$where where n > 0")" = 5000 ]
    kill -INT "$(head -n 1 "$data/db/postmaster.pid")"
    wait_for 40 gone "$server"
    grep -qE 'PANIC: +could not (fsync|fdatasync) file' $where.log || { cat $where.log && return 1; }
    [ "$(faults $where.trace | how_many '.fault == "fsync-fail" and .errno == "EIO"')" -eq 1 ]
  done
}
recovered() {
  clean timeout 10 "${psql[@]}" -c 'select 1' && grep -q 'all server processes terminated; reinitializing' "$where.log"
}
