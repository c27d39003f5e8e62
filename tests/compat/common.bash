# common.bash: what the scripts in this folder share. Each runs other people's tests twice, bare and then under the shim with a rule on
# every family that never fires, traced, and compares test by test. A script sets
#
#   suite     its name
#   quick all units of the suite that CI runs (none is fine), and all of them: files, modules, groups
#   known     what is known to differ: known[UNIT/TEST]=reason; globs
#
# defines
#
#   prepare                   installs, fetches and builds what the tests need; once, before anything runs
#   outcomes HOW UNIT FILE    runs a unit (with `within`), bare or shimmed, and writes "TEST OUTCOME" to FILE, a line for each test; an
#                             outcome is `ok`, `skipped`, or a word for how it went wrong
#
# and ends with `compat "$@"`. What came out is printed as tests/run.sh prints it, one line for each unit. The exit status is 1 if
# something differs, 2 if it could not be found out.
#
#   tests/compat/SUITE.sh [--quick] [--list] [--build FOLDER] [--cache FOLDER] [--keep FOLDER] [UNIT...]
#
#   --quick         what CI runs
#   --list          print the names of the units, run none
#   --build FOLDER  the build to take faultshim from (build/gcc)
#   --cache FOLDER  where sources are kept, and what was made of them (FOLDER of --build/compat)
#   --keep FOLDER   leave outputs, outcomes and traces there
#   UNIT            these units and no others
# shellcheck shell=bash disable=SC2034,SC2154

top=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset LD_PRELOAD "${!FAULTSHIM_@}" "${!PYTHON@}"
declare -A known=()
quick=() all=()

complain() {
  echo "$suite: $*" >&2
  exit 2
}

# The source of a Debian package as it is installed here, unpacked and with Debian's patches: its folder is left in $source. Taken from
# the places that the machine has packages from, with a list of our own: the machine's lists stay as they are. Where that very version
# can't be had, another one of Debian's with the same upstream version serves as well.
fetch_source() { # SOURCE PACKAGE
  local apt=$cache/apt installed version file folder options
  installed=$(dpkg-query -W -f '${source:Version}' "$2") || complain "$2 is not installed"
  source=${installed%-*} source=$cache/$1-${source#*:}
  exec 9>"$cache/lock"
  flock -w 900 9 || complain "the cache is locked"
  if [ -d "$source" ]; then
    exec 9>&-
    return 0
  fi
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/parts"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$file" ] || sed -n 's/^deb /deb-src /p' "$file"
  done >"$apt/sources.list"
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$file" ] || { sed 's/^Types:.*/Types: deb-src/' "$file" && echo; }
  done >"$apt/parts/all.sources"
  options=(-q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts="$apt/parts" -o Dir::State::lists="$apt/lists"
    -o Dir::Cache="$apt" -o APT::Sandbox::User=root)
  timeout -k 5 200 apt-get "${options[@]}" update >"$cache/$1.log" 2>&1 || { cat "$cache/$1.log" >&2 && complain "no list of sources"; }
  for version in "$installed" $(apt-cache "${options[@]}" showsrc --only-source "$1" 2>>"$cache/$1.log" | sed -n 's/^Version: //p' | sort -rV); do
    [ "${version%-*}" = "${installed%-*}" ] || continue
    rm -rf "$source.new"
    mkdir -p "$source.new"
    (cd "$source.new" && timeout -k 5 300 apt-get "${options[@]}" source "$1=$version") >>"$cache/$1.log" 2>&1 || continue
    folder=$(find "$source.new" -mindepth 1 -maxdepth 1 -type d)
    [ -d "$folder" ] || continue
    mv "$folder" "$source"
    rm -rf "$source.new"
    exec 9>&-
    return 0
  done
  cat "$cache/$1.log" >&2
  complain "no source of $1 $installed"
}

# Runs a command in $place/tmp, bare or under the shim, from an environment made from nothing: no terminal, no descriptors. What it says
# goes to FILE.log. Its exit status is left in $status. Whatever of it is alive then is ended.
within() { # HOW FILE SECONDS COMMAND...
  local how=$1 file=$2 seconds=$3 front=()
  shift 3
  if [ "$how" = shimmed ]; then
    rm -f "$file.trace" "$file.card"
    front=("$faultshim" run --json --log="$file.card" -s 1 '--expect=any' -o "$file.trace" -p "$place/all.ini" "${settings[@]}" --)
  fi
  status=0
  (cd "$place/tmp" && env -i PATH="$PATH" HOME="$place/home" TMPDIR="$place/tmp" LC_ALL=C.UTF-8 FS_COMPAT="$place" \
    FAULTSHIM_LIBRARY="$place/build/libfaultshim.so" "${extra[@]}" timeout -k 10 "$seconds" "${front[@]}" "${as[@]}" "$@") >"$file.log" 2>&1 </dev/null || status=$?
  sweep
}
extra=()    # NAME=VALUE: more of the environment
settings=() # more for `faultshim run`: -p PROFILE, -r RULE
as=()       # a command that becomes somebody else and runs the rest

