#!/usr/bin/env bash
# SQLite's own tests of files, journals, locks, crashes and threads, bare and under the shim, with its test program built from Debian's
# source (tools/install-deps.sh --compat). How it is called: common.bash.
set -eu -o pipefail
suite=sqlite
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.bash"

# files of tests by group, as globs
declare -A group=(
  [io]='io ioerr* diskfull sync* fallocate bigfile* chunksize filectrl filefmt oserror sysfault syscall symlink* tempdb* 8_3_names
    delete_db zerodamage rdonly openv2 uri* nolock superlock'
  [pager]='pager[1-9] journal* rollback* savepoint savepoint[2357] subjournal trans trans3 atomic* cacheflush'
  [layers]='multiplex* quota* async* avfs manydb memsubsys*'
  [wal]='wal wal[1245679]* walb* walc* walh* walm* waln* walo* walpe* walr* wals[he]* walt* walv*'
  [locks]='lock* exclusive* shared* unixexcl busy* notify* mutex* thread*'
  [crashes]='crash[3-8] crashM'
  [mmap]='mmap*'
  [copies]='backup* vacuum* autovacuum* incrblob* snapshot* zipfile* attach*'
)
all=(io pager layers wal locks crashes mmap copies)

prepare() {
  local log
  [ -e /usr/include/tcl8.6/tcl.h ] || "$top/tools/install-deps.sh" --compat >&2 || complain "Tcl's headers can't be installed"
  fetch_source sqlite3 sqlite3
  if [ ! -x "$source/made/testfixture" ]; then
    log=$source/made/build.log
    mkdir -p "$source/made"
    (cd "$source/made" && CFLAGS='-O1' ../configure --with-tcl=/usr/lib/tcl8.6 --disable-readline --disable-amalgamation --disable-shared &&
      timeout -k 5 900 make -j2 testfixture) >"$log" 2>&1 || { tail -n 20 "$log" >&2 && complain "the tests of SQLite can't be built"; }
  fi
  become nobody
  rm -rf "$place/sqlite"
  mkdir "$place/sqlite"
  cp -r "$source/made/testfixture" "$source/test" "$source/ext" "$place/sqlite"
  chmod -R go=u-w "$place/sqlite"
}

# these take a minute and more each
slow='walcrash3 walfault walslow walthread thread003 shared_err'

outcomes() { # HOW UNIT FILE
  local globs
  read -r -d '' -a globs <<<"${group[$2]}" || true
  # shellcheck disable=SC2016  # a script for another shell
  within "$1" "$3" 2400 bash -c 'top=$1 slow=$2
shift 2
for glob; do
  for file in "$top"/test/$glob.test; do
    name=${file##*/}
    case " $slow " in *" ${name%.test} "*) continue ;; esac
    echo "file: $name"
    rm -rf ./*
    timeout -k 5 400 "$top/testfixture" "$file" || echo "! $name expected: an end, not $?"
  done
done' sqlite "$place/sqlite" "$slow" "${globs[@]}"
  # lines "NAME... Ok", some behind dots of progress, and "! NAME expected: ..."
  sed -nE 's/^\.+([^.])/\1/; s/^([^ ]+)\.\.\. Ok$/\1 ok/p; s/^! ([^ ]+) expected: .*/\1 failed/p; s/^file: (.*)/\1 ok/p' "$3.log" | number >"$3"
  ended "$3"
}

compat "$@"
