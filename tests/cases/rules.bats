#!/usr/bin/env bats
# Each key of a rule has its effect.

load ../common

# Which of a number of like operations failed, as a list of their numbers.
failed() {
  awk '/ -1 |NULL/ { printf "%s%d", sep, NR; sep = " " } END { print "" }' <<<"$output"
}

@test "calls-takes-names-families-classes-and-globs" {
  run_say 'calls=fsync fault=error:EIO' on:file fsync fdatasync write
  [ "$(failed)" = "1" ]
  run_say 'calls=fsync,fdatasync fault=error:EIO' on:file fsync fdatasync write
  [ "$(failed)" = "1 2" ]
  run_say 'calls=@file.sync fault=error:EIO' on:file fsync fdatasync write syncfs
  [ "$(failed)" = "1 2 4" ]
  run_say 'calls=f*sync fault=error:EIO' on:file fsync fdatasync write syncfs
  [ "$(failed)" = "1 2" ]
  run_say 'calls=@file.sync,@file.write fault=error:EIO' on:file fsync write truncate rename
  [ "$(failed)" = "1 2 3" ]
}

@test "calls-answer-to-their-aliases-too" {
  run_say 'calls=pwrite64 fault=error:EIO' on:file pwrite write
  [ "$(failed)" = "1" ]
}

@test "files-are-files-and-sockets-are-sockets" {
  run_say 'calls=@file.write fault=error:EIO' on:file write on:tcp write on:unix writev on:pipe write
  [ "$(failed)" = "1" ]
  run_say 'calls=@net.send fault=error:EIO' on:file write on:tcp write on:unix writev on:pipe write
  [ "$(failed)" = "2 3" ]
  run_say 'calls=@pipe.write fault=error:EIO' on:file write on:tcp write on:unix writev on:pipe write
  [ "$(failed)" = "4" ]
  run_say 'calls=@net.recv fault=error:ECONNRESET' on:file write rewind read on:unix write read
  says "write 100" "read 100" "write 100" "read -1 ECONNRESET"
  run_say 'calls=@file.close fault=error:EIO' on:unix close on:pipe close on:file close
  [ "$(failed)" = "3" ]
}

@test "a-descriptor-is-known-by-what-it-is-now" {
  # a duplicate is the same file; a number that was a file and is a socket now is a socket
  run_say 'calls=@file.write fault=error:EIO' on:file dup write dup:2 write dup:3 write dup:f write close on:unix write dup:2 write
  says "write -1 EIO" "write -1 EIO" "write -1 EIO" "write -1 EIO" "close ok" "write 100" "write 100"
  # inherited: no call of this program has made it
  run bash -c "exec 5<>inherited; env -i '$faultshim' run -q -s 1 -r 'calls=write fd=5 path=**/inherited fault=error:EIO' -- \
    '$victims/say' on:fd:5 write"
  says "write -1 EIO"
  [ "$(stat -c %s inherited)" -eq 0 ]
}

@test "except-leaves-calls-out" {
  run_say 'calls=@file.write except=pwrite,writev fault=error:EIO' on:file write pwrite writev pwritev
  [ "$(failed)" = "1 4" ]
  run_say 'calls=@file.write except=p* fault=error:EIO' on:file write pwrite writev pwritev
  [ "$(failed)" = "1 3" ]
}

@test "path-chooses-files" {
  mkdir -p a/b
  run_say "calls=write path=$place/a/*.db fault=error:EIO" on:file:a/x.db write on:file:a/b/y.db write on:file:z.db write on:file:a/x.log write
  [ "$(failed)" = "1" ]
  run_say "calls=write path=$place/a/**.db fault=error:EIO" on:file:a/x.db write on:file:a/b/y.db write on:file:z.db write
  [ "$(failed)" = "1 2" ]
  run_say "calls=write path=*.db fault=error:EIO" on:file:a/x.db write on:file:a/b/y.db write on:file:z.db write on:file:a/x.log write
  [ "$(failed)" = "1 2 3" ]
  # the path of an argument, before there is a file
  run_say "calls=open,rename path=*.db fault=error:ENOSPC" open:new.db open:new.log rename:r.db rename:r.log
  [ "$(failed)" = "1 3" ]
}

@test "path-matches-a-file-by-either-of-its-names" {
  mkdir real
  ln -s real link
  run_say "calls=write path=$place/real/* fault=error:EIO" on:file:link/f write
  [ "$(failed)" = "1" ]
  run_say "calls=write path=$place/link/* fault=error:EIO" on:file:link/f write
  [ "$(failed)" = "1" ]
  run_say "calls=write path=$place/real/* fault=error:EIO" chdir:real on:file:f write on:file:../g write
  [ "$(failed)" = "1" ]
}

