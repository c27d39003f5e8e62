#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests; works on a bare Debian with git. Prints one line for each test and at the end
# "N passed, N failed, N skipped"; the exit status is 0 if none failed.
#
#   tests/run.sh [--only GLOB]... [--list] [--all] [--no-install] [--build FOLDER]
#
#   --only GLOB     only tests whose name matches, as --list prints them (cases/rules/*, unit/draw); may be repeated
#   --list          print the names of the tests and run none
#   --all           take the long way: fuzzers for five minutes each, other people's test suites in whole (hours), the quick start and
#                   the benchmark once through
#   --no-install    install nothing
#   --build FOLDER  build there instead of in build/
#
# Names: build/COMPILER, source/CHECK, unit/TEST, unit-clang/TEST, unit-sanitized/TEST, manual/TEST, fuzz/TARGET, cases/FILE/CLAIM,
# programs/FILE/CLAIM, compat/SUITE/UNIT (other people's tests). Two jobs run side by side; each has a time limit.
# Jobs are called by name, out of a list: shellcheck takes them for dead code.
# shellcheck disable=SC2317
set -eu -o pipefail

top=$(realpath "$(dirname "$0")/..")
# Debian's own programs and nothing of the caller's: the same tests on every machine.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
unset LC_ALL LD_PRELOAD LD_LIBRARY_PATH CC CXX CFLAGS CXXFLAGS LDFLAGS "${!FAULTSHIM_@}" "${!MESON@}" 2>/dev/null || true

usage() {
  sed -n '2,16s/^# \{0,1\}//p' "$0"
  exit "$1"
}

only=() list=no all=no install=yes build=$top/build
while [ $# -gt 0 ]; do
  case $1 in
  --only) only+=("${2:?--only needs a glob}") && shift ;;
  --list) list=yes ;;
  --all) all=yes ;;
  --no-install) install=no ;;
  --build) build=$(realpath -m "${2:?--build needs a folder}") && shift ;;
  --help) usage 0 ;;
  *) usage 2 >&2 ;;
  esac
  shift
done
elsewhere=
[ "$build" = "$top/build" ] || elsewhere=" --build $build"
[ "$all" = yes ] && fuzz_seconds=300 || fuzz_seconds=20

wanted() { # NAME: is it to run?
  local glob
  [ "${#only[@]}" -gt 0 ] || return 0
  for glob in "${only[@]}"; do
    # shellcheck disable=SC2053  # the right side is a glob on purpose
    [[ $1 == $glob ]] && return 0
  done
  return 1
}

# --- what there is ---

claims() { # FILE.bats: the names of its tests
  sed -n 's/^@test "\(.*\)" {$/\1/p' "$1"
}

source_checks() {
  sed -n 's/^check_\([a-z_]*\)() {.*/\1/p' "$top/tests/source.sh" | tr _ -
}

# Names of meson's tests in one suite: from the files, so that the list needs no build.
meson_tests() { # BUILD SUITE
  meson introspect "$1" --tests |
    python3 -c 'import json, sys
for t in json.load(sys.stdin):
    if any(s.split(":")[-1] == sys.argv[1] for s in t["suite"]):
        print(t["name"])' "$2"
}

bats_files() { # FOLDER
  find "$top/tests/$1" -name '*.bats' 2>/dev/null | sort
}

# --- one job each: they write result lines to stdout and their noise to files ---

