#!/usr/bin/env bats
# Head to head with what Debian has for the same purpose: libfaketime, strace -e inject and libfiu. Each test has a program that is right
# by itself, shows where the other tool makes it wrong or is not repeatable, and asks ours to be right there.

load ../common

prepare() {
  faketime=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1
}

under_faketime() { # WHAT PROGRAM...
  clean timeout -k 2 6 env LD_PRELOAD="${jemalloc:+$jemalloc:}$faketime" FAKETIME="$1" "${@:2}" 2>/dev/null
}
under_fiu() { # WHAT PROGRAM...
  clean timeout -k 2 20 fiu-run -x -c "$1" "${@:2}"
}

# How many different outputs so many runs of a command have: different RUNS COMMAND...
different() {
  local i
  for ((i = 0; i < $1; i++)); do
    rm -f ./data
    "${@:2}" 2>&1 | md5sum
  done | sort -u | wc -l
}

# Four threads, each with its own file: what became of each of its writes.
four_threads() {
  cat >four.py <<'END'
import os, threading
outcomes = [""] * 4
def work(who):
    fd = os.open("data%d" % who, os.O_WRONLY | os.O_CREAT)
    for i in range(150):
        try:
            outcomes[who] += "." if os.pwrite(fd, b"x" * 100, i * 100) == 100 else "s"
        except OSError as e:
            outcomes[who] += "E"
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print("\n".join(outcomes))
END
}

@test "one-seed-and-four-threads-are-one-set-of-faults" {
  four_threads
  # libfiu draws from one generator, which threads race for, and takes no seed
  [ "$(different 6 under_fiu 'enable_random name=posix/io/rw/pwrite,probability=0.1' /usr/bin/python3 four.py)" -gt 1 ]
  [ "$(different 6 fs run -q -s 7 -r 'calls=pwrite probability=10% fault=error:EIO' -- /usr/bin/python3 four.py)" -eq 1 ]
  [ "$(faults | jq -r .thread | sort -u | wc -l)" -eq 4 ]
}

@test "one-seed-is-one-series-of-errnos-and-short-counts" {
  [ "$(different 6 under_fiu 'enable_random name=posix/io/rw/write/reduce,probability=0.5' "$victims/say" on:file x60:write:100)" -gt 1 ]
  local ours=(fs run -q -s 7 -r 'calls=write probability=50% fault=short fault=error:EIO,ENOSPC,EINTR' -- "$victims/say" on:file x60:write:100)
  [ "$(different 6 "${ours[@]}")" -eq 1 ]
  run "${ours[@]}"
  [ "$(sort -u <<<"$output" | wc -l)" -ge 8 ]
}

@test "what-libstdc++-and-pthreads-wait-for-comes-in-time-under-skew" {
  # wait_until of a steady_clock, future.wait_for, timed_mutex: libfaketime hands its own time to waits by clocks that are none
  run under_faketime '+1h' "$victims/waits_cxx"
  [ "$status" -eq 124 ]
  run bare waits_cxx
  local wanted=$output skew
  for skew in 1h -1h; do
    limit=60 run under "calls=@time.read fault=skew:$skew" -- waits_cxx
    [ "$status" -eq 0 ] && [ "$output" = "$wanted" ]
  done
  limit=60 run under 'calls=@time.read fault=skew:1h' -- clocks wait:mutex:50 wait:cond:50
  [ "$status" -eq 0 ]
}

@test "jemalloc-preloaded-starts" {
  jemalloc=$(find /usr/lib -name 'libjemalloc.so.2' | head -n 1)
  run under_faketime '+1h' "$victims/tiny"
  [ "$status" -eq 124 ]
  run clean env LD_PRELOAD="$jemalloc" "$faultshim" run -q -s 1 -r 'calls=@time.read fault=skew:1h' -- "$victims/clocks" offset:realtime
  [ "$status" -eq 0 ]
  says "realtime +3600000"
}

@test "fortified-programs-are-met" {
  # __read_chk and its kin are not read
  run under_fiu 'enable name=posix/io/rw/read,failinfo=5' "$victims/fortified"
  [ "$status" -eq 0 ] && [[ $output == *"read 100"* ]]
  run under 'calls=read,pread,recv,recvfrom,poll,ppoll fault=error:EINTR' -- fortified
  [ "$status" -eq 0 ]
  says "open 0" "openat 0" "read -1 EINTR" "pread -1 EINTR" "recv -1 EINTR" "recvfrom -1 EINTR" "poll -1 EINTR" "ppoll -1 EINTR"
}

@test "a-program-that-exports-hash_get-has-its-own" {
  same_under_the_shim hash_get
}

@test "two-rules-on-one-call-are-two-rules" {
  # strace keeps one for each system call, the last
  run clean timeout 20 strace -f -qq -o strace.log -e inject=pwrite64:error=EIO:when=1+2 -e inject=pwrite64:error=ENOSPC:when=2+2 \
    "$victims/say" on:file x4:pwrite:1
  says "pwrite 1" "pwrite -1 ENOSPC" "pwrite 1" "pwrite -1 ENOSPC"
  run under 'calls=pwrite nth=1,3 fault=error:EIO' 'calls=pwrite nth=2,4 fault=error:ENOSPC' -- say on:file x4:pwrite:1
  says "pwrite -1 EIO" "pwrite -1 ENOSPC" "pwrite -1 EIO" "pwrite -1 ENOSPC"
}

@test "a-read-of-nothing-is-not-made-shorter" {
  # libfiu divides by the size
  run under_fiu 'enable name=posix/io/rw/read/reduce' "$victims/say" on:file write read:0
  [ "$status" -eq 136 ]
  run under 'calls=read,write fault=short' -- say on:file write:1 read:0 rewind read:1
  [ "$status" -eq 0 ]
  says "write 1" "read 0" "read 1"
}

@test "a-poll-of-a-millisecond-waits-at-a-clock-ten-times-as-fast" {
  # libfaketime rounds it down to none: a busy loop
  run under_faketime '+0 x10' "$victims/clocks" busy:1:200
  [ "$output" = "busy 200" ]
  run under 'calls=@time.read fault=drift:rate=10,clock=all' -- clocks offset:boottime busy:1:200
  [[ $output == *"busy 0" ]]
}