@test "path-holds-for-duplicates-and-children" {
  run_say 'calls=write path=*.db fault=error:EIO' on:file:x.db dup write in-child:write in-thread:t:write
  [ "$(failed)" = "1 2 3" ]
}

@test "not-path-leaves-files-out" {
  run_say 'calls=write not-path=*.log fault=error:EIO' on:file:x.db write on:file:x.log write
  [ "$(failed)" = "1" ]
  run_say 'calls=write path=x.* not-path=*.log fault=error:EIO' on:file:x.db write on:file:x.log write on:file:y.db write
  [ "$(failed)" = "1" ]
}

@test "path-considers-files-only" {
  run_say 'calls=write path=** fault=error:EIO' on:unix write on:pipe write on:file write
  [ "$(failed)" = "3" ]
}

@test "fd-chooses-descriptors-and-is-the-only-way-to-the-standard-ones" {
  run_say 'calls=write fault=error:EIO' on:fd:1 write:0 on:file write
  says "write 0" "write -1 EIO"
  run_say 'calls=statx fd=3..4 fault=error:EIO' on:file statx statx_empty
  says "statx ok" "statx_empty -1 EIO"
  run_say 'calls=write fd=1 fault=error:EIO' on:fd:1 write:0 on:file write
  says "write -1 EIO" "write 100"
  run_say 'calls=write fd=3..4 fault=error:EIO' on:file write on:unix write dup:2 write
  [ "$(failed)" = "1 2" ]
}

@test "peer-chooses-connections" {
  run_say 'calls=send peer=127.0.0.1:* fault=error:ECONNRESET' on:tcp send on:udp send on:unix send
  [ "$(failed)" = "1 2" ]
  run_say 'calls=send peer=10.0.0.1:* fault=error:ECONNRESET' on:tcp send on:udp send on:unix send
  [ "$(failed)" = "" ]
  run_say 'calls=connect peer=127.0.0.1:* fault=error:ECONNREFUSED' connect
  says "connect -1 ECONNREFUSED"
  run_say 'calls=connect peer=*:1 fault=error:ECONNREFUSED' connect
  says "connect ok"
  run_say 'calls=getaddrinfo peer=host:nowhere.example fault=error:EAI_NONAME' getaddrinfo:127.0.0.1 getaddrinfo:nowhere.example
  says "getaddrinfo ok" "getaddrinfo EAI_NONAME"
}

@test "peer-knows-addresses-by-the-names-that-were-asked" {
  run_say 'calls=connect peer=host:localhost fault=error:ETIMEDOUT' connect getaddrinfo:localhost connect
  says "connect ok" "getaddrinfo ok" "connect -1 ETIMEDOUT"
}

@test "local-chooses-by-this-end" {
  run_say 'calls=recv local=127.0.0.1:* fault=error:ECONNRESET' on:tcp send recv on:unix send recv
  says "send 100" "recv -1 ECONNRESET" "send 100" "recv 100"
  run_say 'calls=recv local=10.*:* fault=error:ECONNRESET' on:tcp send recv
  says "send 100" "recv 100"
}

@test "size-chooses-by-length" {
  run_say 'calls=write size=100..200 fault=error:EIO' on:file write:99 write:100 write:200 write:201
  [ "$(failed)" = "2 3" ]
  run_say 'calls=malloc size=1KiB.. fault=error:ENOMEM' malloc:1023 malloc:1024 malloc:500000
  [ "$(failed)" = "2 3" ]
  run_say 'calls=calloc,reallocarray size=..1000 fault=error:ENOMEM' calloc:1000 calloc:1001 reallocarray:1000 reallocarray:1008
  [ "$(failed)" = "1 3" ]
  run_say 'calls=writev size=100 fault=error:EIO' on:file writev:99 writev:100
  [ "$(failed)" = "2" ]
}

@test "caller-chooses-by-the-calling-module" {
  run under 'calls=write caller=plugin.so fault=error:ENOSPC' -- life plugin "$victims/plugin.so" lazy
  says "plugin -28" "plugin -28" "plugin -28"
  run under 'calls=write caller=say fault=error:ENOSPC' -- life plugin "$victims/plugin.so" lazy
  says "plugin 6" "plugin 6" "plugin 6"
  run_say 'calls=malloc caller=libc.so.6 fault=error:ENOMEM' malloc fopen
  says "malloc ok" "fopen NULL ENOMEM"
  run_say "calls=malloc caller=$victims/* fault=error:ENOMEM" malloc fopen
  says "malloc NULL ENOMEM" "fopen ok"
}

