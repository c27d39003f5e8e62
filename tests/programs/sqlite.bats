#!/usr/bin/env bats
# Debian's sqlite3: transfers that are short or interrupted are made good; a full disk is reported, and the file stays whole.

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

@test "sqlite-ten-thousand-inserts-under-short-writes-and-eintr" {
  { echo 'pragma synchronous = off;' && inserts 10000; } >script.sql
  run fs run -q -s 7 -r 'calls=@file.write probability=2% fault=short' -r 'calls=@file.write probability=2% fault=error:EINTR' -- \
    /usr/bin/sqlite3 -bail test.db '.read script.sql'
  [ "$status" -eq 0 ] || { echo "$output" && return 1; }
  [ "$(sqlite test.db 'select count(*) from t')" = 10000 ]
  [ "$(sqlite test.db 'pragma integrity_check')" = ok ]
  [ "$(faults | how_many '.fault == "short"')" -gt 100 ]
  [ "$(faults | how_many '.errno == "EINTR"')" -gt 100 ]
  fs verify -q
}

@test "sqlite-reports-a-full-disk-and-its-file-is-intact" {
  local nth count
  inserts 40 >script.sql
  for nth in 1 2 5 9 20 33 50 77 100; do
    rm -f test.db*
    run fs run -q -s 1 --expect=any -r "calls=@file.write path=$place/test.db* nth=$nth+ fault=error:ENOSPC" -- \
      /usr/bin/sqlite3 -bail test.db '.read script.sql'
    [ "$status" -ne 0 ] || { echo "nth=$nth: status 0" && return 1; }
    [[ $output == *"disk is full"* || $output == *"disk I/O error"* ]] || { echo "nth=$nth: $output" && return 1; }
    # as the next program finds it
    [ "$(sqlite test.db 'pragma integrity_check')" = ok ]
    count=$(sqlite test.db 'select count(*) from t' 2>/dev/null || echo 0)
    [ "$count" -lt 40 ]
  done
}

@test "sqlite-reports-one-failed-write-as-a-full-disk" {
  inserts 40 >script.sql
  run fs run -q -s 1 -r "calls=@file.write path=$place/test.db nth=12 fault=error:ENOSPC" -- /usr/bin/sqlite3 test.db '.read script.sql'
  [[ $output == *"database or disk is full"* ]]
  [ "$(sqlite test.db 'pragma integrity_check')" = ok ]
  [ "$(sqlite test.db 'select count(*) from t')" = 39 ]
}

@test "sqlite-survives-a-crash-at-any-write" {
  local nth
  inserts 10 >script.sql
  for nth in 3 8 13 21 34; do
    rm -f test.db*
    run fs run -q -s "$nth" --expect=any -r "calls=@file.write path=$place/test.db* nth=$nth fault=crash:during fault=crash:before" -- \
      /usr/bin/sqlite3 test.db '.read script.sql'
    [ "$(sqlite test.db 'pragma integrity_check')" = ok ]
  done
}

@test "sqlite-works-as-without-the-shim" {
  inserts 500 >script.sql
  echo "select count(*), sum(length(words)), max(id) from t; vacuum; pragma integrity_check; pragma journal_mode = wal;
    insert into t (words) values ('more'); select count(*) from t;" >>script.sql
  sqlite a.db '.read script.sql' >bare.out
  fs run -q -s 1 -r "$everything" -- /usr/bin/sqlite3 b.db '.read script.sql' >shimmed.out
  diff bare.out shimmed.out
  cmp <(sqlite a.db .dump) <(sqlite b.db .dump)
  fs verify -q
}
