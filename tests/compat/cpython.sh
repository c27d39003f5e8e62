#!/usr/bin/env bash
# Modules of CPython's own test suite, bare and under the shim. How it is called: common.bash.
set -eu -o pipefail
suite=cpython
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.bash"
python=/usr/bin/python3.11

quick=(test_fileio test_file test_os test_posix test_select test_thread test_time test_mmap test_tempfile test_shutil test_fork1
  test_poll test_epoll test_resource test_random)
all=(test_io test_fileio test_file test_os test_posix test_socket test_ssl test_select test_selectors test_asyncio test_subprocess
  test_threading test_thread test_time test_signal test_mmap test_sqlite3 test_tempfile test_shutil test_multiprocessing_spawn
  test_multiprocessing_fork test_concurrent_futures test_fork1 test_poll test_epoll test_resource test_random test_faulthandler
  test_pty test_openpty test_wait3 test_wait4 test_httplib test_largefile test_dbm test_logging test_ftplib
  test_locale test_ctypes test_posixpath test_glob test_pathlib test_zipfile test_tarfile test_urllib2_localnet)

known['test_subprocess/*POSIXProcessTestCase.test_pass_fds_redirected']="fstat shows the descriptor of the session, which every process has"

# Debian packs the tests without those of sqlite3: these are taken from the source.
prepare() {
  if ! "$python" -c 'import test.test_io' 2>/dev/null; then
    "$top/tools/install-deps.sh" >&2 || complain "the tests of CPython can't be installed"
  fi
  case " ${units[*]} " in
  *" test_sqlite3 "*)
    fetch_source python3.11 libpython3.11-testsuite
    mkdir -p "$source/alone"
    ln -sfn ../Lib/test "$source/alone/test"
    ;;
  esac
}

outcomes() { # HOW UNIT FILE
  rm -f "$3.xml"
  extra=()
  [ "$2" != test_sqlite3 ] || extra=(PYTHONPATH="$source/alone")
  # sockets of virtual machines hang where there is no host to answer
  within "$1" "$3" 960 "$python" -m test --timeout 900 --junit-xml "$3.xml" -i '*VSOCK*' -v "$2"
  "$python" - "$3.xml" >"$3" <<'END'
import sys, xml.etree.ElementTree as tree
try:
    cases = list(tree.parse(sys.argv[1]).getroot().iter("testcase"))
except (OSError, tree.ParseError):
    cases = []
for case in cases:
    how = [c.tag for c in case if c.tag in ("failure", "error", "skipped")]
    how = how[0] if how else case.get("result", "completed")
    print("_".join(case.get("name").split()), "ok" if how == "completed" else how)
END
  ended "$3"
}

compat "$@"
