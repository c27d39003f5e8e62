#!/usr/bin/env bash
# The tests of Tcl's core, with the installed tclsh, bare and under the shim. How it is called: common.bash.
set -eu -o pipefail
suite=tcl
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.bash"

# files of tests; `language` is all those that have no line of their own
quick=(cmdAH event exec fCmd fileName fileSystem http http11 ioCmd ioTrans iogt pid pwd unixFCmd unixInit zlib)
all=(chan chanio clock cmdAH cmdMZ encoding env event exec fCmd fileName fileSystem http http11 httpPipeline httpold interp io ioCmd
  ioTrans iogt load main pid pwd regexp safe socket source tcltest thread timer unixFCmd unixFile unixInit unixNotfy zlib language)

known['env/env-[234].*']="the environment of a child holds LD_PRELOAD and FAULTSHIM_SESSION"
known[cmdMZ/cmdMZ-6.6]="measures time"

prepare() {
  fetch_source tcl8.6 tcl8.6
  become nobody
  rm -rf "$place/tests"
  cp -r "$source/tests" "$place/tests"
  chmod -R go=u-w "$place/tests"
}

outcomes() { # HOW UNIT FILE
  local which=(-file "$2.test")
  [ "$2" != language ] || which=(-notfile "l.*.test $(printf '%s.test ' "${all[@]}")")
  within "$1" "$3" 300 tclsh8.6 "$place/tests/all.tcl" "${which[@]}" -verbose pstbe
  # lines "++++ NAME PASSED", "++++ NAME SKIPPED: WHY", "==== NAME WORDS FAILED"
  sed -nE 's/^\+\+\+\+ ([^ ]+) PASSED$/\1 ok/p; s/^\+\+\+\+ ([^ ]+) SKIPPED: .*/\1 skipped/p; s/^==== ([^ ]+) FAILED$/\1 failed/p' \
    "$3.log" | number >"$3"
  ended "$3"
}

compat "$@"
