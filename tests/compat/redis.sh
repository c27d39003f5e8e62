#!/usr/bin/env bash
# Redis's own test suite, with Debian's redis-server, bare and under the shim: tclsh, which plays the client, and its servers. How it is
# called: common.bash.
set -eu -o pipefail
suite=redis
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.bash"

quick=(unit/auth unit/protocol unit/info unit/type/string unit/type/incr unit/expire unit/multi unit/quit
  unit/pubsub unit/bitfield unit/lazyfree unit/querybuf unit/networking integration/aof integration/rdb integration/shutdown
  integration/logging integration/redis-cli integration/convert-zipmap-hash-on-load)
# all but the fuzzer, whose tests are drawn, what needs TLS, and what tells the version
all=(unit/dump unit/auth unit/protocol unit/keyspace unit/scan unit/info unit/info-command unit/type/string unit/type/incr
  unit/type/list unit/type/list-2 unit/type/list-3 unit/type/set unit/type/zset unit/type/hash unit/type/stream
  unit/type/stream-cgroups unit/sort unit/expire unit/other unit/multi unit/quit unit/aofrw unit/acl unit/acl-v2
  unit/latency-monitor integration/block-repl integration/replication integration/replication-2 integration/replication-3
  integration/replication-4 integration/replication-psync integration/replication-buffer integration/shutdown integration/aof
  integration/aof-multi-part integration/rdb integration/corrupt-dump integration/convert-zipmap-hash-on-load
  integration/convert-ziplist-hash-on-load integration/convert-ziplist-zset-on-load integration/logging integration/psync2
  integration/psync2-reg integration/psync2-pingoff integration/psync2-master-restart integration/failover integration/redis-cli
  integration/redis-benchmark integration/dismiss-mem unit/pubsub unit/pubsubshard unit/slowlog unit/scripting unit/functions
  unit/maxmemory unit/introspection unit/introspection-2 unit/limits unit/obuf-limits unit/bitops unit/bitfield unit/geo
  unit/memefficiency unit/hyperloglog unit/lazyfree unit/wait unit/pause unit/querybuf unit/pendingquerybuf unit/tracking
  unit/oom-score-adj unit/shutdown unit/networking unit/cluster unit/client-eviction unit/violations unit/replybufsize
  unit/cluster-scripting unit/cluster/misc unit/cluster/links)

# Another thousand of ports for each run; those of a cluster's bus are 10000 above, and still below those that the kernel hands out.
prepare() {
  fetch_source redis redis-server
  first=$((11000 + $$ % 10 * 1000))
}

outcomes() { # HOW UNIT FILE
  local program
  mkdir "$place/tmp/src"
  for program in redis-server redis-cli redis-benchmark redis-check-aof redis-check-rdb; do
    ln -s "/usr/bin/$program" "$place/tmp/src/$program"
  done
  cp -r "$source/tests" "$place/tmp/"
  within "$1" "$3" 600 tclsh8.6 tests/test_helper.tcl --single "$2" --clients 1 --durable --no-latency \
    --baseport $((first + 50)) --portcount 900
  # psync2 draws who replicates whom, and how often: there, numbers are left out.
  # An outcome is a line "[ok]: NAME (N ms)", "[err]: NAME in FILE", "[ignore]: WHY" and such, in colours
  sed -E 's/\x1b\[[0-9;]*m//g' "$3.log" |
    sed -nE 's/^\[(ok|err|exception|ignore|skip)\]: (.*)$/\2 \1/p' |
    sed -E 's/ \([0-9]+ ms\) (ok)$/ \1/; s/ in tests\/[^ ]*\.tcl err$/ err/; s/ (ignore|skip)$/ skipped/' |
    if [[ $2 == integration/psync2* ]]; then sed -E 's/[0-9]+/N/g; s/ /_/g; s/_([a-z]+)$/ \1/' | sort -u; else number; fi >"$3"
  ended "$3"
}

compat "$@"