# Tests that are not for root become USER where we are root. What they need must stand where USER can reach it, whatever the mode of the
# folders above the build: in $place.
become() { # USER
  [ "$(id -u)" -eq 0 ] || return 0
  user=$1
  as=(setpriv --reuid="$(id -u "$1")" --regid="$(id -g "$1")" --clear-groups --)
}
user=

sweep() { # what we started is known by its environment
  local pid
  for pid in /proc/[0-9]*; do
    if grep -qsz "^FS_COMPAT=$place\$" "$pid/environ"; then kill -KILL "${pid#/proc/}" 2>/dev/null || true; fi
  done
}

# Was the shim there, and does its trace hold what seed and profile say? A line for each that is not so.
armed() { # FILE
  local decisions
  decisions=$(jq -r '.decisions // 0' "$1.card" 2>/dev/null) || decisions=
  [ "${decisions:-0}" -gt 0 ] || echo "the shim decided nothing: $(tail -n 1 "$1.card" 2>/dev/null)"
  timeout -k 5 120 "$faultshim" verify -q "$1.trace" >"$1.verify" 2>&1 || echo "verify of the trace ended with $?: $(tail -n 1 "$1.verify")"
}

# Names twice or more in one unit get numbers; blanks go.
number() {
  awk '{ outcome = $NF; $NF = ""; sub(/ +$/, ""); gsub(/[[:space:]]+/, "_"); n[$0]++; print $0 (n[$0] > 1 ? "#" n[$0] : ""), outcome }'
}

# The status of what ran last, as a test like the others: ok if it is 0, or if it tells what the outcomes tell already.
ended() { # FILE
  local how=$status
  if [ "$status" -eq 0 ] || { [ "$status" -lt 124 ] && grep -qvE ' (ok|skipped)$' "$1"; }; then how=ok; fi
  echo "exit $how" >>"$1"
}

try() { # HOW UNIT FILE
  rm -rf "$place/tmp"
  mkdir -p "$place/tmp" "$place/home"
  [ -z "$user" ] || chown "$user" "$place/tmp" "$place/home"
  outcomes "$1" "$2" "$3"
  sort -o "$3" "$3"
}

# The tests that came out otherwise, as "TEST: OUTCOME bare, OUTCOME under the shim".
compare() { # BARE SHIMMED
  join -a 1 -a 2 -e missing -o 0,1.2,2.2 "$1" "$2" | awk '$2 != $3 { print $1 ": " $2 " bare, " $3 " under the shim" }'
}

explained() { # UNIT: the lines of compare that have no reason; those with one go to $place/explained
  local line pattern name
  while read -r line; do
    name=$1/${line%%: *}
    for pattern in "${!known[@]}"; do
      # shellcheck disable=SC2053  # a glob on purpose
      if [[ $name == $pattern ]]; then
        echo "${line%%: *}: ${known[$pattern]}" >>"$place/explained"
        continue 2
      fi
    done
    echo "$line"
  done
}

