#!/usr/bin/env bats
# skew, drift, jump, freeze, strobe, late: what clocks say, and that every wait goes by the clock that it names. The victim `clocks`
# checks itself that no wait ends before its time; how long it really took is what is looked at here.

load ../common

# By CLOCK_MONOTONIC for a time; until a time of CLOCK_MONOTONIC; until a time of CLOCK_REALTIME.
for_a_time=(nanosleep usleep clock_nanosleep poll ppoll select pselect epoll_wait epoll_pwait epoll_pwait2 futex timerfd timer setitimer
  rcvtimeo sigtimedwait semtimedop)
until_steady=(until-mono cond-mono cond-clock mutex-clock sem-clock)
until_wall=(until-real cond mutex rdlock wrlock sem join mtx futex-until timerfd-until timer-until mq)

# Each wait under a rule on reading clocks: waits_under MS FROM TO FAULT KIND...: really between FROM and TO ms.
waits_under() {
  local ms=$1 from=$2 to=$3 fault=$4 kind took
  shift 4
  limit=50 run_say_clocks "calls=@time.read fault=$fault" read "${@/%/:$ms}"
  [ "$status" -eq 0 ] || { echo "$output" && return 1; }
  [ "${#lines[@]}" -eq $(($# + 1)) ] || { echo "$output" && return 1; }
  while read -r kind took; do
    if [ "$kind" = read ]; then continue; fi
    if [ "$took" -lt "$from" ] || [ "$took" -ge "$to" ]; then
      echo "$kind took $took"
      return 1
    fi
  done <<<"$output"
}

run_say_clocks() {
  run under "$1" -- clocks "${@:2}"
}

waits() {
  printf 'wait:%s ' "$@"
}
# shellcheck disable=SC2046  # words on purpose: operations of the victim

@test "clocks-are-right-without-rules" {
  run bare clocks read offset:realtime offset:monotonic offset:boottime steady:realtime:1000 \
    $(printf 'wait:%s:10 ' "${for_a_time[@]}" "${until_steady[@]}" "${until_wall[@]}")
  [ "$status" -eq 0 ] && [[ $output == "read ok"*"realtime +0"*"monotonic +0"*"boottime +0"* && $output != *failed* ]]
}

@test "skew-moves-the-wall-clock-alone" {
  run_say_clocks 'calls=@time.read fault=skew:5m' read offset:realtime offset:monotonic offset:boottime fork offset:realtime exec offset:realtime
  says "read ok" "realtime +300000" "monotonic +0" "boottime +0" "realtime +300000" "realtime +300000"
  faults | jq -e -s 'length == 1 and .[0].fault == "skew" and .[0].amount == 300000000000'
  run_say_clocks 'calls=clock_gettime fault=skew:-2h' read offset:realtime
  says "read ok" "realtime -7200000"
  faults | jq -e '.amount == -7200000000000'
  run fs log
  [[ $output == *"skew -7200s"* ]]
  fs verify -q
}

@test "waits-are-right-under-skew" {
  local fault
  for fault in skew:5m skew:-5m; do
    waits_under 40 40 5000 $fault $(waits "${for_a_time[@]}" "${until_steady[@]}" "${until_wall[@]}")
  done
}

@test "drift-changes-the-rate-of-the-wall-clock" {
  run_say_clocks 'calls=@time.read fault=drift:rate=1.5' read sleep:400 offset:realtime offset:monotonic
  [[ $output =~ realtime\ \+([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 200 ] && [ "${BASH_REMATCH[1]}" -lt 5000 ]
  [[ $output == *"monotonic +0" ]]
  faults | jq -e '.fault == "drift" and .amount == 500000000'
  run fs log
  [[ $output == *"drift +500000 ppm"* ]]
  run_say_clocks 'calls=@time.read fault=drift:ppm=-500000' read sleep:400 offset:realtime steady:realtime:2000
  [[ $output =~ realtime\ -([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 200 ] && [ "${BASH_REMATCH[1]}" -lt 5000 ]
  [[ $output == *"back 0" ]]
}

@test "waits-until-a-time-go-by-the-drifting-clock" {
  # 400 ms of a wall clock that is four times as fast are 100 ms; sleeping for a time is as before
  waits_under 400 100 390 drift:rate=4 $(waits "${until_wall[@]}")
  waits_under 60 60 5000 drift:rate=4 $(waits "${for_a_time[@]}" "${until_steady[@]}")
  waits_under 40 80 5000 drift:rate=0.5 $(waits "${until_wall[@]}")
}

@test "all-waits-go-by-a-drift-of-all-clocks" {
  waits_under 400 100 390 drift:rate=4,clock=all $(waits "${for_a_time[@]}" "${until_steady[@]}" "${until_wall[@]}")
  waits_under 40 80 5000 drift:rate=0.5,clock=all $(waits "${for_a_time[@]}" "${until_steady[@]}" "${until_wall[@]}")
  waits_under 2000 500 1900 drift:rate=4,clock=all wait:sleep wait:alarm
}

@test "alarm-and-sleep-of-whole-seconds-go-by-a-slow-clock" {
  waits_under 1000 2000 9000 drift:rate=0.5,clock=all $(waits alarm sleep)
}

@test "what-is-left-of-a-sleep-is-told-in-the-programs-time" {
  local rate
  for rate in 4 0.5; do
    run_say_clocks "calls=@time.read fault=drift:rate=$rate,clock=all" read remainder:400
    says "read ok" "remainder ok"
  done
}

@test "poll-of-a-millisecond-never-becomes-a-busy-loop" {
  run_say_clocks 'calls=@time.read fault=drift:rate=10,clock=all' read busy:1:200
  says "read ok" "busy 0"
}

@test "jump-is-one-step-at-the-nth-reading" {
  run_say_clocks 'calls=clock_gettime nth=3 fault=jump:-1h' offset:realtime offset:realtime offset:realtime offset:monotonic
  says "realtime +0" "realtime +0" "realtime -3600000" "monotonic +0"
  # once, if nothing says when
  run_say_clocks 'calls=@time fault=jump:1h' offset:realtime offset:realtime
  says "realtime +3600000" "realtime +3600000"
  # and each time that it fires
  run_say_clocks 'calls=clock_gettime nth=1,3 fault=jump:1h' offset:realtime offset:realtime offset:realtime
  says "realtime +3600000" "realtime +3600000" "realtime +7200000"
}

@test "a-jump-leaves-no-waiter-stranded" {
  local kind
  for kind in "${until_wall[@]}"; do
    limit=20 run_say_clocks 'calls=time fault=jump:1h' "strand:$kind"
    says "$kind came back"
  done
}

@test "a-jump-in-another-process-of-the-run-wakes-waiters-too" {
  limit=20 run fs run -q -s 1 -r 'calls=clock_gettime nth=200 fault=jump:1h' -- /bin/sh -c "
    '$victims/clocks' wait:cond:3600000 &
    '$victims/clocks' wait:timerfd-until:3600000 &
    '$victims/clocks' sleep:300 steady:realtime:400
    wait"
  [ "$status" -eq 0 ] && [[ $output == *"realtime back 0"* ]]
  grep -qE '^cond [0-9]+$' <<<"$output" && grep -qE '^timerfd-until [0-9]+$' <<<"$output"
}

@test "a-jump-in-another-process-wakes-who-waits-for-a-timer-in-any-way" {
  local kind
  for kind in timerfd-read timerfd-ppoll timerfd-select timer-wait; do
    limit=20 run fs run -q -s 1 -r 'calls=clock_gettime nth=200 fault=jump:1h' -- /bin/sh -c "
      '$victims/clocks' wait:$kind:3600000 &
      '$victims/clocks' sleep:300 steady:realtime:400
      wait"
    [ "$status" -eq 0 ] && grep -qE "^$kind [0-9]+$" <<<"$output" || { echo "$output" && return 1; }
  done
  # and without a jump they last as long as they should; a signal ends a read as ever
  run_say_clocks 'calls=@time.read fault=skew:1h' read $(printf 'wait:%s:200 ' timerfd-read timerfd-ppoll timerfd-select timer-wait)
  [[ $output != *failed* && $output != *early* ]] && [ "${#lines[@]}" -eq 5 ]
  fs run -q -s 1 --expect=any -r 'calls=@time.read fault=skew:1h' -- /usr/bin/python3 -c '
import ctypes, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
time.time()
fd = libc.timerfd_create(0, 0)
spec = (ctypes.c_long * 4)(0, 0, int(time.time()) + 1000, 0)
assert libc.timerfd_settime(fd, 1, spec, None) == 0
signal.signal(signal.SIGALRM, lambda *a: None)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.3)
assert libc.read(fd, ctypes.create_string_buffer(8), 8) == -1 and ctypes.get_errno() == 4'
}

@test "the-monotonic-clock-never-goes-back" {
  run_say_clocks 'calls=@time.read fault=jump:-1h,clock=all' read offset:realtime offset:monotonic steady:monotonic:2000 wait:until-mono:20
  says_like "read ok" "realtime -3600000" "monotonic +0" "monotonic back 0" "until-mono *"
  run_say_clocks 'calls=@time.read fault=skew:1h,clock=monotonic' read offset:realtime offset:monotonic offset:boottime steady:monotonic:2000
  says "read ok" "realtime +0" "monotonic +3600000" "boottime +0" "monotonic back 0"
  run_say_clocks 'calls=@time.read fault=drift:rate=0.2,clock=all' read steady:monotonic:20000 steady:boottime:20000
  says "read ok" "monotonic back 0" "boottime back 0"
  # what it has gained it keeps when the rule goes off
  cat >p.ini <<'END'
[phase short]
to = 1s
[rule fast]
calls = @time.read
phase = short
fault = drift rate=5 clock=all
END
  run fs run -q -s 1 -p p.ini -- "$victims/clocks" read sleep:300 offset:monotonic sleep:1300 steady:monotonic:2000 offset:monotonic offset:realtime
  says_like "read ok" "monotonic +*" "monotonic back 0" "monotonic +*" "realtime +0"
}

@test "freeze-holds-a-clock-for-a-while" {
  run_say_clocks 'calls=@time.read fault=freeze:700ms,clock=all' read sleep:300 offset:realtime offset:monotonic sleep:600 \
    offset:realtime offset:monotonic steady:monotonic:100
  [[ ${lines[1]} =~ ^realtime\ -([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -ge 290 ] && [ "${BASH_REMATCH[1]}" -le 700 ]
  [[ ${lines[2]} =~ ^monotonic\ -([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -ge 290 ]
  [ "${lines[3]}" = "realtime +0" ] && [ "${lines[4]}" = "monotonic +0" ] && [ "${lines[5]}" = "monotonic back 0" ]
  waits_under 30 30 5000 freeze:300ms,clock=all $(waits nanosleep poll cond mutex-clock)
}

@test "strobe-flips-between-two-offsets" {
  run_say_clocks 'calls=@time.read fault=strobe:delta=2s,period=1s,duration=3s' read offset:realtime sleep:1300 offset:realtime sleep:2000 \
    offset:realtime offset:monotonic
  says "read ok" "realtime +2000" "realtime +0" "realtime +0" "monotonic +0"
}

@test "a-clock-is-right-again-when-the-phase-of-its-rule-is-over" {
  cat >p.ini <<'END'
[phase wrong]
to = 1s
[rule off]
calls = @time.read
phase = wrong
fault = skew 1h
END
  run fs run -q -s 1 -p p.ini -- "$victims/clocks" read offset:realtime sleep:1300 offset:realtime wait:cond:20 wait:until-real:20
  says_like "read ok" "realtime +3600000" "realtime +0" "cond *" "until-real *"
}

@test "clocks-are-those-of-the-processes-that-the-rule-lets-in" {
  run fs run -q -s 1 --expect=any -r 'calls=@time.read process=other fault=skew:1h' -- "$victims/clocks" read offset:realtime
  says "read ok" "realtime +0"
  run fs run -q -s 1 -r 'calls=@time.read process=clocks fault=skew:1h' -- "$victims/clocks" read offset:realtime
  says "read ok" "realtime +3600000"
  run fs run -q -s 1 -r 'calls=@time.read fault=skew:240h' -- /bin/sh -c 'date +%s; /bin/date +%s'
  [ "${lines[0]}" -gt $(($(date +%s) + 800000)) ] && [ "${lines[1]}" -gt $(($(date +%s) + 800000)) ]
}

@test "clocks-at-symbols" {
  cat >p.ini <<'END'
[faultshim]
doors = symbols
[rule off]
calls = @time.read
fault = skew 1h
END
  run fs run -q -s 1 -p p.ini -- "$victims/clocks" read offset:realtime $(printf 'wait:%s:40 ' nanosleep poll select until-real until-mono cond \
    mutex rdlock wrlock sem join mtx cond-clock timerfd-until timer-until mq)
  [ "$status" -eq 0 ] && [[ $output == "read ok"*"realtime +3600000"* && $output != *failed* ]]
}

@test "late-holds-what-ends-by-its-time" {
  run_say_clocks 'calls=@time.sleep,@time.wait,@net.poll fault=late:100ms' $(printf 'wait:%s:10 ' nanosleep until-real poll select epoll_wait cond mutex \
    sem sigtimedwait)
  while read -r _ took; do [ "$took" -ge 110 ] || return 1; done <<<"$output"
  [ "${#lines[@]}" -eq 9 ]
  faults | jq -e -s 'length >= 9 and all(.fault == "late" and .amount == 100000000)'
  # what comes in time is not held
  run_say 'calls=poll fault=late:5s' timer on:unix send poll timer
  [[ $output =~ timer\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -lt 4000 ]
}

@test "what-libstdc++-waits-for-is-right-under-skew-and-drift" {
  local fault
  bare waits_cxx >wanted
  for fault in skew:1h skew:-1h drift:rate=0.5,clock=all jump:-1h,clock=all; do
    limit=60 run under "calls=@time.read fault=$fault" -- waits_cxx
    [ "$status" -eq 0 ] && diff wanted <(echo "$output")
  done
}

@test "waits-end-early-as-ever-under-drift" {
  # by pthread_cancel, by signals, by longjmp: also while a wait is made in slices
  local fault part
  for fault in skew:1h drift:rate=0.3,clock=all; do
    for part in cancelled interrupted jumps; do
      limit=40 run under "calls=@time.read,@time.sleep fault=$fault" -- waits $part
      [ "$status" -eq 0 ] || { echo "$fault $part: $output" && return 1; }
    done
  done
}

@test "pythons-scheduler-goes-by-its-own-clock" {
  cat >timing.py <<'END'
import sched, threading, time
t0, w0 = time.monotonic(), time.time()
done = []
s = sched.scheduler(time.monotonic, time.sleep)
for i in range(3):
    s.enter(0.05 * (i + 1), 1, done.append, (i,))
s.run()
assert done == [0, 1, 2] and 0.15 <= time.monotonic() - t0 < 20
lock = threading.Lock()
lock.acquire()
assert not threading.Event().wait(0.05) and not lock.acquire(timeout=0.05)
print("wall", round((time.time() - w0) / 3600), "steady", time.monotonic() - t0 < 20)
END
  run clean python3 timing.py
  says "wall 0 steady True"
  run fs run -q -s 1 -r 'calls=clock_nanosleep nth=2 fault=jump:2h' -- python3 timing.py
  says "wall 2 steady True"
}

# asyncio and threading.Timer wait by CLOCK_MONOTONIC: a jump of the wall clock is none of theirs, and a drift of all clocks is.
@test "pythons-timers-and-event-loop-go-by-their-own-clock" {
  cat >timers.py <<'END'
import asyncio, threading, time
t0, w0, order = time.monotonic(), time.time(), []
timer = threading.Timer(0.1, order.append, ("timer",))
timer.start()
timer.join()
assert 0.1 <= time.monotonic() - t0 < 20
async def main():
    loop = asyncio.get_running_loop()
    loop.call_later(0.15, order.append, "later")
    loop.call_later(0.05, order.append, "soon")
    start = loop.time()
    await asyncio.sleep(0.2)
    assert 0.2 <= loop.time() - start < 20
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.05)
    except asyncio.TimeoutError:
        order.append("timeout")
asyncio.run(main())
print(" ".join(order), "wall", round((time.time() - w0) / 3600))
END
  run clean /usr/bin/python3 timers.py
  says "timer soon later timeout wall 0"
  # while the timer waits
  run fs run -q -s 1 -r 'calls=@time.wait nth=1 fault=jump:2h' -- /usr/bin/python3 timers.py
  says "timer soon later timeout wall 2"
  run fs run -q -s 1 -r 'calls=@time.wait nth=1 fault=jump:-2h' -- /usr/bin/python3 timers.py
  says "timer soon later timeout wall -2"
  for rate in 5 0.3; do
    run fs run -q -s 1 -r "calls=@time fault=drift:rate=$rate,clock=all" -- /usr/bin/python3 timers.py
    says "timer soon later timeout wall 0"
  done
}

@test "a-replay-moves-the-clocks-again" {
  run_say_clocks 'calls=clock_gettime nth=2 fault=jump:1h..3h' offset:realtime offset:realtime
  first=$output
  run fs replay
  [[ $output == *"$(sed -n 2p <<<"$first")"* ]]
}

@test "faults-of-clocks-are-refused-where-they-do-not-fit" {
  local line
  while IFS='|' read -r line want; do
    printf '[rule a]\n%b\n' "$line" >p.ini
    run fs check p.ini
    [ "$status" -ne 0 ] && [[ $output == *"p.ini:"*"$want"* ]] || { echo "$line: $output" && return 1; }
  done <<'END'
calls = read\nfault = skew 5m|skew can't act on read
calls = @file\nfault = late 5ms|late fits none of the calls
calls = @time.read\nfault = skew|skew has no duration
calls = @time.read\nfault = drift|drift has no rate
calls = @time.read\nfault = drift rate=1|a drift of nothing
calls = @time.read\nfault = drift rate=5000|out of bounds
calls = @time.read\nfault = strobe delta=1s|strobe has no period
calls = @time.read\nfault = jump -1h clock=monotonic|only CLOCK_REALTIME can go backwards
calls = @time.read\nfault = skew 5m clock=sun|clock has no 'sun'
calls = @time.read\nfault = skew 5m\nfault = jump 1h|can't be one of several faults
END
}

# --- early ---

interruptible=(poll ppoll select pselect epoll_wait epoll_pwait epoll_pwait2 sem sem-clock sigtimedwait semtimedop mq aio)
woken=(cond cond-mono cond-clock cnd)
early_calls='@time.wait,@net.poll,mq_timedreceive'

under_symbols() { # RULE OPERATION...
  printf '[faultshim]\ndoors = symbols\n' >symbols.ini
  fs run -q -s 1 --expect=any -p symbols.ini -r "$1" -- "$victims/clocks" "${@:2}"
}

@test "early-ends-a-wait-as-its-manual-page-lets-it-end" {
  local kind rule="calls=$early_calls fault=early:10%..40% times=2"
  for kind in "${interruptible[@]}"; do
    run under "$rule" -- clocks "patient:$kind:300"
    says "$kind EINTR EINTR timeout" || return 1
    faults | jq -e -s 'length == 2 and all(.fault == "early" and .amount > 0 and .amount <= 120000000)'
  done
  for kind in "${woken[@]}"; do
    run under "$rule" -- clocks "patient:$kind:300"
    says "$kind woken woken timeout" || return 1
  done
  # a mutex ends a wait by its time alone
  for kind in mutex mutex-clock rdlock wrlock join mtx; do
    run under "$rule" -- clocks "patient:$kind:30"
    says "$kind timeout" || return 1
  done
}

@test "early-is-the-same-at-symbols-and-under-other-clocks" {
  local kind
  for kind in "${interruptible[@]}"; do
    run under_symbols "calls=$early_calls fault=early:10%..40% times=1" "patient:$kind:200"
    says "$kind EINTR timeout" || return 1
  done
  for kind in "${woken[@]}"; do
    run under_symbols "calls=$early_calls fault=early:10%..40% times=1" "patient:$kind:200"
    says "$kind woken timeout" || return 1
  done
  for kind in poll select cond sem cond-mono; do
    run under 'calls=@time.read fault=skew:1h' "calls=$early_calls fault=early:10%..40% times=1" -- clocks read "patient:$kind:200"
    [[ $output == "read ok"$'\n'"$kind "@(EINTR|woken)" timeout" ]] || { echo "$output" && return 1; }
  done
}

@test "early-may-be-a-time-out-too-soon-where-the-rule-asks-for-any-errno" {
  run under 'calls=pthread_mutex_timedlock,pthread_rwlock_timedrdlock fault=early:10%' -- clocks patient:mutex:50
  [ "$status" -eq 125 ]
  [[ $output == *"pthread_mutex_timedlock never ends before its time, by its manual page; write any-errno = yes"* ]]
  for kind in mutex mutex-clock rdlock wrlock join mtx; do
    run under 'calls=@time.wait fault=early:10% times=1 any-errno=yes' -- clocks "patient:$kind:200"
    says "$kind timeout too early" || return 1
  done
}

@test "early-leaves-alone-what-has-no-end-and-what-comes-in-time" {
  run_say 'calls=poll fault=early:50%' on:unix send poll
  [ "$status" -eq 0 ] && [[ $output == *"poll 1"* ]] || { echo "$output" && return 1; }
  # without a time there is no share of it
  fs run -q -s 1 --expect=any -r 'calls=select,pselect fault=early' -- /usr/bin/python3 -c '
import os, select, threading
r, w = os.pipe()
threading.Timer(0.2, lambda: os.write(w, b"x")).start()
assert select.select([r], [], []) == ([r], [], [])'
  [ "$(faults | wc -l)" -eq 0 ]
  run fs run -q -r 'calls=poll,sem_timedwait fault=early:10% space=10' -- "$victims/clocks" patient:poll:10
  [ "$status" -eq 125 ] && [[ $output == *"waits move no bytes; leave space out"* ]]
}

@test "early-waits-are-recomputed-and-replayed" {
  run under "calls=$early_calls fault=early:10%..40% times=3" -- clocks patient:poll:300 patient:sem:100 patient:cond:100
  says "poll EINTR EINTR EINTR timeout" "sem timeout" "cond timeout"
  fs verify -q
  run fs replay -q -- "$victims/clocks" patient:poll:300 patient:sem:100 patient:cond:100
  says "poll EINTR EINTR EINTR timeout" "sem timeout" "cond timeout"
}