@test "process-chooses-by-program-or-place-in-the-tree" {
  run_say 'calls=write process=1.2 fault=error:EIO' on:file write in-child:write in-child:write in-child:write
  [ "$(failed)" = "3" ]
  run_say 'calls=write process=say fault=error:EIO' on:file write
  [ "$(failed)" = "1" ]
  run_say 'calls=write process=other fault=error:EIO' on:file write
  [ "$(failed)" = "" ]
  # a wrapper in front is not the victim
  run fs run -q -s 1 -r 'calls=write process=say fault=error:EIO' -- /usr/bin/env "$victims/say" on:file write
  [ "$(failed)" = "1" ]
}

@test "thread-chooses-by-name" {
  run_say 'calls=write thread=worker fault=error:EIO' on:file write in-thread:other:write in-thread:worker:write
  [ "$(failed)" = "3" ]
  run_say 'calls=write thread=2 fault=error:EIO' on:file write in-thread:a:write in-thread:b:write
  [ "$(failed)" = "3" ]
  run_say 'calls=write thread=0 fault=error:EIO' on:file write in-thread:a:write
  [ "$(failed)" = "1" ]
}

@test "probability-is-the-share-that-fires" {
  run under 'calls=write key=thread probability=10% fault=error:EIO' -- robust loop 20000
  [[ $output =~ ^loop\ 20000\ errors\ ([0-9]+)$ ]]
  # five standard deviations
  [ "${BASH_REMATCH[1]}" -gt 1788 ] && [ "${BASH_REMATCH[1]}" -lt 2212 ]
  run under 'calls=write probability=0 fault=error:EIO' -- robust loop 1000
  says "loop 1000 errors 0"
  run under 'calls=write probability=100% fault=error:EIO' -- robust loop 1000
  says "loop 1000 errors 1000"
  run under 'calls=write probability=0.5 fault=error:EIO' -- robust loop 10000
  [[ $output =~ ^loop\ 10000\ errors\ ([0-9]+)$ ]]
  [ "${BASH_REMATCH[1]}" -gt 4750 ] && [ "${BASH_REMATCH[1]}" -lt 5250 ]
}

@test "nth-chooses-candidates-by-number" {
  local want
  while IFS='|' read -r nth want; do
    run_say "calls=write nth=$nth fault=error:EIO" on:file x12:write:1
    [ "$(failed)" = "$want" ] || { echo "nth=$nth: $(failed)" && return 1; }
  done <<'END'
7|7
3,9,12|3 9 12
5..10|5 6 7 8 9 10
5..10+2|5 7 9
9+|9 10 11 12
1|1
END
}

@test "interval-chooses-every-nth" {
  run_say 'calls=write interval=4 fault=error:EIO' on:file x12:write:1
  [ "$(failed)" = "4 8 12" ]
  run_say 'calls=write skip=1 interval=4 fault=error:EIO' on:file x12:write:1
  [ "$(failed)" = "5 9" ]
}

@test "skip-lets-the-first-ones-pass" {
  run_say 'calls=write skip=9 fault=error:EIO' on:file x12:write:1
  [ "$(failed)" = "10 11 12" ]
}

@test "times-limits-the-faults-of-the-whole-run" {
  run_say 'calls=write times=3 fault=error:EIO' on:file x6:write:1
  [ "$(failed)" = "1 2 3" ]
  run_say 'calls=write times=2 key=thread fault=error:EIO' on:file in-thread:a:write in-thread:b:write in-child:write write
  [ "$(failed)" = "1 2" ]
}

@test "space-lets-bytes-pass-first" {
  run_say 'calls=write space=250 fault=error:ENOSPC' on:file x5:write:100
  [ "$(failed)" = "3 4 5" ]
  run_say 'calls=write space=300 fault=error:ENOSPC' on:file x5:write:100
  [ "$(failed)" = "4 5" ]
  run_say 'calls=write space=250 key=resource fault=error:ENOSPC' on:file:a x3:write:100 on:file:b x3:write:100
  [ "$(failed)" = "3 6" ]
}

@test "active-is-drawn-once-a-run" {
  local n=0 seed
  for seed in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    run fs run -q -s $seed --expect=any -r 'calls=write active=50% fault=error:EIO' -- "$victims/say" on:file x5:write:1
    case $(failed) in
    '1 2 3 4 5') n=$((n + 1)) ;;
    '') ;;
    *) echo "a rule was active in a part of a run: $output" && return 1 ;;
    esac
  done
  [ "$n" -ge 3 ] && [ "$n" -le 17 ]
}

