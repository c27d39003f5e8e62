#!/usr/bin/env bash
# Installs the Debian packages that faultshim needs: to be built (--build), to be tested on other people's programs (default), and to run
# all of other people's test suites under it (--compat).
# As root, or through sudo. Starts no service: what is installed here is run by the tests, on their own ports and folders.
#
#   tools/install-deps.sh [--build | --compat]
set -eu -o pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

build=(git gcc libc6-dev meson ninja-build pkg-config libinih-dev libunwind-dev libelf-dev libdw-dev libzydis-dev libjson-c-dev libarchive-dev nettle-dev libzstd-dev mandoc)
# shown by the quick start
demo=(redis-server redis-tools sqlite3)
tests=(
  g++ clang libclang-rt-14-dev clang-format cppcheck shellcheck bats libcmocka-dev jq procps valgrind libc6-dbg zstd
  libjemalloc-dev libjemalloc2 libcap2-bin musl-tools nginx memcached curl python3 postgresql nodejs default-jre-headless
  lua5.4 libxml2-utils strace rsync gnupg vim make perl openssh-client
  python3-jsonschema python3-yaml parallel slurm-wlm munge
  strace rsync gnupg vim make perl openssh-client binutils libdebuginfod1 chromium
  strace rsync gnupg vim make perl openssh-client openssh-server haproxy faketime fiu-utils
  dpkg-dev python3.11 libpython3.11-testsuite tcl8.6 stress-ng
)
# for what tests/run.sh --all runs of other people's tests, and nothing else
compat=(tcl8.6-dev)
case ${1-} in
'') wanted=("${build[@]}" "${demo[@]}" "${tests[@]}") ;;
--build) wanted=("${build[@]}" "${demo[@]}") ;;
--compat) wanted=("${build[@]}" "${demo[@]}" "${tests[@]}" "${compat[@]}") ;;
*) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac

# Some Java serves as well as the one that is the default; asking for that one would only download a second.
have_java() { [ -x /usr/bin/java ]; }

missing=()
for package in "${wanted[@]}"; do
  if [ "$package" = default-jre-headless ] && have_java; then continue; fi
  state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  [ "${state% }" = ii ] || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
  echo "install-deps: all ${#wanted[@]} packages are there"
  exit 0
fi

root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-deps: must be root, or have sudo, to install: ${missing[*]}" >&2; exit 1; }
  root=(sudo "DEBIAN_FRONTEND=$DEBIAN_FRONTEND" "LC_ALL=$LC_ALL")
fi

# Debian starts a service as soon as it is installed, unless this file says no (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
fi

echo "install-deps: installing ${missing[*]}"
"${root[@]}" apt-get -q update
"${root[@]}" apt-get -q -y --no-install-recommends install "${missing[@]}"