scratch=$(mktemp -d "${TMPDIR:-/tmp}/faultshim-tests.XXXXXX")
running=()
cleanup() {
  local pid
  for pid in "${running[@]}"; do
    kill -TERM -- "-$pid" 2>/dev/null || true
  done
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

result() { # ok|failed|skipped NAME [WORDS]
  printf '%-8s%s%s\n' "$1" "$2" "${3:+ ($3)}"
}
failed() { # NAME LOG: the end of what it said, and how to run it again
  result failed "$1"
  tail -n 60 "$2" | sed 's/^/    | /'
  echo "    repeat: ./tests/run.sh --no-install$elsewhere --only '$1'"
}

configure() { # FOLDER OPTION...
  local folder=$build/$1
  shift
  if [ -e "$folder/build.ninja" ]; then
    meson configure "$folder" "$@"
  else
    meson setup "$folder" "$top" "$@"
  fi
}

# Everything, with warnings as errors; the tests use this one.
build_gcc() {
  CC=gcc CXX=g++ configure gcc -Dwerror=true --prefix="$build/installed" &&
    timeout 900 ninja -C "$build/gcc" -j2
}
build_clang() {
  CC=clang CXX=clang++ configure clang -Dwerror=true -Dfuzzers=true &&
    timeout 900 ninja -C "$build/clang" -j2
}
# Only what the unit tests are made of: a sanitized shim would need its runtime in every victim.
build_sanitized() {
  local targets
  CC=gcc CXX=g++ configure sanitized -Dwerror=true -Db_sanitize=address,undefined -Db_lundef=false -Dman=false &&
    targets=$(meson introspect "$build/sanitized" --tests |
      python3 -c 'import json, os, sys
for t in json.load(sys.stdin):
    if any(s.split(":")[-1] == "unit" for s in t["suite"]):
        print(os.path.relpath(t["cmd"][0], sys.argv[1]))' "$build/sanitized") &&
    { [ -z "$targets" ] || sort -u <<<"$targets" | xargs timeout 900 ninja -C "$build/sanitized" -j2; }
}

job_build() { # COMPILER
  local log=$scratch/build-$1.log start=$SECONDS
  if "build_$1" >"$log" 2>&1; then
    if wanted "build/$1"; then result ok "build/$1" "$((SECONDS - start)) s"; fi
  else
    failed "build/$1" "$log"
    return 1
  fi
}

job_meson() { # BUILD SUITE PREFIX
  local names=() name log=$scratch/$3.log
  while read -r name; do
    wanted "$3/$name" && names+=("$name")
  done < <(meson_tests "$build/$1" "$2")
  if [ "${#names[@]}" -eq 0 ]; then
    # nothing was chosen, or meson could not tell what there is
    if [ "${#only[@]}" -eq 0 ]; then
      echo "meson names no tests of the suite $2" >"$log"
      failed "$3/*" "$log"
    fi
    return 0
  fi
  # names of tests of two suites may be the same: the suite is given too
  timeout 900 meson test -C "$build/$1" --no-rebuild --num-processes 2 --suite "$2" "${names[@]}" >"$log" 2>&1 || true
  python3 - "$build/$1/meson-logs/testlog.json" "$scratch/$3" <<'PYTHON' >"$scratch/$3.results" || true
import json, sys
for line in open(sys.argv[1]):
    t = json.loads(line)
    path = sys.argv[2] + "." + t["name"].split(":")[-1].split(" / ")[-1].strip().replace("/", "_") + ".log"
    open(path, "w").write(t.get("stdout", "") + t.get("stderr", ""))
    print(t["result"], "%.1f" % t["duration"], path, t["name"].split(" / ")[-1].strip())
PYTHON
  local outcome seconds path
  [ -s "$scratch/$3.results" ] || { failed "$3/${names[0]}" "$log" && return 0; }
  while read -r outcome seconds path name; do
    case $outcome in
    OK | EXPECTEDFAIL) result ok "$3/$name" "$seconds s" ;;
    SKIP) result skipped "$3/$name" ;;
    *) failed "$3/$name" "$path" ;;
    esac
  done <"$scratch/$3.results"
}

job_source() { # CHECK
  local log=$scratch/source-$1.log
  if timeout 300 bash "$top/tests/source.sh" "$1" "$build/gcc" >"$log" 2>&1; then
    result ok "source/$1"
  else
    failed "source/$1" "$log"
  fi
}

fuzz_targets() {
  find "$top/tests/fuzz" -name 'fuzz*.c' 2>/dev/null | sed 's|.*/||; s|\.c$||' | sort
}
job_fuzz() { # TARGET
  local log=$scratch/$1.log seeds
  mkdir -p "$scratch/$1.corpus"
  mapfile -t seeds < <(find "$top/tests/fuzz" -mindepth 1 -maxdepth 2 -type d -name "*${1#fuzz_}*")
  if (cd "$scratch" && timeout $((fuzz_seconds + 60)) "$build/clang/tests/fuzz/$1" -max_total_time="$fuzz_seconds" -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 "$scratch/$1.corpus" "${seeds[@]}") >"$log" 2>&1; then
    result ok "fuzz/$1" "$(sed -n 's/stat::number_of_executed_units: *//p' "$log") inputs in $fuzz_seconds s"
  else
    failed "fuzz/$1" "$log"
  fi
}

