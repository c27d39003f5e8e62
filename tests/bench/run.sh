#!/usr/bin/env bash
# Measures what the shim adds to a call: bare, not armed, armed for another call, considered and recorded by one rule and by five.
# All of them run in turns within each round, so that a change of the machine's mood meets them all alike; the best of all rounds counts.
#
#   tests/bench/run.sh [--quick] [--build FOLDER]
set -eu -o pipefail

usage() {
  sed -n '2,5s/^# \{0,1\}//p' "$0"
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
declare -A call=([clock_gettime]=clock_gettime [malloc]=malloc [write-null]=write [write-file]=write [send]=send)
declare -A errno=([clock_gettime]=EINVAL [malloc]=ENOMEM [write-null]=EINTR [write-file]=EINTR [send]=EINTR)
declare -A times=([clock_gettime]=2000000 [malloc]=2000000 [write-null]=400000 [write-file]=150000 [send]=300000)
rule other rename EIO >other.ini
for what in "${!call[@]}"; do
  rule r1 "${call[$what]}" "${errno[$what]}" >"$what-one.ini"
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

configurations='bare idle other one five'
for ((round = 0; round < rounds; round++)); do
  for what in clock_gettime malloc write-null write-file send; do
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
    printf "%-14s %7s %9s  %15s %15s %15s %15s  %9s %9s\n", "call", "threads", "bare ns", "not armed", "other call", "one rule",
      "five rules", "bytes", "million/s"
    for (i = 1; i <= count; i++) {
      key = order[i]; split(key, part, " "); bare = ns[key, "bare"]
      printf "%-14s %7d %9.1f", part[1], part[2], bare
      printf " "
      split("idle other one five", how, " ")
      for (k = 1; k <= 4; k++) printf " %+7.1f (x%5.2f)", ns[key, how[k]] - bare, ns[key, how[k]] / bare
      printf "  %9.2f %9.1f\n", bytes[key], 1000 * part[2] / ns[key, "one"]
    }
    print ""
    print "Columns of the shim: nanoseconds added to the bare call, and the ratio to it. bytes: of trace, for each decision with one rule."
    print "million/s: decisions recorded in a second by all threads together, with one rule, calls included. malloc counts malloc and free."
  }' measured