one_unit() { # UNIT: prints its line, and what differs
  local unit=$1 at start=$SECONDS how round ran bad differ note words
  at=$place/${unit//\//_}
  for how in bare shimmed; do
    try "$how" "$unit" "$at.$how"
  done
  ran=$(($(wc -l <"$at.bare") - 1)) # its end is no test
  bad=$(grep -cvE ' (ok|skipped)$' "$at.bare" || true)
  : >"$place/explained"
  compare "$at.bare" "$at.shimmed" | explained "$unit" >"$at.first"
  cp "$at.first" "$at.differs"
  armed "$at.shimmed" >"$at.armed"
  for round in 2 3; do # both ways again: what does not differ each time is a test that depends on the moment
    [ -s "$at.differs" ] || break
    for how in bare shimmed; do
      try "$how" "$unit" "$at.$how-$round"
    done
    compare "$at.bare-$round" "$at.shimmed-$round" | explained "$unit" >"$at.again"
    awk -F': ' 'FILENAME == ARGV[1] { again[$1] = 1; next } $1 in again' "$at.again" "$at.differs" >"$at.still"
    mv "$at.still" "$at.differs"
  done
  awk 'FILENAME == ARGV[1] { differs[$0] = 1; next } !($0 in differs)' "$at.differs" "$at.first" >"$at.unsteady"
  differ=$(wc -l <"$at.differs")
  words="$ran tests"
  [ "$bad" -eq 0 ] || words+=", $bad fail bare"
  [ "$differ" -eq 0 ] || words+=", $differ differ"
  [ ! -s "$at.unsteady" ] || words+=", $(wc -l <"$at.unsteady") depend on the moment"
  note=ok
  if [ "$differ" -gt 0 ] || [ -s "$at.armed" ] || [ "$ran" -le 0 ] || [ "$bad" -ge "$ran" ]; then note=failed; fi
  printf '%-8scompat/%s/%s (%s, %s s)\n' "$note" "$suite" "$unit" "$words" "$((SECONDS - start))"
  head -n 30 "$at.differs" | sed 's/^/    | /'
  [ "$differ" -le 30 ] || echo "    | and $((differ - 30)) more"
  sed 's/^/    | /' "$at.armed"
  head -n 30 "$at.unsteady" | sed 's/^/    moment: /'
  sort -u "$place/explained" | awk -F': ' '{ why[$2]++; one[$2] = $1 }
    END { for (w in why) print "    explained: " (why[w] > 1 ? why[w] " tests" : one[w]) ": " w }'
  if [ "$note" = failed ]; then
    tail -n 20 "$at.shimmed.log" | sed 's/^/    | /'
    echo "    repeat: tests/compat/$suite.sh${said:+ $said} $unit"
    failures=$((failures + 1))
  elif [ -z "$keep" ]; then
    rm -rf "$at".*
  fi
  tests=$((tests + ran))
}

compat() {
  local units=() list=no chosen='' unit build=$top/build/gcc keep='' failures=0 tests=0 said='' calls
  while [ $# -gt 0 ]; do
    case $1 in
    --quick) chosen=quick ;;
    --list) list=yes ;;
    --build) build=$(realpath "${2:?--build needs a folder}") && said="--build $build" && shift ;;
    --cache) cache=$(realpath -m "${2:?--cache needs a folder}") && shift ;;
    --keep) keep=$(realpath -m "${2:?--keep needs a folder}") && shift ;;
    --help) sed -n '19,28s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    -*) complain "no option $1; --help tells" ;;
    *) units+=("$1") ;;
    esac
    shift
  done
  if [ "${#units[@]}" -eq 0 ]; then
    if [ "$chosen" = quick ]; then units=("${quick[@]}"); else units=("${all[@]}"); fi
  fi
  if [ "$list" = yes ]; then
    [ "${#units[@]}" -eq 0 ] || printf '%s\n' "${units[@]}"
    exit 0
  fi

  [ "${#units[@]}" -gt 0 ] || exit 0 # CI runs nothing of this one
  faultshim=$build/tools/faultshim
  [ -x "$faultshim" ] || complain "$faultshim is not there: build first, or --build FOLDER"
  cache=${cache:-$build/compat}
  mkdir -p "$cache"
  # short: sockets have names in here
  place=${keep:-$(mktemp -d /tmp/faultshim-compat.XXXXXX)}
  mkdir -p "$place/home" "$place/tmp"
  chmod 755 "$place"
  [ -n "$keep" ] || trap 'sweep; rm -rf "$place"' EXIT
  trap 'exit 130' INT TERM
  # a copy: the build may be built again while this runs, and be where not everybody can reach it
  rm -rf "$place/build"
  mkdir "$place/build"
  cp "$build/tools/faultshim" "$build/shim/preload/libfaultshim.so" "$place/build"
  faultshim=$place/build/faultshim
  prepare

  # every family that there is
  calls=$("$faultshim" list calls --json | jq -r '.[].classes' | grep -oE '@[a-z]+' | sort -u | paste -sd' ')
  [ -n "$calls" ] || complain "faultshim lists no families of calls"
  printf '[rule everything]\ncalls       = %s\nprobability = 0\nfault       = delay 1ms\n' "$calls" >"$place/all.ini"
  "$faultshim" check "$place/all.ini" >"$place/check.log" 2>&1 || { cat "$place/check.log" >&2 && complain "the profile is wrong"; }

  for unit in "${units[@]}"; do
    one_unit "$unit"
  done
  echo "compat: $suite: $tests tests in ${#units[@]} units, $failures of them differ, $SECONDS s"
  [ "$tests" -gt 0 ] || exit 2
  [ "$failures" -eq 0 ]
}
