#!/usr/bin/env bats
# error and error-after: on every call of the table, with every errno that its row allows.

load ../common

# The table's rows as "call|class on files|how it fails|errnos|errnos on sockets|errnos on pipes", by the preprocessor like everybody
# else.
rows() {
  printf '%s\n' '#define CALL(name, file, sock, pipe, nr, door, ret, fail, args, roles, errs, errs_sock, errs_pipe, page) ROW|name|file|fail|errs|errs_sock|errs_pipe' \
    '#define E(...) __VA_ARGS__' '#define E0' '#include "calls.def"' |
    gcc -E -P -I"$top/shim/engine" -x c - | tr '\n' ' ' | sed 's/ROW *|/\n/g' | sed -n 's/ *| */|/g; s/, */ /g; /|/p' | sed 's/ *$//'
  echo
}

# What has to be there before the call can be made on this kind of descriptor.
before() { # CALL KIND
  case $2:$1 in
  file:read | file:pread | file:readv | file:preadv | file:preadv2) echo "on:file write:4000 rewind" ;;
  # open under another name: descriptors of their own
  file:open | file:openat | file:creat | file:fopen) ;;
  file:*) echo "on:file" ;;
  sock:read | sock:recv* | sock:readv | sock:preadv2) echo "on:unix x3:write:1000" ;;
  sock:sendmmsg) echo "on:dgram" ;;
  sock:*) echo "on:unix" ;;
  pipe:eventfd_*) echo "on:event" ;;
  pipe:read | pipe:readv | pipe:preadv2) echo "on:pipe x3:write:1000" ;;
  pipe:*) echo "on:pipe" ;;
  esac
}

wanted() { # CALL HOW ERRNO: what say says of it
  local name=$3
  case $name in EWOULDBLOCK) name=EAGAIN ;; ENOTSUP) name=EOPNOTSUPP ;; esac
  case $1:$2 in
  nanosleep:* | clock_nanosleep:*)
    if [ "$name" = EINTR ]; then echo "$1 $name rest=*ms"; else echo "$1 $name rest=0ms"; fi ;;
  *:F_ERRNO) echo "$1 -1 $name" ;;
  *:F_NULL) echo "$1 NULL $name" ;;
  *:F_MAP) echo "$1 FAILED $name" ;;
  *:F_THRD)
    case $name in EBUSY) name=thrd_busy ;; ENOMEM) name=thrd_nomem ;; ETIMEDOUT) name=thrd_timedout ;; *) name=thrd_error ;; esac
    echo "$1 $name" ;;
  *:F_NUMBER | *:F_EAI) echo "$1 $name" ;;
  *:F_HERR | *:F_HERR_R | *:F_RES) echo "$1 $name" ;;
  *:F_DL) echo "$1 NULL libm.so.6 (fault): cannot open shared object file: No such file or directory" ;;
  *:F_REST) echo "$1 [0-9]*" ;;
  esac
}