# One .bats file. Its tests run one after the other, each in an empty folder; the environment is made here, from nothing.
job_bats() { # FOLDER FILE
  local id log names=() name pattern='' chosen=() total=0 outcome seconds start=$SECONDS
  id=$1/$(basename "$2" .bats)
  log=$scratch/${id//\//-}.log
  while read -r name; do
    total=$((total + 1))
    wanted "$id/$name" && names+=("$name")
  done < <(claims "$2")
  [ "${#names[@]}" -gt 0 ] || return 0
  if [ "${#names[@]}" -lt "$total" ]; then
    for name in "${names[@]}"; do
      # shellcheck disable=SC2001  # a group of characters, each kept
      pattern+="${pattern:+|}^$(sed 's/[][\\.*^$+?(){}|]/\\&/g' <<<"$name")\$"
    done
    chosen=(--filter "$pattern")
  fi
  mkdir -p "$scratch/home" "$scratch/tmp"
  env -i PATH="$PATH" HOME="$scratch/home" LANG=C.UTF-8 TMPDIR="$scratch/tmp" BATS_TEST_TIMEOUT=180 \
    FS_TOP="$top" FS_BUILD="$build/gcc" FS_ALL="$all" FAULTSHIM="$build/gcc/tools/faultshim" \
    timeout -k 10 1500 bats --tap --timing "${chosen[@]}" "$2" >"$log" 2>&1 </dev/null || true
  local seen=0 report=''
  while IFS= read -r line; do
    if [[ $line =~ ^(ok|not\ ok)\ ([0-9]+)\ (.*)$ ]]; then
      outcome=${BASH_REMATCH[1]} name=${BASH_REMATCH[3]} report='' seen=$((seen + 1))
      seconds=
      if [[ $name =~ ^(.*)\ in\ ([0-9]+)ms(.*)$ ]]; then
        name=${BASH_REMATCH[1]}${BASH_REMATCH[3]}
        seconds="$((BASH_REMATCH[2] / 1000)).$((BASH_REMATCH[2] / 100 % 10)) s"
      fi
      if [[ $name =~ ^(.*)\ \#\ skip\ ?(.*)$ ]]; then
        result skipped "$id/${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
      elif [ "$outcome" = ok ]; then
        result ok "$id/$name" "$seconds"
      else
        name=${name%% \# timeout after*}
        result failed "$id/$name" "$seconds"
        echo "    repeat: ./tests/run.sh --no-install$elsewhere --only '$id/$name'"
        report=yes
      fi
    elif [ -n "$report" ]; then
      printf '    | %s\n' "$line"
    fi
  done <"$log"
  if [ "$seen" -lt "${#names[@]}" ]; then
    echo "    | ran $seen of ${#names[@]} tests in $((SECONDS - start)) s"
    failed "$id/*" "$log"
  fi
}

# Tests of other projects, bare and under the shim. The scripts print their lines as we do.
compat_suites() {
  find "$top/tests/compat" -name '*.sh' | sed 's|.*/||; s|\.sh$||' | sort
}
compat_units() { # SUITE
  bash "$top/tests/compat/$1.sh" "${compat_options[@]}" --list
}
compat_options=() compat_seconds=9000
[ "$all" = yes ] || compat_options=(--quick) compat_seconds=1200
job_compat() { # SUITE
  local log=$scratch/compat-$1.log units=() unit status=0
  while read -r unit; do
    if wanted "compat/$1/$unit"; then units+=("$unit"); fi
  done < <(compat_units "$1")
  [ "${#units[@]}" -gt 0 ] || return 0
  timeout -k 20 "$compat_seconds" bash "$top/tests/compat/$1.sh" "${compat_options[@]}" --build "$build/gcc" --cache "$build/compat" \
    "${units[@]}" >"$log" 2>&1 </dev/null || status=$?
  grep -v '^compat: ' "$log" || true
  # 1: one of them failed, and was told
  if [ "$status" -gt 1 ] || [ "$(grep -cE '^(ok|failed|skipped) ' "$log" || true)" -ne "${#units[@]}" ]; then
    echo "    | ended with status $status" >>"$log"
    failed "compat/$1/*" "$log"
  fi
}

job_bench() {
  local log=$scratch/bench.log
  if timeout 600 "$top/tests/bench/run.sh" --quick --build "$build/gcc" >"$log" 2>&1; then
    result ok bench/quick
    sed 's/^/    | /' "$log"
  else
    failed bench/quick "$log"
  fi
}

job_quickstart() {
  local log=$scratch/quickstart.log
  if timeout 600 "$top/tools/quickstart.sh" >"$log" 2>&1 </dev/null && grep -q '100%' "$log"; then
    result ok tools/quickstart
  else
    failed tools/quickstart "$log"
  fi
}

job_clang() {
  job_build clang || return 0
  job_meson clang unit unit-clang
  local target
  while read -r target; do
    if wanted "fuzz/$target"; then job_fuzz "$target"; fi
  done < <(fuzz_targets)
}
job_sanitized() {
  job_build sanitized || return 0
  job_meson sanitized unit unit-sanitized
}
job_gcc_tests() {
  job_meson gcc unit unit
  job_meson gcc manual manual
}

# --- all of it ---

everything() { # the names of all tests; of meson's only once something is built
  printf 'build/%s\n' gcc clang sanitized
  source_checks | sed 's|^|source/|'
  if [ -e "$build/gcc/build.ninja" ]; then
    meson_tests "$build/gcc" unit | sed 's|^\(.*\)|unit/\1\nunit-clang/\1\nunit-sanitized/\1|' | sort
    meson_tests "$build/gcc" manual | sed 's|^|manual/|'
  fi
  fuzz_targets | sed 's|^|fuzz/|'
  local folder file
  for folder in cases programs; do
    while read -r file; do
      claims "$file" | sed "s|^|$folder/$(basename "$file" .bats)/|"
    done < <(bats_files "$folder")
  done
  while read -r folder; do
    compat_units "$folder" | sed "s|^|compat/$folder/|"
  done < <(compat_suites)
  [ "$all" = no ] || printf '%s\n' tools/quickstart bench/quick
}

any_wanted() { # PREFIX: might a test under it be chosen?
  local name
  [ "${#only[@]}" -gt 0 ] || return 0
  while read -r name; do
    [[ $name == "$1"* ]] && wanted "$name" && return 0
  done <"$scratch/names"
  return 1
}

if [ "$list" = yes ]; then
  everything | while read -r name; do
    if wanted "$name"; then echo "$name"; fi
  done
  exit 0
fi

if [ "$install" = yes ]; then
  depth=()
  [ "$all" = no ] || depth=(--compat)
  bash "$top/tools/install-deps.sh" "${depth[@]}" </dev/null >"$scratch/install.log" 2>&1 || {
    cat "$scratch/install.log"
    exit 1
  }
fi

total_passed=0 total_failed=0 total_skipped=0
count() { # FILE of result lines: print and add up
  local line
  while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in
    'ok      '*) total_passed=$((total_passed + 1)) ;;
    'failed  '*) total_failed=$((total_failed + 1)) ;;
    'skipped '*) total_skipped=$((total_skipped + 1)) ;;
    esac
  done <"$1"
}
finish() {
  echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
  [ "$total_failed" -eq 0 ] && [ $((total_passed + total_skipped)) -gt 0 ]
  exit
}

if ! job_build gcc >"$scratch/first"; then
  count "$scratch/first"
  finish
fi
count "$scratch/first"
everything >"$scratch/names"

# Long jobs first, so that the short ones fill the gaps.
jobs=()
any_wanted build/clang || any_wanted unit-clang || any_wanted fuzz && jobs+=('job_clang')
while read -r suite; do
  any_wanted "compat/$suite/" && jobs+=("job_compat $suite")
done < <(compat_suites)
for folder in programs cases; do
  while read -r file; do
    any_wanted "$folder/$(basename "$file" .bats)/" && jobs+=("job_bats $folder $file")
  done < <(bats_files "$folder")
done
any_wanted build/sanitized || any_wanted unit-sanitized && jobs+=('job_sanitized')
any_wanted unit || any_wanted manual && jobs+=('job_gcc_tests')
while read -r check; do
  wanted "source/$check" && jobs+=("job_source $check")
done < <(source_checks)

set -m # each job is a process group of its own, and can be ended whole
declare -A number_of
next=0
reap() {
  local pid='' i status=0
  wait -n -p pid "${running[@]}" || status=$?
  i=${number_of[$pid]}
  if [ "$status" -ne 0 ]; then # it should have told its failures and ended well
    echo "    | ended with status $status"
    result failed "${jobs[$i]}"
  fi >>"$scratch/job.$i"
  count "$scratch/job.$i"
  local still=()
  for i in "${running[@]}"; do
    [ "$i" = "$pid" ] || still+=("$i")
  done
  running=("${still[@]}")
}
while [ "$next" -lt "${#jobs[@]}" ] || [ "${#running[@]}" -gt 0 ]; do
  while [ "$next" -lt "${#jobs[@]}" ] && [ "${#running[@]}" -lt 2 ]; do
    # shellcheck disable=SC2086  # a job is a function and its arguments; file names here have no blanks
    (trap - EXIT; ${jobs[$next]}) >"$scratch/job.$next" 2>&1 </dev/null &
    number_of[$!]=$next
    running+=($!)
    next=$((next + 1))
  done
  [ "${#running[@]}" -eq 0 ] || reap
done
if [ "$all" = yes ] && wanted tools/quickstart; then
  job_quickstart >"$scratch/quickstart"
  count "$scratch/quickstart"
fi
if [ "$all" = yes ] && wanted bench/quick; then # alone, or it would measure its neighbours
  job_bench >"$scratch/bench"
  count "$scratch/bench"
fi
finish