@test "sticky-keeps-firing" {
  run_say 'calls=write nth=2 sticky=no fault=error:EIO' on:file:a x3:write:1 on:file:b x2:write:1
  [ "$(failed)" = "2" ]
  run_say 'calls=write nth=2 sticky=resource fault=error:EIO' on:file:a x3:write:1 on:file:b x2:write:1 on:file:a write:1
  [ "$(failed)" = "2 3 6" ]
  run_say 'calls=write nth=2 sticky=rule fault=error:EIO' on:file:a x3:write:1 on:file:b x2:write:1
  [ "$(failed)" = "2 3 4 5" ]
}

@test "sticky-on-a-resource-holds-in-other-threads-and-processes" {
  run_say 'calls=write nth=1 sticky=resource fault=error:EIO' on:file:a write in-thread:t:write in-child:write on:file:b write
  [ "$(failed)" = "1 2 3" ]
  run_say 'calls=write nth=1 sticky=rule fault=error:EIO' on:file:a in-child:write write
  [ "$(failed)" = "1 2" ]
}

@test "key-thread-counts-in-each-thread" {
  run_say 'calls=write key=thread nth=2 fault=error:EIO' on:file x2:write:1 in-thread:t:x3:write:1 in-child:x2:write:1
  [ "$(failed)" = "2 4 7" ]
}

@test "key-resource-counts-on-each-file-whoever-uses-it" {
  run_say 'calls=write key=resource nth=2 fault=error:EIO' on:file:a write in-thread:t:write on:file:b write in-child:write write
  [ "$(failed)" = "2 4" ]
}

@test "key-site-counts-at-each-place-in-the-program" {
  # write and pwrite are called from two places: each has a first time
  run_say 'calls=write,pwrite key=site nth=1 fault=error:EIO' on:file write write pwrite pwrite write
  [ "$(failed)" = "1 3" ]
}

@test "key-run-counts-over-everything" {
  run_say 'calls=write,pwrite key=run nth=3 fault=error:EIO' on:file:a write in-thread:t:pwrite on:file:b in-child:write write
  [ "$(failed)" = "3" ]
}

@test "without-a-key-counting-rules-count-over-the-run" {
  run_say 'calls=write nth=3 fault=error:EIO' on:file:a write in-thread:t:write on:file:b in-child:write write
  [ "$(failed)" = "3" ]
}

@test "rules-are-tried-in-order-and-the-first-that-fires-wins" {
  run under 'calls=write nth=2 fault=error:EIO' 'calls=write nth=2..3 fault=error:ENOSPC' -- say on:file x4:write:1
  says "write 1" "write -1 EIO" "write -1 ENOSPC" "write 1"
  run under 'calls=write nth=2..3 fault=error:ENOSPC' 'calls=write nth=2 fault=error:EIO' -- say on:file x4:write:1
  says "write 1" "write -1 ENOSPC" "write -1 ENOSPC" "write 1"
}

@test "another-rule-changes-no-faults-of-the-first" {
  run under 'calls=write probability=30% fault=error:EIO' -- say on:file x100:write:1
  one=$(grep -n EIO <<<"$output")
  run under 'calls=read probability=50% fault=error:EIO' 'calls=write probability=20% fault=error:ENOSPC' -- say on:file x100:write:1
  cat >p.ini <<'END'
[rule other]
calls = write
probability = 20%
fault = error ENOSPC
[rule r1]
calls = write
probability = 30%
fault = error EIO
END
  run fs run -q -s 1 -p p.ini -- "$victims/say" on:file x100:write:1
  # where the other rule won, the first's fault is not seen; nowhere is there one that was not there before
  diff <(grep -n EIO <<<"$output") <(grep -n EIO <<<"$output" | grep -xFf <(echo "$one"))
  [ "$(grep -c EIO <<<"$output")" -ge 10 ]
}

