#!/usr/bin/env bats
# short, delay, crash, corrupt, lost, early: what each does to a program, on each kind of call where it makes sense.

load ../common

# --- short ---

@test "short-write-moves-fewer-bytes-and-says-so" {
  run_say 'calls=write,pwrite,writev,pwritev,pwritev2 fault=short' on:file write:1000
  [[ $output =~ ^write\ ([0-9]+)$ ]]
  n=${BASH_REMATCH[1]}
  [ "$n" -ge 1 ] && [ "$n" -lt 1000 ]
  [ "$(stat -c %s data)" -eq "$n" ]
  faults | jq -e --argjson n "$n" '.fault == "short" and .amount == $n and .size == 1000 and .call == "write"'
}

@test "short-holds-for-every-transfer-on-files" {
  local call
  bare say on:file write:5000
  for call in write pwrite writev pwritev pwritev2 read pread readv preadv preadv2 copy_file_range sendfile splice; do
    run_say "calls=$call fault=short" on:file $call:900
    [[ $output =~ ^$call\ ([0-9]+)$ ]] || { echo "$call: $output" && return 1; }
    [ "${BASH_REMATCH[1]}" -ge 1 ] && [ "${BASH_REMATCH[1]}" -lt 900 ]
  done
}

@test "short-holds-for-streams-and-large-writes-to-pipes" {
  local call
  for call in write writev send sendto sendmsg; do
    run_say "calls=$call fault=short" on:unix $call:900
    [[ $output =~ ^$call\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -lt 900 ] || { echo "$call: $output" && return 1; }
  done
  for call in read readv recv recvfrom recvmsg; do
    run_say "calls=$call fault=short" on:tcp write:900 $call:900
    [[ $output =~ $call\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -lt 900 ] || { echo "$call: $output" && return 1; }
  done
  run_say "calls=write fault=short" on:pipe write:20000
  [[ $output =~ ^write\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -lt 20000 ]
  run_say "calls=read fault=short" on:pipe write:900 read:900
  [[ $output =~ read\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -lt 900 ]
  run_say "calls=getrandom fault=short" getrandom:300
  [[ $output =~ ^getrandom\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -lt 300 ]
}

@test "short-leaves-alone-what-is-never-short" {
  # datagrams, atomic writes to pipes, single bytes
  run_say 'calls=write,send,read,recv fault=short' on:dgram send:900 recv:900 on:pipe write:900 on:file write:1 rewind read:1
  says "send 900" "recv 900" "write 900" "write 1" "read 1"
  [ "$(faults | wc -l)" -eq 0 ]
}

@test "short-keeps-to-sectors-where-the-file-demands-it" {
  dd if=/dev/zero of=data bs=64k count=1 2>/dev/null
  run bare say on:file direct read:65536
  if [[ $output != *"read 65536"* ]]; then skip "no O_DIRECT on this file system"; fi
  run_say 'calls=read key=thread fault=short' on:file direct x20:read:65536
  local n
  while read -r _ n _; do
    [ $((n % 4096)) -eq 0 ] && [ "$n" -gt 0 ] && [ "$n" -lt 65536 ] || [ "$n" -eq 0 ]
  done <<<"$output"
}

@test "correct-loops-survive-short-transfers-and-interruptions" {
  run under 'calls=@file.read,@file.write,@net.send,@net.recv,@pipe.read,@pipe.write fault=short probability=50% continue=no' \
    'calls=@file,@net,@pipe except=close fault=error:EINTR probability=20%' -- robust all 300000
  [ "$status" -eq 0 ]
  says "file 300000 ok" "pipe 300000 ok" "unix 300000 ok" "tcp 300000 ok" "udp 300000 ok"
  [ "$(faults | how_many '.fault == "short"')" -gt 100 ]
  [ "$(faults | how_many '.errno == "EINTR"')" -gt 50 ]
  fs verify -q
}

# --- delay ---

@test "delay-holds-the-call-and-then-carries-it-out" {
  run_say 'calls=write fault=delay:60ms' timer on:file write timer content
  says_like "write 100" "timer *" "content 100"
  [[ $output =~ timer\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 60 ]
  faults | jq -e '.fault == "delay" and .amount == 60000000'
}

@test "delay-after-holds-the-answer" {
  run_say 'calls=send fault=delay:60ms,when=after' timer on:unix send timer recv
  says_like "send 100" "timer *" "recv 100"
  [[ $output =~ timer\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 60 ]
}

@test "delay-fits-every-family" {
  local op
  for op in open fsync malloc mmap clock_gettime nanosleep fork pthread_create getrandom getaddrinfo poll socket; do
    run_say "calls=$op fault=delay:30ms" on:file timer $op timer
    [[ $output =~ timer\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -ge 30 ] || { echo "$op: $output" && return 1; }
  done
}

@test "delay-draws-from-its-range" {
  run_say 'calls=write key=thread fault=delay:1us..400us' on:file x40:write:1
  [ "$(faults | jq .amount | sort -u | wc -l)" -ge 35 ]
  faults | jq -e -s 'all(.amount >= 1000 and .amount <= 400000)'
  run_say 'calls=write key=thread fault=delay:100us±50us' on:file x40:write:1
  faults | jq -e -s 'all(.amount >= 50000 and .amount <= 150000)'
  [ "$(faults | jq .amount | sort -u | wc -l)" -ge 35 ]
}

@test "delay-is-interrupted-by-no-signal-handler" {
  run under 'calls=pwrite nth=100 fault=delay:30ms' -- life signal-handler
  [ "$status" -eq 0 ]
}

@test "delay-follows-the-distribution-that-it-is-given" {
  # a quarter of log-uniform draws from 1us to 10ms lies in each power of ten; the median of pareto is below 1.5 of the least
  run_say 'calls=write key=thread fault=delay:1us..10ms,dist=log-uniform' on:file x200:write:1
  faults | jq -e -s 'map(.amount) | all(. >= 1000 and . <= 10000000) and (map(select(. < 10000)) | length > 25 and length < 80)
    and (map(select(. > 1000000)) | length > 25 and length < 80)'
  run_say 'calls=write key=thread fault=delay:1us..1ms,dist=pareto' on:file x200:write:1
  faults | jq -e -s 'map(.amount) | all(. >= 1000 and . <= 1000000) and (sort | .[100] < 1500) and (map(select(. > 4000)) | length > 3)'
  run_say 'calls=write key=thread fault=delay:100us±10us,dist=normal' on:file x200:write:1
  faults | jq -e -s 'map(.amount) | (map(select(. > 90000 and . < 110000)) | length > 115 and length < 165)
    and (map(select(. < 80000 or . > 120000)) | length > 0 and length < 25)'
  run_say 'calls=write key=thread fault=delay:1us..100us,dist=normal' on:file x200:write:1
  faults | jq -e -s 'map(.amount) | all(. >= 1000 and . <= 100000) and (map(select(. > 34000 and . < 67000)) | length > 110)'
  fs verify -q
}

@test "delay-spikes-multiply-a-share" {
  run_say 'calls=write key=thread fault=delay:1us..2us,spike=20%x50' on:file x200:write:1
  faults | jq -e -s 'map(.amount) | all((. >= 1000 and . <= 2000) or (. >= 50000 and . <= 100000)) and
    (map(select(. >= 50000)) | length > 20 and length < 65)'
  fs verify -q
}

# --- stall, signal, pause, cpu, memory, yield ---

@test "stall-holds-the-call-and-then-carries-it-out" {
  run_say 'calls=write fault=stall:max=60ms' timer on:file write timer content
  says_like "write 100" "timer *" "content 100"
  [[ $output =~ timer\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 60 ]
  faults | jq -e '.fault == "stall" and .amount == 60000000 and .errno == null'
  # without an end it lasts for as long as its rule is there
  run fs run -q --timeout 1s -s 1 -r 'calls=write fault=stall' -- "$victims/say" on:file:held write
  [ "$status" -eq 124 ]
  [ "$(stat -c %s held)" -eq 0 ]
}

@test "stall-can-end-in-an-error" {
  run_say 'calls=recv fault=stall:max=30ms,ETIMEDOUT' on:tcp timer write recv timer recv
  says_like "write 100" "recv -1 ETIMEDOUT" "timer *" "recv -1 ETIMEDOUT"
  [[ $output =~ timer\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 30 ]
  faults | jq -e -s 'length == 2 and .[0].errno == "ETIMEDOUT"'
}

@test "signal-is-delivered-and-the-call-goes-on" {
  run_say 'calls=write fault=signal:USR1' handle:USR1 on:file write content
  says "got SIGUSR1" "write 100" "content 100"
  faults | jq -e '.fault == "signal" and .amount == 10'
  run_say 'calls=malloc fault=signal:SIGTERM' malloc
  [ "$status" -eq 143 ]
}

@test "pause-stops-every-thread-and-goes-on" {
  run_say 'calls=fsync fault=pause:150ms' heart on:file write fsync gap
  says_like "write 100" "fsync ok" "gap *"
  [[ $output =~ gap\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 150 ]
  faults | jq -e '.fault == "pause" and .amount == 150000000'
  # again and again, and with the signal that ends it handled by the program
  run_say 'calls=write fault=pause:1ms' handle:CONT on:file x20:write:1
  [ "$(grep -c '^write 1$' <<<"$output")" -eq 20 ]
  # so short that it may be over before the process has stopped
  limit=20 run_say 'calls=write fault=pause:1us' on:file x100:write:1
  [ "$(grep -c '^write 1$' <<<"$output")" -eq 100 ]
}

@test "cpu-burns-processor-time" {
  run_say 'calls=write fault=cpu:80ms' cpu on:file write cpu
  says_like "cpu *" "write 100" "cpu *"
  [[ ${lines[2]} =~ ^cpu\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -ge 79 ]
  faults | jq -e '.fault == "cpu" and .amount == 80000000'
}

@test "memory-is-taken-kept-and-given-back" {
  # taken at the write; given back at a call that a rule considers when the time is over
  run under 'calls=write fault=memory:32MiB,for=50ms' 'calls=fsync probability=0 fault=cpu:1ms' \
    -- say on:file resident write resident nanosleep:60 fsync resident
  [[ $output =~ resident\ ([0-9]+).write\ 100.resident\ ([0-9]+).nanosleep.*resident\ ([0-9]+)$ ]]
  [ $((BASH_REMATCH[2] - BASH_REMATCH[1])) -ge 32768 ]
  # pages of the program that were touched meanwhile stay
  [ $((BASH_REMATCH[2] - BASH_REMATCH[3])) -ge 32000 ]
  faults | jq -e '.fault == "memory" and .amount == 33554432'
}

@test "yield-gives-the-processor-away-or-sleeps" {
  run_say 'calls=write key=thread fault=yield' on:file x40:write:1
  [ "$(grep -c '^write 1$' <<<"$output")" -eq 40 ]
  faults | jq -e -s 'length == 40 and (map(select(.amount == 0)) | length > 8) and (map(select(.amount > 0)) | length > 8) and
    all(.amount <= 50000)'
  run under 'calls=write,read,send,recv fault=yield' -- robust all 30000
  [ "$status" -eq 0 ]
  fs verify -q
}

# --- crash ---

@test "crash-before-leaves-nothing-of-the-call" {
  run_say 'calls=write nth=2 fault=crash:before' on:file write:100 write:100
  [ "$status" -eq 137 ]
  says "write 100"
  [ "$(stat -c %s data)" -eq 100 ]
  faults | jq -e '.fault == "crash" and .call == "write"'
}

@test "crash-without-a-word-is-before" {
  run_say 'calls=write fault=crash' on:file write:100
  [ "$status" -eq 137 ]
  [ "$(stat -c %s data)" -eq 0 ]
}

@test "crash-after-leaves-the-call-done-and-unreported" {
  run_say 'calls=write nth=2 fault=crash:after' on:file write:100 write:100
  [ "$status" -eq 137 ]
  says "write 100"
  [ "$(stat -c %s data)" -eq 200 ]
}

@test "crash-during-leaves-a-part" {
  run_say 'calls=write fault=crash:during' on:file write:10000
  [ "$status" -eq 137 ]
  local size
  size=$(stat -c %s data)
  [ "$size" -gt 0 ] && [ "$size" -lt 10000 ]
  [ "$(faults | jq .amount)" -eq "$size" ]
}

@test "crash-takes-the-signal-that-it-is-given" {
  local signal number
  while read -r signal number; do
    run_say "calls=write fault=crash:signal=$signal" on:file write
    [ "$status" -eq $((128 + number)) ] || { echo "$signal: status $status" && return 1; }
  done <<'END'
KILL 9
ABRT 6
SEGV 11
TERM 15
END
}

@test "crash-can-be-an-exit-with-a-status" {
  run_say 'calls=fsync fault=crash:exit=3' on:file write fsync
  [ "$status" -eq 3 ]
  says "write 100"
}

@test "crash-takes-the-process-and-tree-the-whole-run" {
  run_say 'calls=fsync process=1.1 fault=crash' on:file in-child:fsync write
  [ "$status" -eq 0 ]
  says "child 137" "write 100"
  run_say 'calls=fsync process=1.1 fault=crash:tree' on:file in-child:fsync write
  [ "$status" -eq 137 ]
  says ""
}

@test "crash-works-on-calls-that-cannot-fail" {
  run_say 'calls=clock_gettime nth=2 fault=crash' clock_gettime clock_gettime
  [ "$status" -eq 137 ]
  says "clock_gettime ok"
}

# --- corrupt ---

@test "corrupt-transient-changes-what-is-read-and-not-what-is-stored" {
  bare say on:file write:1000
  run_say 'calls=read nth=1 fault=corrupt:transient' on:file read:1000 rewind read:1000 content
  says "read 1000 bits=1 bytes=1 zeros=0" "read 1000" "content 1000"
  faults | jq -e '.fault == "corrupt" and .amount == 1'
}

@test "corrupt-stored-changes-what-is-written-and-not-the-programs-buffer" {
  run_say 'calls=write nth=1 fault=corrupt:stored' on:file write:1000 content
  says "write 1000" "content 1000 bits=1 bytes=1 zeros=0"
  run_say 'calls=send nth=1 fault=corrupt:stored' on:unix send:500 recv:500 send:500 recv:500
  says "send 500" "recv 500 bits=1 bytes=1 zeros=0" "send 500" "recv 500"
  # a buffer in read-only memory can be corrupted on its way all the same
  run under 'calls=write,writev,pwrite fault=corrupt:stored' -- calls vectors
  [ "$status" -ne 139 ]
}

@test "corrupt-bits-and-bytes-come-in-the-number-asked-for" {
  bare say on:file write:4000
  run_say 'calls=read fault=corrupt:bits=5' on:file read:4000
  [[ $output =~ ^read\ 4000\ bits=5\  ]]
  run_say 'calls=read fault=corrupt:bytes=7' on:file read:4000
  [[ $output =~ ^read\ 4000\ bits=[0-9]+\ bytes=7\  ]]
  # no more than there are
  run_say 'calls=read fault=corrupt:bytes=500' on:file read:20
  [[ $output =~ ^read\ 20\ bits=[0-9]+\ bytes=20\  ]]
}

@test "corrupt-zero-and-junk-take-all-of-it" {
  bare say on:file write:1000
  run_say 'calls=read fault=corrupt:zero' on:file read:1000
  [[ $output =~ ^read\ 1000\ bits=[0-9]+\ bytes=1000\ zeros=1000$ ]]
  run_say 'calls=read fault=corrupt:junk' on:file read:1000
  [[ $output =~ ^read\ 1000\ bits=([0-9]+)\ bytes=9[0-9]+\ zeros=[0-9]$ ]]
  [ "${BASH_REMATCH[1]}" -gt 3600 ] && [ "${BASH_REMATCH[1]}" -lt 4400 ]
}

@test "corrupt-reaches-every-read-and-write-with-a-buffer" {
  local call
  bare say on:file write:2000
  for call in read pread readv preadv preadv2; do
    run_say "calls=$call fault=corrupt:bytes=3" on:file $call:900
    [[ $output =~ ^$call\ 900\ bits=[0-9]+\ bytes=3\  ]] || { echo "$call: $output" && return 1; }
  done
  for call in recv recvfrom recvmsg read readv; do
    run_say "calls=$call fault=corrupt:bytes=3" on:udp send:900 $call:900
    [[ $output =~ $call\ 900\ bits=[0-9]+\ bytes=3\  ]] || { echo "$call: $output" && return 1; }
  done
  for call in write pwrite writev pwritev pwritev2; do
    rm -f data
    run_say "calls=$call fault=corrupt:bytes=3" on:file $call:900 content
    [[ $output =~ ^$call\ 900.content\ 900\ bits=[0-9]+\ bytes=3\  ]] || { echo "$call: $output" && return 1; }
  done
  for call in send sendto sendmsg write writev; do
    run_say "calls=$call fault=corrupt:bytes=3" on:unix $call:900 recv:900
    [[ $output =~ ^$call\ 900.recv\ 900\ bits=[0-9]+\ bytes=3\  ]] || { echo "$call: $output" && return 1; }
  done
  run_say "calls=write fault=corrupt:bytes=3" on:pipe write:900 read:900
  [[ $output =~ ^write\ 900.read\ 900\ bits=[0-9]+\ bytes=3\  ]]
}

@test "corrupt-changes-only-what-came" {
  bare say on:file write:10
  run_say 'calls=read fault=corrupt:zero' on:file read:1000 read:1000
  says_like "read 10 bits=* bytes=10 zeros=10" "read 0"
}

@test "corrupt-at-rest-changes-the-file-itself" {
  bare say on:file write:1000
  touch -d '2001-02-03' data
  # what is read is damaged, stays damaged, and shows in a mapping that stood before
  run_say 'calls=read nth=1 path=data fault=corrupt:at-rest,bits=3' on:file map mapped read:1000 mapped content
  says "mapped 1000" "read 1000 bits=3 bytes=3 zeros=0" "mapped 1000 bits=3 bytes=3 zeros=0" "content 1000 bits=3 bytes=3 zeros=0"
  [ "$(date -r data +%Y)" -eq 2001 ]
  faults | jq -e '.fault == "corrupt" and .amount == 3'
  # on a descriptor that can't write, before the file is opened, and after it was written
  bare say on:file write:1000
  run_say 'calls=open path=**/data nth=1 fault=corrupt:at-rest,bytes=4' open:data content
  [[ $output =~ open\ ok.content\ 1000\ bits=[0-9]+\ bytes=4\  ]]
  bare say on:file write:1000
  run_say 'calls=mmap path=**/data fault=corrupt:at-rest,bits=2' on:file map mapped
  says "mapped 1000 bits=2 bytes=2 zeros=0"
  rm data
  run_say 'calls=write path=data fault=corrupt:at-rest,zero' on:file write:300 content
  says_like "write 300" "content 300 bits=* bytes=300 zeros=300"
  rm data
  run_say 'calls=fsync path=data fault=corrupt:at-rest,junk' on:file write:5000 fsync content
  [[ $output =~ content\ 5000\ bits=[0-9]+\ bytes=5[01][0-9]\  ]]
}

@test "corrupt-replace-puts-one-text-in-the-place-of-another" {
  run_say 'calls=write fault=corrupt:replace="old"->"new"' on:file text:old-gold on:unix text:old-gold read_text
  says "text 8" "text 8" "text new-gnew"
  [ "$(cat data)" = new-gnew ]
  # longer and shorter on sockets and pipes: the program hears of its own length
  run_say 'calls=send,write fault=corrupt:replace="200 OK"->"503 Service Unavailable"' on:unix text:'HTTP/1.1 200 OK' read_text
  says "text 15" "text HTTP/1.1 503 Service Unavailable"
  run_say 'calls=read fault=corrupt:replace="20\x30"->"4"' on:pipe text:'a 200 b 200' read_text
  says "text 11" "text a 4 b 4"
  # no more than the program's buffer holds
  run_say 'calls=read fault=corrupt:replace="a"->"xyz"' on:unix text:aaaa read_text:7
  says "text 4" "text xyzxyzx"
  faults | jq -e '.fault == "corrupt" and .amount == 3'
}

# --- torn, misdirect, twice, evict ---

@test "torn-leaves-some-sectors-out-and-reports-all" {
  run_say 'calls=write fault=torn' on:file write:5120 offset content
  [[ ${lines[0]} == "write 5120" && ${lines[1]} == "offset 5120" ]]
  [[ ${lines[2]} =~ ^content\ 5120\ bits=[0-9]+\ bytes=([0-9]+)\ zeros=([0-9]+)$ ]]
  [ "${BASH_REMATCH[1]}" -eq "${BASH_REMATCH[2]}" ]
  [ $((BASH_REMATCH[1] % 512)) -eq 0 ] && [ "${BASH_REMATCH[1]}" -gt 0 ] && [ "${BASH_REMATCH[1]}" -lt 5120 ]
  faults | jq -e --argjson n $((BASH_REMATCH[1] / 512)) '.fault == "torn" and .amount == $n'
  # what was there before stays where a sector is lost; sectors count from the start of the file
  bare say on:file rewind write:5120
  run_say 'calls=pwrite fault=torn:sector=100' on:file pwrite:150 pwrite:30 content
  [[ ${lines[1]} == "pwrite 30" && ${lines[2]} == "content 5120" ]]
  # every write with a buffer, and at the end of a file too
  local call
  for call in write pwrite writev pwritev pwritev2; do
    rm data
    run_say "calls=$call fault=torn:sector=64" on:file append $call:640 content
    [[ $output =~ ^$call\ 640.content\ 640\ bits=[0-9]+\ bytes=([0-9]+)\ zeros ]] || { echo "$call: $output" && return 1; }
    [ $((BASH_REMATCH[1] % 64)) -eq 0 ] && [ "${BASH_REMATCH[1]}" -gt 0 ] && [ "${BASH_REMATCH[1]}" -lt 640 ]
  done
  # a write within one sector is whole
  run_say 'calls=write fault=torn' on:file write:512
  [ "$(faults | wc -l)" -eq 0 ]
}

@test "torn-with-crash-leaves-the-pieces-behind" {
  run_say 'calls=write fault=torn:then=crash' on:file write:5120
  [ "$status" -eq 137 ]
  run bare say on:file content
  [[ $output =~ ^content\ 5120\ bits=[0-9]+\ bytes=([0-9]+)\ zeros=([0-9]+)$ ]]
  [ "${BASH_REMATCH[1]}" -eq "${BASH_REMATCH[2]}" ] && [ "${BASH_REMATCH[1]}" -gt 0 ]
}

@test "misdirect-writes-to-another-offset" {
  run_say 'calls=write nth=2 fault=misdirect:by=400' on:file write:100 write:100 write:100 offset
  says "write 100" "write 100" "write 100" "offset 300"
  [ "$(stat -c %s data)" -eq 600 ]
  # the place that was meant is a hole, the other one holds the bytes
  cmp <(dd if=data bs=1 skip=100 count=100 2>/dev/null) <(head -c 100 /dev/zero)
  cmp <(dd if=data bs=1 skip=500 count=100 2>/dev/null) <(bare say on:file:whole write:300 >/dev/null; dd if=whole bs=1 skip=100 count=100 2>/dev/null)
  faults | jq -e '.fault == "misdirect" and .amount == 400'
  rm data
  run_say 'calls=pwrite nth=2 fault=misdirect:by=-60' on:file pwrite:100 pwrite:100
  [ "$(stat -c %s data)" -eq 140 ]
  rm data
  run_say 'calls=write nth=2 fault=misdirect:by=50' on:file append write:100 write:100
  [ "$(stat -c %s data)" -eq 250 ]
}

@test "misdirect-writes-to-another-file" {
  # one that the program has open, or one of that very name; if there is none, the write goes where it belongs
  run_say 'calls=write path=**/data fault=misdirect:to=**/oth*' on:file:other write:10 on:file:data write:100 offset
  says "write 10" "write 100" "offset 100"
  [ "$(stat -c %s data)" -eq 0 ] && [ "$(stat -c %s other)" -eq 100 ]
  run_say 'calls=write path=**/data fault=misdirect:to=third' on:file:data write:100
  [ "$(stat -c %s data)" -eq 100 ]
  touch third
  run_say 'calls=write path=**/data fault=misdirect:to=third' on:file:data write:100
  [ "$(stat -c %s third)" -eq 100 ]
}

@test "twice-writes-twice" {
  run_say 'calls=write,writev nth=1 fault=twice' on:file write:100 append writev:50 offset
  says "write 100" "writev 50" "offset 250"
  [ "$(stat -c %s data)" -eq 250 ]
  cmp <(head -c 100 data) <(dd if=data bs=1 skip=100 count=100 2>/dev/null)
  faults | jq -e '.fault == "twice" and .amount == 100'
}

@test "evict-drops-what-is-cached" {
  run bare say on:file write:409600 cached
  says "write 409600" "cached 100"
  # some file systems are the page cache
  case $(stat -f -c %T .) in tmpfs | ramfs | overlayfs) skip "files live in memory here" ;; esac
  run_say 'calls=fsync fault=evict' on:file rewind write:409600 cached fsync cached content
  [[ $output == *"cached 100"*"fsync ok"*"cached 0"*"content 409600" ]]
}

# --- quota, bad-sector, fsync-fail ---

@test "quota-cuts-the-write-that-crosses-it-and-fails-the-next" {
  run_say 'calls=@file.write fault=quota:250' on:file write:100 write:100 write:100 write:100 rewind write:250 writev
  says "write 100" "write 100" "write 50" "write -1 ENOSPC" "write 250" "writev -1 ENOSPC"
  [ "$(stat -c %s data)" -eq 250 ]
  faults | jq -e -s 'length == 3 and .[0].amount == 50 and .[0].errno == null and .[1].errno == "ENOSPC" and .[1].amount == 0'
  fs verify -q
  run_say 'calls=@file.write fault=quota:0,EDQUOT' on:file:other write
  says "write -1 EDQUOT"
}

@test "quota-is-given-back-by-unlink-truncate-and-replacing" {
  run_say 'calls=@file.write fault=quota:250' on:file write:250 write ftruncate:100 write:50 remove-file on:file write:250 create write:10
  says "write 250" "write -1 ENOSPC" "ftruncate ok" "write -1 ENOSPC" "remove-file ok" "write 250" "create ok" "write -1 ENOSPC"
  rm -f data
  run_say 'calls=@file.write fault=quota:250' on:file:old write:200 on:file:data write:100 replace:old on:file:new write:250
  says "write 200" "write 50" "replace ok" "write 200"
  # what was there before the run can make room too
  rm -f data old new
  bare say on:file:old write:1000
  run_say 'calls=@file.write fault=quota:100' on:file write:200 remove-file:old append write:600
  says "write 100" "remove-file ok" "write 600"
  fs verify -q
}

@test "quota-holds-for-every-way-to-grow-a-file" {
  local call
  bare say on:file write:100
  for call in write:200 pwrite:200 writev:200 pwritev:200 pwritev2:200 copy_file_range:200 sendfile:200 splice:200; do
    rm -f data
    run_say 'calls=@file.write path=**/data fault=quota:150' on:file $call
    says "${call%:*} 150"
  done
  for call in ftruncate truncate fallocate; do
    rm -f data
    run_say 'calls=@file.write fault=quota:150' on:file $call:151 $call:150
    [[ $output == "$call -1 ENOSPC"*"$call ok" ]] || { echo "$call: $output" && return 1; }
  done
  rm -f data
  run_say 'calls=@file.write fault=quota:150' on:file posix_fallocate:151 posix_fallocate:150
  says "posix_fallocate ENOSPC" "posix_fallocate ok"
}

@test "quota-is-one-account-for-all-processes-and-threads-of-the-run" {
  run_say 'calls=@file.write fault=quota:250' on:file:a in-child:write:200 on:file:b in-thread:t:write:40 write:40
  says "write 200" "write 40" "write 10"
  run fs run -q -s 1 -r 'calls=write path=**/f* fault=quota:100000' -- \
    /bin/sh -c "for i in 1 2 3 4; do '$victims/say' on:file:f\$i x40:write:1000 & done; wait"
  [ "$(grep -c ENOSPC <<<"$output")" -ge 56 ]
  [ "$(cat f? | wc -c)" -eq 100000 ]
  fs verify -q
}

@test "bad-sector-stays-bad-until-it-is-written" {
  bare say on:file write:5000
  run_say 'calls=@file.read nth=2 fault=bad-sector' on:file read:600 read:2000 read:3000 read:100 rewind read:5000 pread:5000
  [[ ${lines[1]} =~ ^read\ ([0-9]+)$ ]]
  local bad=$((600 + BASH_REMATCH[1]))
  [ $((bad % 512)) -eq 0 ] || [ "$bad" -eq 600 ] || bad=$((bad / 512 * 512))
  [[ $output == *"EIO"* ]]
  fs verify -q
  # found again from other descriptors, other calls and other processes; healed by a write over it
  run_say 'calls=@file.read nth=1 fault=bad-sector' on:file read:400 in-child:read:400 again read:400 rewind write:100 rewind read:400 \
    rewind write:512 rewind read:400
  says "read -1 EIO" "read -1 EIO" "read -1 EIO" "write 100" "read -1 EIO" "write 512" "read 400"
  faults | jq -e -s 'length == 4 and all(.fault == "bad-sector" and .errno == "EIO")'
  fs verify -q
  # whichever rule has made it
  run under 'calls=read nth=1 fault=bad-sector' 'calls=pread nth=99 fault=bad-sector' -- say on:file read:400 pread:400
  says "read -1 EIO" "pread -1 EIO"
  fs verify -q
  # a fault that is there already is not joined by it
  run under 'calls=@file.read fault=short continue=yes' 'calls=@file.read fault=bad-sector' -- say on:file read:400 read:400
  says_like "read [0-9]*" "read [0-9]*"
  fs verify -q
  # at the end of a file there is nothing to be bad
  run_say 'calls=read fault=bad-sector' on:file:empty read
  says "read 0"
}

@test "fsync-fail-tells-each-open-file-once" {
  # 3 and 4 are two open files, 77 is a copy of 4; 5 is opened when all is over
  run_say 'calls=fsync,fdatasync nth=1 fault=fsync-fail' on:file again dup:2 write fsync on:fd:4 fsync on:fd:3 fdatasync fsync again fsync
  says "write 100" "fsync -1 EIO" "fsync ok" "fdatasync -1 EIO" "fsync ok" "fsync ok"
  faults | jq -e -s 'length == 2 and all(.fault == "fsync-fail" and .errno == "EIO")'
  fs verify -q
  # what a child inherits is the same open file
  run_say 'calls=fsync nth=1 fault=fsync-fail' on:file in-child:fsync fsync
  says "fsync -1 EIO" "fsync ok"
  # and other files have nothing to do with it
  run_say 'calls=fsync nth=1 fault=fsync-fail' on:file fsync on:file:other fsync
  says "fsync -1 EIO" "fsync ok"
}

# A program that writes and syncs, in words of its own: store WORD... under a rule whose syncs fail as asked for.
#   open:NAME[:dsync|:append|:wo]   write:AT:N:CHAR   sync   retry (until a sync succeeds)   cut:N   rename:FROM:TO   unlink:NAME
#   map:CHAR   child (the rest in a child)   die   show
cat >"$BATS_FILE_TMPDIR/store.py" <<'END'
import mmap, os, signal, sys
def sync():
    try:
        os.fsync(fd)
        return "ok"
    except OSError as e:
        return os.strerror(e.errno)
modes = {"dsync": os.O_RDWR | os.O_DSYNC, "append": os.O_WRONLY | os.O_APPEND, "wo": os.O_WRONLY, "": os.O_RDWR}
for word in sys.argv[1:]:
    op, *a = word.split(":")
    if op == "open": fd = os.open(a[0], os.O_CREAT | modes[a[1] if len(a) > 1 else ""], 0o600)
    elif op == "write": os.pwrite(fd, a[2].encode() * int(a[1]), int(a[0]))
    elif op == "sync": print("sync", sync())
    elif op == "retry":
        while (said := sync()) != "ok": print("retry", said)
    elif op == "cut": os.ftruncate(fd, int(a[0]))
    elif op == "rename": os.rename(a[0], a[1])
    elif op == "unlink": os.unlink(a[0])
    elif op == "map": m = mmap.mmap(fd, 0); m[0:1] = a[0].encode(); m.flush()
    elif op == "show": print("live", os.pread(fd, 1 << 20, 0).decode().replace("\0", "0"))
    elif op == "die": sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)
    elif op == "child":
        if os.fork(): sys.exit(os.waitpid(-1, 0)[1])
    sys.stdout.flush()
END

store() { # RULE WORD...
  rm -f data other
  run fs run -q -s 1 --expect=any -o store.trace -r "$1" -- /usr/bin/python3 "$BATS_FILE_TMPDIR/store.py" "${@:2}"
}

# What a file holds, in runs of equal bytes: "A4096 B10".
holds() { # FILE TEXT
  local there
  there=$(/usr/bin/python3 -c '
import itertools, sys
print(*(f"{chr(c) if c else 0}{len(list(g))}" for c, g in itertools.groupby(open(sys.argv[1], "rb").read())))' "$1")
  [ "$there" = "$2" ] || { echo "wanted: $2, there: $there" && return 1; }
}

@test "fsync-fail-does-away-with-what-was-not-synced-when-the-run-is-over" {
  local rule='calls=fsync path=**/data nth=2 fault=fsync-fail'
  store "$rule" open:data write:0:5000:A sync write:4:3:B show sync sync show
  says_like "sync ok" "live AAAABBBA*" "sync Input/output error" "sync ok" "live AAAABBBA*"
  holds data "A5000"
  fs verify -q store.trace
  # a program that tries again until it hears of success
  store "$rule" open:data write:0:5000:A sync write:4096:8:B retry
  says "sync ok" "retry Input/output error"
  holds data "A5000"
  # one that writes it again
  store "$rule" open:data write:0:5000:A sync write:0:5000:B sync write:0:5000:B sync
  says "sync ok" "sync Input/output error" "sync ok"
  holds data "B5000"
  # by whole pages, as the kernel writes them: the other page is still lost
  store "$rule" open:data write:0:8192:A sync write:0:8192:B sync write:0:1:C sync
  holds data "C1 B4095 A4096"
  # what had never been there is zeros
  store "$rule" open:data write:0:3:A sync write:3:6000:B sync
  holds data "A3 06000"
  store "$rule keep=1" open:data
  [ "$status" -eq 125 ]
}

@test "fsync-fail-can-keep-the-data" {
  store 'calls=fsync nth=2 fault=fsync-fail:keep-data' open:data write:0:10:A sync write:0:10:B sync
  says "sync ok" "sync Input/output error"
  holds data "B10"
  store 'calls=fsync nth=2 fault=fsync-fail:lose-data' open:data
  [ "$status" -eq 125 ] && [[ $output == *"fsync-fail takes no 'lose-data'; write fault = fsync-fail [keep-data]"* ]]
}

@test "fsync-fail-goes-by-the-file-whatever-becomes-of-its-name-and-size" {
  local rule='calls=fsync nth=2 fault=fsync-fail'
  store "$rule" open:data write:0:10:A sync write:0:10:B rename:data:other sync
  holds other "A10"
  store "$rule" open:data write:0:10:A sync write:0:10:B sync unlink:data open:data write:0:10:C
  holds data "C10"
  store "$rule" open:data write:0:9000:A sync write:0:9000:B sync cut:4100
  holds data "A4100"
  store "$rule" open:data write:0:9000:A sync write:0:9000:B sync cut:4100 write:5000:1:C
  holds data "A4096 B4 0900 C1"
  store "$rule" open:data write:0:9000:A sync write:0:9000:B cut:4100 sync
  holds data "A4100"
  # of another that takes its place
  store "$rule" open:other write:0:10:C open:data write:0:10:A sync write:0:10:B sync rename:other:data
  holds data "C10"
}

@test "fsync-fail-is-about-all-that-the-run-has-written" {
  local rule='calls=fsync nth=2 fault=fsync-fail'
  store "$rule" open:data write:0:10:A sync open:data:wo write:0:10:B child write:2:3:C sync
  holds data "A10"
  store "$rule" open:data write:0:10:A sync open:data:append write:0:10:B sync die
  [ "$status" -eq 137 ]
  holds data "A10 010"
  # what is durable when a write is over is not lost, and what goes through a mapping is not seen
  store "$rule" open:data write:0:10:A sync open:data:dsync write:0:10:B sync
  holds data "B10"
  store "$rule" open:data write:0:10:A sync map:B write:2:3:C sync
  holds data "B1 A1 C3 A5"
  # a sync of everything is one of this file
  fs run -q -s 1 --expect=any -r "$rule" -- /usr/bin/python3 -c '
import os
fd = os.open("data", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
os.fsync(fd); os.write(fd, b"A" * 10); os.sync(); os.pwrite(fd, b"B" * 4, 5000)
try: os.fsync(fd)
except OSError: pass'
  holds data "A10 04994"
}

@test "fsync-fail-shows-what-is-gone-when-the-cache-is-dropped" {
  fs run -q -s 1 --expect=any -o store.trace -r 'calls=fsync nth=2 fault=fsync-fail' -r 'calls=pread nth=2 fault=evict' -- \
    /usr/bin/python3 "$BATS_FILE_TMPDIR/store.py" open:data write:0:4:A sync write:0:4:B sync show show write:1:1:C sync >said
  run cat said
  says "sync ok" "sync Input/output error" "live BBBB" "live AAAA" "sync ok"
  holds data "A1 C1 A2"
}

@test "fsync-fail-at-symbols-and-the-card-says-what-is-gone" {
  printf '[faultshim]\ndoors = symbols\n[rule r]\ncalls = fsync\nnth = 2\nfault = fsync-fail\n' >p.ini
  fs run -s 1 -p p.ini --json --log card -- /usr/bin/python3 "$BATS_FILE_TMPDIR/store.py" open:data write:0:9000:A sync write:0:9000:B sync
  holds data "A9000"
  jq -e --arg path "$place/data" '.gone == [{path: $path, pages: 3, why_not: null}]' card
  # the journal's blocks are given back
  [ "$(stat -c %b faultshim.trace)" -lt 20000 ]
  # nothing is put back below a process that goes on
  fs run -s 1 -r 'calls=fsync nth=2 fault=fsync-fail' -- /bin/sh -c \
    "/usr/bin/python3 '$BATS_FILE_TMPDIR/store.py' open:data write:0:9:C sync write:0:9:D sync; sleep 3 >/dev/null 2>&1 & sleep 0.7" 2>log
  grep -q "not gone with a failed sync: 1 page of $place/data: processes of the run are still there" log
  holds data "D9 A8991"
}

@test "fsync-fail-without-the-command-loses-nothing-but-by-evict" {
  local words=(open:data write:0:4:A sync write:0:4:B sync show show)
  printf '%s\n' '[rule r]' 'calls = fsync' 'nth = 2' 'fault = fsync-fail' >p.ini
  clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_SEED=1 /usr/bin/python3 "$BATS_FILE_TMPDIR/store.py" "${words[@]}" >said
  diff said <(printf '%s\n' "sync ok" "sync Input/output error" "live BBBB" "live BBBB")
  [ "$(stat -c %b faultshim.trace)" -lt 20000 ]
  printf '%s\n' '[rule e]' 'calls = pread' 'nth = 2' 'fault = evict' >>p.ini
  rm -f data faultshim.trace
  clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE=p.ini FAULTSHIM_SEED=1 /usr/bin/python3 "$BATS_FILE_TMPDIR/store.py" "${words[@]}" >said
  diff said <(printf '%s\n' "sync ok" "sync Input/output error" "live BBBB" "live AAAA")
}

@test "fsync-fail-without-room-in-its-journal-says-so" {
  fs run -s 1 -r 'calls=fsync nth=1 fault=fsync-fail' -- /usr/bin/python3 -c '
import os
fd = os.open("data", os.O_RDWR | os.O_CREAT)
for i in range(90): os.write(fd, b"A" * (1 << 20))
try: os.fsync(fd)
except OSError: pass' 2>log
  grep -qE "the journal had no room for [0-9]+ pages: what was written to them can't be lost" log
  grep -qE "gone with a failed sync: 1[0-9]{4} pages of $place/data" log
  [ "$(stat -c %s data)" -eq $((90 << 20)) ]
  rm -f data
}

@test "faults-with-a-state-are-replayed-exactly" {
  run fs run -q -s 1 --expect=any -o a.trace -r 'calls=@file.write path=**/data fault=quota:250' \
    -r 'calls=@file.read path=**/data nth=2 fault=bad-sector' -r 'calls=fsync nth=1 fault=fsync-fail' \
    -r 'calls=malloc size=50 fault=once-per-stack' -r 'calls=@file.write path=**/torn fault=torn' -- "$victims/say" on:file \
    write:100 write:200 write:10 again rewind read:100 read:100 read:100 fsync on:fd:4 fsync fsync here there on:file:torn write:3000 content
  local first=$output
  [[ $output == *ENOSPC*EIO*NULL* ]]
  rm -f data torn faultshim.stacks
  run fs replay -q -o b.trace a.trace
  [ "$output" = "$first" ] || { diff <(echo "$first") <(echo "$output") && return 1; }
  fs diff -q a.trace b.trace
}

# --- budget, once-per-stack, descriptors ---

@test "budget-fails-allocations-until-memory-is-given-back" {
  run_say 'calls=@memory.alloc size=1000 fault=budget:20000' hold:30 hold:5 let-go:5 hold:30 let-go hold:10
  [[ ${lines[0]} =~ ^hold\ (1[5-9]|20)\ ENOMEM$ ]]
  [[ ${lines[1]} == "hold 0 ENOMEM" && ${lines[2]} == "hold 5 ENOMEM" && ${lines[3]} == "hold 10" ]]
  faults | jq -e -s 'length == 3 and all(.fault == "budget" and .errno == "ENOMEM" and .amount < 1000)'
  fs verify -q
  # so many times, and then no more
  run_say 'calls=malloc size=1000 fault=budget:0 times=2 sticky=rule' x5:malloc:1000
  [ "$(grep -c 'NULL ENOMEM' <<<"$output")" -eq 2 ]
  fs verify -q
  # a block that realloc makes larger counts once, and what failed is as it was
  run_say 'calls=@memory.alloc fault=budget:100000' x200:realloc:5000 x200:calloc x200:posix_memalign x200:aligned_alloc realloc:500000
  [ "$(grep -vc ' ok$' <<<"$output")" -eq 1 ]
  [[ $output == *"realloc NULL ENOMEM" ]]
}

@test "once-per-stack-fails-each-place-once-and-remembers" {
  run_say 'calls=malloc size=50 fault=once-per-stack' here here there there here
  says "here NULL" "here ok" "there NULL" "there ok" "here ok"
  faults | jq -e -s 'length == 2 and all(.errno == "ENOMEM" and .fault == "once-per-stack")'
  fs verify -q
  run_say 'calls=malloc size=50 fault=once-per-stack' here there
  says "here ok" "there ok"
  run_say 'calls=malloc size=50 fault=once-per-stack:file=others' here
  says "here NULL"
  # what has no times left remembers nothing
  run_say 'calls=malloc size=50 times=1 fault=once-per-stack:file=third' here there
  says "here NULL" "there ok"
  run_say 'calls=malloc size=50 times=1 fault=once-per-stack:file=third' here there
  says "here ok" "there NULL"
  rm faultshim.stacks
  run_say 'calls=write fault=once-per-stack:EIO' on:file x3:write
  says "write -1 EIO" "write 100" "write 100"
  # a signal handler stands on any stack: it is left alone
  run_say 'calls=write fault=once-per-stack:EIO' write-in-handler:USR1 on:file:a in-child:raise-signal:USR1 raise-signal:USR1
  says "handler 1" "handler 1"
  echo nonsense > others
  run fs run -q -r 'calls=malloc fault=once-per-stack:file=others' -- /bin/true
  [ "$status" -eq 125 ] && [[ $output == *"others: can't be used"* ]]
}

@test "descriptors-run-out-and-come-back" {
  run_say 'calls=open fault=descriptors:10' descriptors:20 close-all descriptors:5 in-child:descriptors:20 close-all
  [[ ${lines[0]} =~ ^descriptors\ ([1-7])\ EMFILE$ ]]
  [[ ${lines[1]} == "descriptors 5" && ${lines[2]} == *EMFILE ]]
  faults | jq -e -s 'length == 2 and all(.errno == "EMFILE" and .amount == 10)'
  run_say 'calls=@net.socket,@net.accept,@file.open fault=descriptors:4' socket on:file socket fopen creat
  says_like "socket ok" "socket -1 EMFILE" "fopen NULL EMFILE" "creat -1 EMFILE"
  fs verify -q
}

# --- lost ---

@test "lost-write-reports-success-moves-the-offset-and-stores-nothing" {
  run_say 'calls=write nth=2 fault=lost' on:file write:100 write:100 write:100 offset content
  [[ ${lines[1]} == "write 100" && ${lines[3]} == "offset 300" ]]
  [[ ${lines[4]} =~ ^content\ 300\ bits=[0-9]+\ bytes=100\ zeros=100$ ]]
}

@test "lost-write-stores-nothing-at-the-end-of-a-file-opened-to-append" {
  run_say 'calls=pwrite,pwritev,writev fault=lost' on:file pwrite:100 pwritev:100 writev:100 content
  [[ ${lines[0]} == "pwrite 100" && ${lines[1]} == "pwritev 100" && ${lines[2]} == "writev 100" ]]
  [[ $(stat -c %b data) -eq 0 ]]
}

@test "lost-sync-reports-success-and-syncs-nothing" {
  # files in /proc can't be synced: whoever is told otherwise, it was not tried
  run bare say on:file:/proc/self/comm fsync fdatasync
  says "fsync -1 EINVAL" "fdatasync -1 EINVAL"
  run_say 'calls=fsync,fdatasync fault=lost' on:file:/proc/self/comm fsync fdatasync
  says "fsync ok" "fdatasync ok"
  run_say 'calls=@file.sync fault=lost' on:file write fsync fdatasync sync_file_range syncfs msync
  says "write 100" "fsync ok" "fdatasync ok" "sync_file_range ok" "syncfs ok" "msync ok"
}

# --- fill, seeded ---

@test "fill-puts-a-pattern-into-fresh-memory" {
  run_say 'calls=@memory.alloc fault=fill' fresh:1000
  says "fresh 1000 of 0xa5" "fresh 20 of 0xa5"
  run_say 'calls=@memory.alloc fault=fill:byte=0x11' fresh:1000
  says "fresh 1000 of 0x11" "fresh 20 of 0x11"
  run_say 'calls=@memory.alloc fault=fill:junk' fresh:1000
  [[ $output =~ ^fresh\ ([0-9]+)\ of ]] && [ "${BASH_REMATCH[1]}" -lt 30 ]
  # calloc promises zeros, and realloc what stood there before
  run_say 'calls=@memory.alloc fault=fill' calloc realloc reallocarray posix_memalign aligned_alloc memalign valloc pvalloc
  says "calloc ok" "realloc ok" "reallocarray ok" "posix_memalign ok" "aligned_alloc ok" "memalign ok" "valloc ok" "pvalloc ok"
}

@test "seeded-bytes-are-those-of-the-seed" {
  local first
  run_say 'calls=getrandom fault=seeded' random random
  first=$output
  [ "${lines[0]}" != "${lines[1]}" ]
  run_say 'calls=getrandom fault=seeded' random random
  [ "$output" = "$first" ]
  seed=2 run_say 'calls=getrandom fault=seeded' random random
  [ "$output" != "$first" ]
  run_say 'calls=read path=/dev/urandom fault=seeded' urandom
  first=$output
  run_say 'calls=read path=/dev/urandom fault=seeded' urandom
  [ "$output" = "$first" ]
  run_say 'calls=getrandom,getentropy fault=seeded' getrandom:300 getentropy
  says "getrandom 300" "getentropy ok"
  run_say 'calls=@random key=thread fault=seeded' drawn drawn
  first=$output
  run_say 'calls=@random key=thread fault=seeded' drawn drawn
  [ "$output" = "$first" ] && [ "${lines[0]}" != "${lines[1]}" ]
  run fs run -q -r 'calls=read path=/dev/zero fault=seeded' -- /bin/true
  [ "$status" -eq 125 ] && [[ $output == *"seeded"* ]]
}

# --- the system: lost signals, exit-status, replace, locks ---

@test "lost-signals-are-not-sent-and-seem-to-be" {
  run_say 'calls=kill nth=1 fault=lost' handle:USR1 send-signal:USR1 send-signal:USR1
  says "send-signal ok" "got SIGUSR1" "send-signal ok"
  run_say 'calls=kill fault=error:EPERM' handle:USR1 send-signal:USR1
  says "send-signal -1 EPERM"
  # a process that is not there is told of all the same
  run under 'calls=kill,tgkill,pthread_kill,raise fault=lost' -- say kill tgkill pthread_kill raise
  [ "$status" -eq 0 ]
}

@test "exit-status-is-what-the-parent-sees" {
  run_say 'calls=waitpid,waitid fault=exit-status:7' exits:0
  says "exits 7 7" "stops 19"
  run_say 'calls=@process.wait fault=exit-status:0' exits:3
  says "exits 0 0" "stops 19"
  faults | jq -e -s 'length > 1 and all(.fault == "exit-status" and .amount == 0)'
}

@test "replace-tells-another-system" {
  run_say 'calls=uname,gethostname fault=replace:machine=aarch64,nodename="far away"' names
  says "names Linux|far away|aarch64|far away"
  run_say 'calls=gethostname fault=replace:nodename=elsewhere' names
  [[ $output == *"|elsewhere" && $output != *"|elsewhere|"* ]]
  run fs run -q -s 1 -r 'calls=uname fault=replace:machine=riscv64' -- uname -m
  [ "$output" = riscv64 ]
}

@test "locks-can-fail-and-be-late" {
  run_say 'calls=flock fault=error:EWOULDBLOCK' on:file flock
  says "flock -1 EAGAIN"
  run_say 'calls=fcntl_lock fault=error:EDEADLK' on:file fcntl_lock
  says "fcntl_lock -1 EDEADLK"
  run_say 'calls=pthread_mutex_timedlock,sem_timedwait fault=error:ETIMEDOUT' pthread_mutex_timedlock sem_timedwait
  says_like "pthread_mutex_timedlock ETIMEDOUT*" "sem_timedwait -1 ETIMEDOUT*"
  run_say 'calls=flock fault=delay:30ms' on:file timer flock timer
  [[ $output =~ timer\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -ge 30 ]
  run_say 'calls=pthread_mutex_lock fault=yield' pthread_mutex_lock
  says_like "pthread_mutex_lock *"
}

# --- early ---

@test "early-ends-a-sleep-with-eintr-and-the-remainder" {
  run_say 'calls=nanosleep,clock_nanosleep fault=early:10%..20%' timer nanosleep:400 timer clock_nanosleep:400 timer
  [[ ${lines[0]} =~ ^nanosleep\ EINTR\ rest=3[2-6][0-9]ms$ ]]
  [[ ${lines[1]} =~ ^timer\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -ge 40 ] && [ "${BASH_REMATCH[1]}" -lt 350 ]
  [[ ${lines[2]} =~ ^clock_nanosleep\ EINTR\ rest=3[2-6][0-9]ms$ ]]
}

@test "early-ends-usleep-and-sleep" {
  run_say 'calls=usleep,sleep fault=early:5%' timer usleep:400 timer sleep:4 timer
  says_like "usleep -1 EINTR" "timer *" "sleep [34]" "timer *"
  [[ ${lines[3]} =~ ^timer\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -lt 2000 ]
}

@test "a-sleep-loop-over-the-remainder-lasts-as-long-as-asked" {
  run fs run -q -s 3 --expect=any -r 'calls=clock_nanosleep,nanosleep fault=early times=3' -- /usr/bin/sleep 0.3
  [ "$status" -eq 0 ]
}