# One run for each call: the first candidate fails with the first errno, the second with the second, and so on.
every_errno() { # KIND CALL HOW ERRNO...
  local kind=$1 call=$2 how=$3 rules=() expected=() ops=() n=0 name op
  shift 3
  read -ra ops <<<"$(before "$call" "$kind")"
  for name in "$@"; do
    n=$((n + 1))
    rules+=("calls=$call nth=$n fault=error:$name")
    expected+=("$(wanted "$call" "$how" "$name")")
    case $name in
    EAGAIN | EWOULDBLOCK | EINPROGRESS | EALREADY)
      rules[n - 1]+=' any-errno=yes' ;;
    esac
    op=try-$call
    [ "$call" != sleep ] || op=sleep:7
    case $call in close) ops+=(on:"${kind/sock/unix}" close) ;; *) ops+=("$op") ;; esac
  done
  [ "$n" -gt 0 ] || return 0
  rm -rf ./*
  run under "${rules[@]}" -- say "${ops[@]}"
  # what came before the calls that are looked at is left out
  output=$(grep "^$call " <<<"$output" | { case $call in write) tail -n "$n" ;; *) cat ;; esac })
  says_like "${expected[@]}" || { echo "of $call on $kind, with $*: $output" && return 1; }
  [ "$(faults | wc -l)" -eq "$n" ]
}

each_call() { # KIND HOW-MANY CLASSES: a pattern
  local call class how errs socks pipes tried=0
  while IFS='|' read -r call class how errs socks pipes; do
    # shellcheck disable=SC2053  # a pattern on purpose
    [[ $class == $3 ]] || continue
    case $1 in file) ;; sock) errs=$socks ;; pipe) errs=$pipes ;; esac
    [ -n "$errs" ] || continue
    # shellcheck disable=SC2086  # words
    every_errno "$1" "$call" "$how" $errs
    tried=$((tried + 1))
  done < <(rows)
  [ "$tried" -ge "$2" ] || { echo "tried $tried calls" && return 1; }
}

@test "every-call-on-files-fails-with-every-errno-of-its-row" {
  each_call file 141 'C_FILE_*'
}
@test "every-call-on-networks-pipes-and-memory-fails-with-every-errno-of-its-row" {
  each_call file 91 'C_@(NET|PIPE|MEMORY|RANDOM)_*'
}
@test "every-call-on-time-and-processes-fails-with-every-errno-of-its-row" {
  each_call file 120 'C_@(TIME|PROCESS)_*'
}
@test "every-call-on-sockets-fails-with-every-errno-of-its-row" {
  each_call sock 33 '*'
}
@test "every-call-on-pipes-fails-with-every-errno-of-its-row" {
  each_call pipe 18 '*'
}
@test "no-row-is-left-out-by-the-three-tests-of-families" {
  [ "$(rows | awk -F'|' '$2 != "C_NONE" && $4 != "" && $2 !~ /^C_(FILE|NET|PIPE|MEMORY|RANDOM|TIME|PROCESS)_/' | wc -l)" -eq 0 ]
}

@test "error-does-nothing-of-the-call" {
  run_say 'calls=write fault=error:EIO' on:file write:100 offset content
  says "write -1 EIO" "offset 0" "content 0"
  run_say 'calls=rename fault=error:ENOSPC' rename:old
  [ -e old ] && ! [ -e name-2 ]
  run_say 'calls=open,creat fault=error:EMFILE' open:new creat:new2
  ! [ -e new ] && ! [ -e new2 ]
}

@test "error-draws-among-several-errnos" {
  run_say 'calls=write key=thread fault=error:EIO,ENOSPC,EDQUOT' on:file x60:write:1
  [ "$(sort -u <<<"$output")" = $'write -1 EDQUOT\nwrite -1 EIO\nwrite -1 ENOSPC' ]
  # about a third each
  [ "$(grep -c EIO <<<"$output")" -ge 8 ]
  [ "$(grep -c ENOSPC <<<"$output")" -ge 8 ]
  [ "$(grep -c EDQUOT <<<"$output")" -ge 8 ]
}

@test "error-eagain-comes-only-from-descriptors-that-do-not-block" {
  run_say 'calls=send fault=error:EAGAIN' on:unix send nonblock send
  says "send 100" "send -1 EAGAIN"
}

@test "error-on-a-closing-descriptor-releases-it-all-the-same" {
  run_say 'calls=close fault=error:EIO' on:file close
  says "close -1 EIO"
  run_say 'calls=close fault=error-after:EINTR' on:file close
  says "close -1 EINTR"
}

@test "error-on-a-sleep-leaves-the-time-that-is-left" {
  run_say 'calls=@time.sleep fault=error:EINTR' nanosleep:5000 clock_nanosleep:5000 usleep:5000 sleep:5
  says_like "nanosleep EINTR rest=[45]*ms" "clock_nanosleep EINTR rest=[45]*ms" "usleep -1 EINTR" "sleep [45]"
}

@test "error-after-does-the-call-and-reports-a-failure" {
  run_say 'calls=write nth=1 fault=error-after:EIO' on:file write:100 offset content
  says "write -1 EIO" "offset 100" "content 100"
  run_say 'calls=send fault=error-after:ECONNRESET' on:unix send recv
  says "send -1 ECONNRESET" "recv 100"
  run_say 'calls=rename fault=error-after:EIO' rename:old
  says "rename -1 EIO"
  [ -e name-2 ] && ! [ -e old ]
  run_say 'calls=mkdir,unlink,link,truncate fault=error-after:EIO' on:file fallocate:5000 truncate:7 content mkdir link:old
  says_like "fallocate ok" "truncate -1 EIO" "content 7*" "mkdir -1 EIO" "link -1 EIO"
  [ -d folder ] && [ -e name-2 ]
}

@test "error-after-gives-back-what-the-call-made" {
  run_say 'calls=open fault=error-after:EMFILE' open:made x40:open:made
  [ "$(sort -u <<<"$output")" = "open -1 EMFILE" ]
  [ -e made ] # O_CREAT had its effect
  # descriptors are not lost: all 300 opens get one, with a limit of 50
  run clean bash -c "ulimit -n 50; exec '$faultshim' run -q -s 1 -r 'calls=open,socket,accept,openat fault=error-after:ENFILE' -- \
    '$victims/say' x300:open:made x300:socket x300:openat:made"
  [ "$(sort -u <<<"$output")" = $'open -1 ENFILE\nopenat -1 ENFILE\nsocket -1 ENFILE' ]
  # a mapping is unmapped again: there is room for far more than would fit
  run clean bash -c "ulimit -v 1000000; exec '$faultshim' run -q -s 1 -r 'calls=mmap fault=error-after:ENOMEM' -- '$victims/say' x3000:mmap:1000000"
  [ "$(sort <<<"$output" | uniq -c | xargs)" = "3000 mmap FAILED ENOMEM" ]
  # and says nothing of it
  run under 'calls=pipe fault=error-after:EMFILE' 'calls=getaddrinfo fault=error-after:EAI_AGAIN' -- say pipe getaddrinfo
  says "pipe -1 EMFILE" "getaddrinfo EAI_AGAIN"
}

@test "memory-that-fails-leaves-the-old-block-and-errno-as-they-were" {
  run_say 'calls=realloc,reallocarray fault=error:ENOMEM' realloc reallocarray
  says "realloc NULL ENOMEM" "reallocarray NULL ENOMEM"
  # the number comes back, errno stays; the pointer is not touched
  run_say 'calls=posix_memalign fault=error:ENOMEM' posix_memalign
  says "posix_memalign ENOMEM"
  run_say 'calls=mremap fault=error:ENOMEM' mremap
  says "mremap FAILED ENOMEM"
}

@test "name-resolution-fails-by-its-own-codes" {
  run_say 'calls=getaddrinfo fault=error:EAI_AGAIN nth=1' getaddrinfo getaddrinfo
  says "getaddrinfo EAI_AGAIN" "getaddrinfo ok"
}

@test "raw-system-calls-meet-the-rules-of-their-calls" {
  run_say 'calls=write fault=error:ENOSPC' on:file syscall_write write
  says "syscall_write -1 ENOSPC" "write -1 ENOSPC"
  run_say 'calls=getrandom fault=error:ENOSYS' syscall_getrandom
  says "syscall_getrandom -1 ENOSYS"
}

@test "64-bit-names-meet-the-rules-of-their-calls" {
  run under 'calls=open nth=2 fault=error:EIO' 'calls=pwrite,pread,ftruncate fault=error:EIO' 'calls=mmap fault=error:ENOMEM' -- \
    say64 on:file open pwrite pread ftruncate mmap
  says "open -1 EIO" "pwrite -1 EIO" "pread -1 EIO" "ftruncate -1 EIO" "mmap FAILED ENOMEM"
}

@test "stdio-and-allocations-inside-libc-are-met-where-symbols-reach" {
  # fopen is a call of the table; its buffer comes through malloc
  run_say 'calls=fopen fault=error:EACCES' fopen
  says "fopen NULL EACCES"
  run_say 'calls=malloc fault=error:ENOMEM' fopen
  says "fopen NULL ENOMEM"
}
