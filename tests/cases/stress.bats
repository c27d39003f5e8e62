#!/usr/bin/env bats
# Faults in combinations that nobody thought of, the same ones each time: what is chosen comes from the number of the round.

load ../common

# What a correct program does not notice, and what it does.
harmless=(
  'calls=@file.read,@file.write,@net.send,@net.recv,@pipe probability=20% fault=short'
  'calls=@file,@net,@pipe except=close probability=10% fault=error:EINTR'
  'calls=@file,@net,@pipe probability=2% fault=delay:1us..100us,dist=pareto'
  'calls=@file,@net,@pipe probability=2% fault=delay:20us±5us,dist=normal,spike=5%x4,when=after'
  'calls=@file,@net,@pipe probability=2% fault=stall:max=100us'
  'calls=@file,@net,@pipe probability=5% fault=yield'
  'calls=@file,@net,@pipe probability=1% fault=cpu:50us'
  'calls=@file,@net,@pipe probability=1% fault=memory:1MiB,for=5ms'
  'calls=@file,@pipe probability=1% times=20 fault=pause:1ms'
  'calls=@file probability=5% fault=signal:WINCH'
  'calls=@file.read,@file.sync probability=5% fault=evict'
  'calls=@random key=thread fault=seeded'
  'calls=@memory.alloc fault=fill:junk'
  'calls=@memory.alloc fault=budget:1GiB'
  'calls=@file.write fault=quota:1GiB'
  'calls=@file.open,@net.socket fault=descriptors:500'
  'calls=@time probability=50% fault=skew:-1h'
  'calls=@time probability=50% fault=drift:rate=3,clock=all'
  'calls=@time,@net.poll probability=20% fault=jump:1h,clock=all'
  'calls=@time.sleep,@time.wait,@net.poll probability=20% fault=late:10us..500us'
)
damaging=(
  'calls=@file.write fault=quota:100000'
  'calls=@file.read probability=2% fault=bad-sector'
  'calls=@file.sync probability=30% fault=fsync-fail'
  'calls=@memory.alloc probability=30% fault=budget:60000'
  'calls=@memory.alloc caller=robust times=3 fault=once-per-stack'
  'calls=@file.open,@net.socket,@pipe.create probability=50% fault=descriptors:9'
  'calls=@file.write probability=5% fault=torn:sector=64'
  'calls=@file.write probability=5% fault=misdirect:by=100..5000'
  'calls=write,writev probability=5% fault=twice'
  'calls=@file.write,@file.sync probability=5% fault=lost'
  'calls=@file.read path=**/robust probability=3% fault=corrupt:at-rest,bits=2'
  'calls=@file.read,@net.recv,@pipe.read probability=3% fault=corrupt:transient,bytes=1..9'
  'calls=@net.send,@pipe.write probability=3% fault=corrupt:replace="a"->"bc"'
  'calls=@file.write not-stack=none* probability=2% fault=error:EIO fault=error:ENOSPC'
  'calls=@file,@net,@pipe probability=0.5% fault=error-after:EIO any-errno=yes'
)

# $1 to $2 rules of those named after, in $picked.
pick() { # LEAST MOST RULE...
  local n=$(($1 + RANDOM % ($2 - $1 + 1)))
  shift 2
  local -a left=("$@")
  while ((n-- > 0)); do
    local at=$((RANDOM % ${#left[@]}))
    local more=''
    if ((RANDOM % 3 == 0)); then more=' continue=yes'; fi
    picked+=("${left[at]}$more")
    unset 'left[at]'
    left=("${left[@]}")
  done
}

@test "harmless-faults-in-any-combination-change-no-answer" {
  local round
  for ((round = 1; round <= 30; round++)); do
    RANDOM=$round
    picked=()
    pick 2 6 "${harmless[@]}"
    rm -rf ./*
    seed=$round run under "${picked[@]}" -- robust all 60000
    [ "$status" -eq 0 ] || { printf '%s\n' "round $round: status $status" "${picked[@]}" "$output" && return 1; }
    run fs verify -q
    [ "$status" -eq 0 ] || { printf '%s\n' "round $round: verify" "${picked[@]}" "$output" && return 1; }
  done
}

@test "damaging-faults-in-any-combination-crash-nothing-and-are-recomputed" {
  local round
  for ((round = 1; round <= 30; round++)); do
    RANDOM=$((1000 + round))
    picked=()
    pick 1 3 "${damaging[@]}"
    pick 1 3 "${harmless[@]}"
    rm -rf ./*
    limit=20 seed=$round run under "${picked[@]}" -- robust all 60000
    # 99: it found something wrong, and said so
    [ "$status" -eq 0 ] || [ "$status" -eq 99 ] || { printf '%s\n' "round $round: status $status" "${picked[@]}" "$output" && return 1; }
    run fs verify -q
    [ "$status" -eq 0 ] || { printf '%s\n' "round $round: verify" "${picked[@]}" "$output" && return 1; }
  done
}

# Profiles by chance out of the tables themselves, all faults and all families, 800 to a test: tests/stress. What it finds it shows
# with the command that repeats it.
stress() { # SEED
  run clean "$build/tests/stress/stress" --seed "$1" --rounds 800 --seconds 150 --jobs 3 --tool "$faultshim" --shim "$shim" --victim "$victims/mixed"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ ${lines[0]} =~ ^([0-9]+)\ rounds,\ 0\ failed\;\ .*\ ([0-9]+)\ refused\ with\ file\ and\ line$ ]]
  # a machine that is slow does fewer, and no machine does none
  [ "${BASH_REMATCH[1]}" -ge 100 ] && [ "${BASH_REMATCH[2]}" -ge 100 ]
  if [ "${BASH_REMATCH[1]}" -eq 800 ]; then
    printf '%s\n' "$output" >"$BATS_FILE_TMPDIR/stress.$1"
    if grep -E '^family [a-z]+ 0$' <<<"$output"; then return 1; fi
    [[ $output =~ ,\ ([0-9]+)\ replays, ]] && [ "${BASH_REMATCH[1]}" -ge 80 ]
  fi
}

@test "eight-hundred-profiles-by-chance-break-nothing" {
  stress 101
}
@test "eight-hundred-more-profiles-by-chance-break-nothing" {
  stress 102
}
@test "and-eight-hundred-more-break-nothing" {
  stress 103
}
@test "and-the-last-eight-hundred-break-nothing" {
  stress 104
  # where all of them were made, each fault met some call; by chance it need not be in each of the four
  local -a all=("$BATS_FILE_TMPDIR"/stress.*)
  [ "${#all[@]}" -eq 4 ] || return 0
  awk '$1 == "fault" { n[$2] += $3 } END { for (f in n) if (!n[f]) { print f " never fired"; bad = 1 } exit bad }' "${all[@]}"
}
