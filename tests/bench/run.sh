#!/usr/bin/env bash
# Measures what the shim adds to a call: bare, not armed, armed for another call, considered and recorded by one rule (at syscall doors,
# and with symbol doors only) and by five; and what it adds to the start of a process: bare, not armed, in a run with either kind of
# doors. All of them run in turns within each round, so that a change of the machine's mood meets them all alike; the best of all rounds counts.
#
#   tests/bench/run.sh [--quick] [--build FOLDER]
set -eu -o pipefail

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0"
  exit "$1"
}

build=
rounds=9
while [ $# -gt 0 ]; do
  case $1 in
  --quick) rounds=3 ;;
  --build) build=$(realpath "$2") && shift ;;
  --help) usage 0 ;;
  *) usage 2 >&2 ;;
  esac
  shift
done
top=$(realpath "$(dirname "$0")/../..")
build=${build:-$top/build/gcc}
bench=$build/tests/bench/bench
shim=$build/shim/preload/libfaultshim.so
if ! [ -x "$bench" ] || ! [ -e "$shim" ]; then
  echo "bench: nothing is built in $build" >&2
  exit 2
fi

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"

rule() { # NAME CALL ERRNO
  printf '[rule %s]\ncalls = %s\nprobability = 0\nfault = error %s\n' "$1" "$2" "$3"
}
declare -A call=([clock_gettime]=clock_gettime [malloc]=malloc [write-null]=write [write-file]=write [send]=send [stdio]=write)
declare -A errno=([clock_gettime]=EINVAL [malloc]=ENOMEM [write-null]=EINTR [write-file]=EINTR [send]=EINTR [stdio]=EINTR)
declare -A times=([clock_gettime]=2000000 [malloc]=2000000 [write-null]=400000 [write-file]=150000 [send]=300000 [stdio]=300000)
rule other rename EIO >other.ini
for what in "${!call[@]}"; do
  rule r1 "${call[$what]}" "${errno[$what]}" >"$what-one.ini"
  { printf '[faultshim]\ndoors = symbols\n' && cat "$what-one.ini"; } >"$what-symbols.ini"
  for i in 1 2 3 4 5; do
    rule "r$i" "${call[$what]}" "${errno[$what]}"
  done >"$what-five.ini"
done

one() { # CONFIGURATION CALL THREADS: nanoseconds a round
  local what=$2 ini
  case $1 in
  bare) "$bench" "$what" "$3" "${times[$what]}" && return ;;
  idle) LD_PRELOAD=$shim "$bench" "$what" "$3" "${times[$what]}" && return ;;
  other) ini=other.ini ;;
  *) ini=$what-$1.ini ;;
  esac
  LD_PRELOAD=$shim FAULTSHIM_PROFILE=$ini FAULTSHIM_SEED=1 FAULTSHIM_TRACE=$1.trace "$bench" "$what" "$3" "${times[$what]}"
}

# What a trace takes before its first decision: its head and a ring for each thread.
declare -A base
for what in "${!call[@]}"; do
  for threads in 1 2; do
    times[none]=${times[$what]} times[$what]=1
    one one "$what" $threads >/dev/null
    base["$what $threads"]=$(stat -c %s one.trace)
    times[$what]=${times[none]}
  done
done

configurations='bare idle other one symbols five'
for ((round = 0; round < rounds; round++)); do
  for what in clock_gettime malloc write-null write-file send stdio; do
    for threads in 1 2; do
      for how in $configurations; do
        ns=$(one "$how" "$what" "$threads")
        bytes=0
        if [ "$how" = one ]; then
          bytes=$(stat -c %s one.trace)
          bytes=$((bytes - ${base["$what $threads"]}))
        fi
        echo "$what $threads $how $ns ${times[$what]} $bytes"
        rm -f ./*.trace
      done
    done
  done
done >measured

awk '
  { key = $1 " " $2; at = key SUBSEP $3; if (!(at in ns) || $4 < ns[at]) ns[at] = $4; n[key] = $5
    if ($3 == "one") bytes[key] = $6 / ($2 * ($5 + 1000)); if (!(key in seen)) { seen[key] = 1; order[++count] = key } }
  END {
    printf "%-14s %7s %9s  %15s %15s %15s %15s %15s  %9s %9s\n", "call", "threads", "bare ns", "not armed", "other call", "one rule",
      "symbols only", "five rules", "bytes", "million/s"
    for (i = 1; i <= count; i++) {
      key = order[i]; split(key, part, " "); bare = ns[key, "bare"]
      printf "%-14s %7d %9.1f", part[1], part[2], bare
      printf " "
      split("idle other one symbols five", how, " ")
      for (k = 1; k <= 5; k++) printf " %+7.1f (x%5.2f)", ns[key, how[k]] - bare, ns[key, how[k]] / bare
      printf "  %9.2f %9.1f\n", bytes[key], 1000 * part[2] / ns[key, "one"]
    }
    print ""
    print "Columns of the shim: nanoseconds added to the bare call, and the ratio to it. bytes: of trace, for each decision with one rule."
    print "million/s: decisions recorded in a second by all threads together, with one rule, calls included. malloc counts malloc and free."
  }' measured

# --- the start of a process ---

# A process joins the run that its environment names: here one that a process before it has made.
{ printf '[faultshim]\ndoors = sites\n' && cat write-null-one.ini; } >sites.ini
cp write-null-symbols.ini symbols.ini
for doors in sites symbols; do
  LD_PRELOAD=$shim FAULTSHIM_PROFILE=$doors.ini FAULTSHIM_SEED=1 FAULTSHIM_TRACE=$doors.trace /bin/true
done
start() { # CONFIGURATION PROGRAM ARG...
  case $1 in
  bare) "$bench" start 40 "${@:2}" ;;
  idle) BENCH_PRELOAD=$shim "$bench" start 40 "${@:2}" ;;
  *) BENCH_PRELOAD=$shim FAULTSHIM_SESSION=0:$place/$1.trace "$bench" start 40 "${@:2}" ;;
  esac
}
python=/usr/bin/python3
for ((round = 0; round < rounds; round++)); do
  for how in bare idle symbols sites; do
    echo "true $how $(start $how /bin/true)"
    [ ! -x $python ] || echo "python3 $how $(start $how $python -c pass)"
  done
done >starts
awk '
  { at = $1 SUBSEP $2; if (!(at in us) || $3 < us[at]) us[at] = $3; if (!($1 in seen)) { seen[$1] = 1; order[++count] = $1 } }
  END {
    printf "\n%-14s %9s  %17s %17s %17s\n", "start of", "bare us", "not armed", "symbol doors", "syscall doors"
    for (i = 1; i <= count; i++) {
      bare = us[order[i], "bare"]
      printf "%-14s %9.0f ", order[i], bare
      split("idle symbols sites", how, " ")
      for (k = 1; k <= 3; k++) printf " %+8.0f (x%5.2f)", us[order[i], how[k]] - bare, us[order[i], how[k]] / bare
      printf "\n"
    }
    print ""
    print "Microseconds from start to end, and what the shim adds when the process joins a run, with the map of sites at hand."
  }' starts
