#!/usr/bin/env bash
# The regression tests of PostgreSQL, with Debian's server, bare and under the shim: pg_regress, the cluster that it makes, the server and
# its processes, and the clients that run the tests side by side. How it is called: common.bash.
set -eu -o pipefail
suite=postgres
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.bash"
version=15

# the schedules of the source
all=(parallel_schedule)

prepare() {
  fetch_source "postgresql-$version" "postgresql-$version"
  become nobody
  rm -rf "$place/regress"
  cp -r "$source/src/test/regress" "$place/regress"
  chmod -R go=u-w "$place/regress"
}

# Functions in C of the tests' own are not built: what is made of them fails, with and without the shim.
outcomes() { # HOW UNIT FILE
  local at=/usr/lib/postgresql/$version
  within "$1" "$3" 1200 "$at/lib/pgxs/src/test/regress/pg_regress" --temp-instance="$place/tmp/instance" --bindir="$at/bin" \
    --inputdir="$place/regress" --outputdir="$place/tmp" --dlpath="$place/regress" --no-locale --encoding=UTF8 \
    --max-connections=8 --schedule="$place/regress/$2"
  # lines "test NAME ... ok  12 ms", "     NAME ... FAILED  12 ms"
  sed -nE 's/^(test| ) +([a-z0-9_.]+) +\.\.\. (ok|FAILED)( .*)?$/\2 \3/p' "$3.log" | number >"$3"
  ended "$3"
}

compat "$@"
