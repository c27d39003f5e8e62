#!/usr/bin/env bash
# Runs modules of CPython's own test suite bare and then under the shim, with a rule on every family that never fires, and prints each
# test whose outcome is not the same. What differs once is run again both ways: what then agrees is a test that depends on the moment.
# The exit status is 1 if something differs, 2 if it could not be found out.
#
#   tests/compat/cpython.sh [--quick] [--build FOLDER] [--keep FOLDER] [MODULE...]
#
#   --quick         a choice of modules that takes less than three minutes
#   --build FOLDER  the build to take faultshim from (build/gcc)
#   --keep FOLDER   leave outputs, results and traces there
#   MODULE          these modules and no others
#
# Installs libpython3.11-testsuite if it is missing (tools/install-deps.sh --compat).
set -eu -o pipefail

top=$(realpath "$(dirname "$0")/../..")
python=/usr/bin/python3.11
export LC_ALL=C.UTF-8
unset LD_PRELOAD "${!FAULTSHIM_@}" "${!PYTHON@}"

usage() {
  sed -n '2,13s/^# \{0,1\}//p' "$0"
  exit "$1"
}

quick=(test_io test_fileio test_file test_os test_posix test_select test_thread test_time test_mmap test_tempfile
  test_shutil test_fork1 test_poll test_epoll test_resource test_random)
all=(test_io test_fileio test_file test_os test_posix test_socket test_ssl test_select test_selectors test_asyncio test_subprocess
  test_threading test_thread test_time test_signal test_mmap test_tempfile test_shutil test_multiprocessing_spawn
  test_multiprocessing_fork test_concurrent_futures test_fork1 test_poll test_epoll test_resource test_random test_faulthandler
  test_pty test_openpty test_wait3 test_wait4 test_httplib test_largefile test_dbm test_logging test_ftplib
  test_locale test_ctypes test_posixpath test_glob test_pathlib test_zipfile test_tarfile test_urllib2_localnet)

# What is known to differ, and why.
declare -A known=(
  # fstat shows the descriptor of the session, which is there in every process
  [test.test_subprocess.POSIXProcessTestCase.test_pass_fds_redirected]=1
)

modules=() build=$top/build/gcc keep=
while [ $# -gt 0 ]; do
  case $1 in
  --quick) modules+=("${quick[@]}") ;;
  --build) build=$(realpath "${2:?--build needs a folder}") && shift ;;
  --keep) keep=$(realpath -m "${2:?--keep needs a folder}") && shift ;;
  --help) usage 0 ;;
  -*) usage 2 >&2 ;;
  *) modules+=("$1") ;;
  esac
  shift
done
[ "${#modules[@]}" -gt 0 ] || modules=("${all[@]}")

faultshim=$build/tools/faultshim
[ -x "$faultshim" ] || { echo "cpython: $faultshim is not there: build first, or --build FOLDER" >&2 && exit 2; }
if ! "$python" -c 'import test.test_io' 2>/dev/null; then
  "$top/tools/install-deps.sh" --compat >&2 || exit 2
fi

place=${keep:-$(mktemp -d "${TMPDIR:-/tmp}/faultshim-cpython.XXXXXX")}
mkdir -p "$place/home" "$place/tmp"
[ -n "$keep" ] || trap 'rm -rf "$place"' EXIT

cat >"$place/all.ini" <<'END'
[rule everything]
calls       = @file @net @pipe @memory @time @process @random
probability = 0
fault       = delay 1ms
END

# One module: how its tests came out goes to FILE, one line each. HOW is bare or shimmed.
outcomes() { # HOW MODULE FILE
  local command=() status=0
  rm -f "$3.xml"
  if [ "$1" = shimmed ]; then
    command=("$faultshim" run -q -s 1 '--expect=any' -o "$3.trace" -p "$place/all.ini" --)
  fi
  # sockets of virtual machines hang where there is no host to answer
  command+=("$python" -m test --timeout 150 --junit-xml "$3.xml" -i '*VSOCK*' -v "$2")
  # nothing of the caller's: no terminal, no descriptors, no environment
  (cd "$place/tmp" && env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$place/home" TMPDIR="$place/tmp" LC_ALL=C.UTF-8 \
    timeout -k 10 420 "${command[@]}") >"$3.log" 2>&1 </dev/null || status=$?
  "$python" - "$3.xml" "$status" >"$3" <<'END'
import sys, xml.etree.ElementTree as tree
try:
    cases = tree.parse(sys.argv[1]).getroot().iter("testcase")
except (OSError, tree.ParseError):
    cases = []
for case in cases:
    bad = [c.tag for c in case if c.tag in ("failure", "error", "skipped")]
    print(case.get("name").replace(" ", "_"), bad[0] if bad else case.get("result", "completed"))
print("exit", sys.argv[2])
END
  sort -o "$3" "$3"
}

# The tests that came out otherwise, as "TEST: OUTCOME bare, OUTCOME under the shim". The exit status follows from them: it is told
# only if nothing else is.
compare() { # BARE SHIMMED
  join -a 1 -a 2 -e missing -o 0,1.2,2.2 "$1" "$2" | {
    told='' status=''
    while read -r name bare shimmed; do
      if [ "$bare" = "$shimmed" ]; then continue; fi
      line="$name: $bare bare, $shimmed under the shim"
      if [ "$name" = exit ]; then
        status=$line
      else
        told=yes
        [ -n "${known[$name]-}" ] || echo "$line"
      fi
    done
    [ -n "$told" ] || [ -z "$status" ] || echo "$status"
  }
}

different=0 tests=0 unsteady=0
for module in "${modules[@]}"; do
  start=$SECONDS
  if ! "$python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("test." + sys.argv[1]))' "$module"; then
    echo "$module: not in this package"
    continue
  fi
  for how in bare shimmed; do
    outcomes "$how" "$module" "$place/$module.$how"
  done
  ran=$(($(wc -l <"$place/$module.bare") - 1))
  tests=$((tests + ran))
  compare "$place/$module.bare" "$place/$module.shimmed" >"$place/$module.first"
  if [ -s "$place/$module.first" ]; then
    for how in bare shimmed; do
      outcomes "$how" "$module" "$place/$module.$how-again"
    done
    compare "$place/$module.bare-again" "$place/$module.shimmed-again" >"$place/$module.second"
    sort "$place/$module.second" | comm -12 <(sort "$place/$module.first") - >"$place/$module.differs"
    unsteady=$((unsteady + $(wc -l <"$place/$module.first") - $(wc -l <"$place/$module.differs")))
  else
    : >"$place/$module.differs"
  fi
  n=$(wc -l <"$place/$module.differs")
  echo "$module: $ran tests, $n differ, $((SECONDS - start)) s"
  sed 's/^/    /' "$place/$module.differs"
  different=$((different + n))
  rm -f "$place/$module".*.trace
done
echo "$tests tests in ${#modules[@]} modules: $different differ, $unsteady more differed in one of two runs"
[ "$tests" -gt 0 ] || exit 2
[ "$different" -eq 0 ]