@test "continue-lets-a-delay-and-an-error-come-together" {
  run under 'calls=write fault=delay:50ms continue=yes' 'calls=write fault=error:EIO' -- say timer on:file write timer
  says_like "write -1 EIO" "timer *"
  [[ $output =~ timer\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 50 ]
  [ "$(fs log --json --faults | wc -l)" -ge 2 ]
  run under 'calls=write fault=delay:50ms' 'calls=write fault=error:EIO' -- say on:file write
  says "write 100"
}

@test "faults-of-a-rule-are-weighted-alternatives" {
  cat >p.ini <<'END'
[rule mixed]
calls = write
key = thread
fault = error EIO weight=8
fault = error ENOSPC
fault = short
END
  run fs run -q -s 1 -p p.ini -- "$victims/say" on:file x200:write:100
  local eio enospc short
  eio=$(grep -c EIO <<<"$output")
  enospc=$(grep -c ENOSPC <<<"$output")
  short=$((200 - eio - enospc))
  [ "$eio" -gt 130 ] && [ "$enospc" -gt 5 ] && [ "$short" -gt 5 ] && [ "$enospc" -lt 45 ] && [ "$short" -lt 45 ]
}

@test "alternatives-that-cannot-act-are-not-drawn" {
  cat >p.ini <<'END'
[rule mixed]
calls = @file.write
key = thread
fault = short weight=1000
fault = error EIO
END
  run fs run -q -s 1 -p p.ini -- "$victims/say" on:file x5:write:1 fallocate
  [ "$(failed)" = "1 2 3 4 5 6" ]
}

@test "message-stands-in-the-trace" {
  cat >p.ini <<'END'
[rule full]
calls = write
fault = error ENOSPC
message = the disk of the second floor
END
  run fs run -s 1 -p p.ini -- "$victims/say" on:file write
  run fs log --faults
  [[ $output == *"the disk of the second floor"* ]] || grep -q 'the disk of the second floor' faultshim.trace
}

@test "any-errno-accepts-what-the-manual-page-does-not-list" {
  run fs run -q -s 1 -r 'calls=write fault=error:EXDEV' -- "$victims/say" on:file write
  [ "$status" -eq 125 ]
  run_say 'calls=write fault=error:EXDEV any-errno=yes' on:file write
  says "write -1 EXDEV"
}

@test "stack-chooses-by-the-functions-above-the-call" {
  run_say 'calls=malloc size=50 stack=alloc_here fault=error:ENOMEM' here there
  says "here NULL" "there ok"
  run_say 'calls=malloc size=50 not-stack=alloc_here fault=error:ENOMEM' here there
  says "here ok" "there NULL"
  # farther up, by pattern, and no farther than depth says
  run_say 'calls=malloc size=50 stack=op_he* fault=error:ENOMEM' here there
  says "here NULL" "there ok"
  run_say 'calls=malloc size=50 stack=op_here depth=1 fault=error:ENOMEM' here
  says "here ok"
  run_say 'calls=malloc size=50 stack=op_here depth=2 fault=error:ENOMEM' here
  says "here NULL"
  run_say 'calls=malloc size=50 stack=main not-stack=op_there fault=error:ENOMEM' here there
  says "here NULL" "there ok"
  fs verify -q
}

@test "stack-chooses-by-module-and-offset-and-on-every-kind-of-call" {
  run_say 'calls=malloc size=50 stack=say+0x* depth=1 fault=error:ENOMEM' here
  says "here NULL"
  run_say 'calls=malloc size=50 stack=libc.so.6+0x* depth=1 fault=error:ENOMEM' here
  says "here ok"
  local doors
  for doors in auto symbols; do
    printf '[faultshim]\ndoors = %s\n[rule a]\ncalls = write\nstack = op_write\ndepth = 1\nfault = error EIO\n' $doors >p.ini
    run fs run -q -s 1 -p p.ini -- "$victims/say" on:file write writev
    says "write -1 EIO" "writev 100"
    printf '[faultshim]\ndoors = %s\n[rule a]\ncalls = write\nstack = op_here main\nfault = error EIO\n' $doors >p.ini
    run fs run -q -s 1 -p p.ini -- "$victims/say" on:file write
    says "write -1 EIO"
  done
  # a handler stands on any stack: none matches
  run_say 'calls=write stack=main fault=error:EIO' write-in-handler:USR1 on:file:a raise-signal:USR1 write
  says "handler 1" "write -1 EIO"
}

@test "without-libunwind-rules-on-stacks-say-so" {
  mkdir lib
  echo nothing >lib/libunwind.so.8
  environment+=(LD_LIBRARY_PATH="$place/lib")
  run_say 'calls=write stack=main fault=error:EIO' on:file write
  says "faultshim: libunwind.so.8 cannot be loaded: the trace has no call stacks, rules that look at them never fire" "write 100"
}

@test "enabled-no-leaves-a-rule-out" {
  run_say 'calls=write fault=error:EIO enabled=no' on:file write
  says "write 100"
  # and still checks it
  run fs run -q -r 'calls=wriet fault=error:EIO enabled=no' -- "$victims/say"
  [ "$status" -eq 125 ]
}

@test "keys-of-later-versions-are-refused-not-ignored" {
  run fs run -q -r "calls=write fault=error:EIO node=x" -- "$victims/say" on:file write
  [ "$status" -eq 125 ]
  [[ $output == *"not yet supported"* ]]
}
