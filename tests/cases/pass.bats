#!/usr/bin/env bats
# A program does not notice the shim as long as no fault fires: every victim runs bare and under a rule on every family.

load ../common

@test "genuine-failures-keep-their-errno" {
  same_under_the_shim calls genuine-failures
}
@test "genuine-failures-keep-their-errno-in-64-bit-names" {
  same_under_the_shim calls64 genuine-failures
}
@test "functions-that-return-the-error-leave-errno-alone" {
  same_under_the_shim calls return-numbers
}
@test "zero-bytes-are-read-and-written" {
  same_under_the_shim calls zero-bytes
}
@test "open-tmpfile-keeps-its-mode" {
  same_under_the_shim calls modes
}
@test "open64-tmpfile-keeps-its-mode" {
  same_under_the_shim calls64 modes
}
@test "random-sequence-is-the-programs-own" {
  same_under_the_shim calls random-sequence
}
@test "threads-signals-umask-and-locale-are-left-alone" {
  same_under_the_shim calls left-alone "$place"
}
@test "vectors-and-messages-arrive-in-all-their-pieces" {
  same_under_the_shim calls vectors
}
@test "copies-inside-the-kernel-are-complete" {
  same_under_the_shim calls copies
}
@test "duplicated-descriptors-stand-for-the-same-file" {
  same_under_the_shim calls duplicates
}
@test "memory-of-every-allocation-call-is-good" {
  same_under_the_shim calls memory
}
@test "names-resolve" {
  same_under_the_shim calls names
}
@test "sleeps-last-as-long-as-asked" {
  same_under_the_shim calls sleeps
}
@test "raw-system-calls-pass-their-arguments" {
  same_under_the_shim calls raw
}
@test "large-files-are-reached-through-both-sets-of-names" {
  same_under_the_shim calls large-file
  same_under_the_shim calls64 large-file
}
@test "all-transfers-keep-every-byte" {
  same_under_the_shim robust all
  same_under_the_shim robust stdio
}
@test "threads-and-children-work-side-by-side" {
  same_under_the_shim threads8 "$(free_port)"
}

@test "every-call-of-the-table-leaves-errno-alone-when-it-succeeds" {
  local ops=(on:file open openat creat fopen write pwrite writev pwritev pwritev2 rewind read pread readv preadv preadv2 copy_file_range
    sendfile splice ftruncate truncate fallocate posix_fallocate fsync fdatasync sync_file_range syncfs sync msync rename renameat
    renameat2 unlink unlinkat link mkdir close on:tcp socket bind listen accept accept4 connect send sendto sendmsg recv recvfrom
    recvmsg shutdown on:dgram sendmmsg recvmmsg poll ppoll select pselect epoll_wait epoll_pwait getaddrinfo malloc calloc realloc
    reallocarray posix_memalign aligned_alloc memalign valloc pvalloc free mmap mremap clock_gettime gettimeofday time nanosleep
    clock_nanosleep usleep sleep fork vfork posix_spawn posix_spawnp execve execveat fexecve execv execvp execvpe execl execlp execle
    pthread_create getrandom getentropy on:pipe write read)
  # not these: they ask a name server, or what they answer differs from one start to the next, or they would change the tests' own process
  local not=" res_query res_search res_querydomain res_nquery res_nsearch res_nquerydomain res_send res_nsend setsid setpgid "
  local name variant words
  # every other row of the table has its turn: a call that no victim makes would be tested by nothing
  ops+=(on:file write)
  for name in $(sed -n 's/^CALL(\([a-z0-9_]*\),.*/\1/p' "$top/shim/engine/calls.def"); do
    case " ${ops[*]} $not" in *" $name "*) continue ;; esac
    case $name in
    tee | vmsplice) ops+=(on:pipe try-"$name" on:file write) ;;
    eventfd_*) ops+=(on:event "$name" on:file write) ;;
    getsockopt | setsockopt | getsockname | getpeername | sockatmark) ops+=(on:unix "$name" on:file write) ;;
    *) ops+=(try-"$name") ;;
    esac
  done
  for variant in say say64; do
    run bare $variant "${ops[@]}"
    [ "$status" -eq 0 ]
    words=$output
    [[ $words != *errno-changed* ]]
    rm -rf ./*
    run under "$everything" -- $variant "${ops[@]}"
    [ "$status" -eq 0 ]
    diff <(echo "$words") <(echo "$output")
    rm -rf ./*
  done
}

@test "fortified-programs-call-the-checking-variants-and-are-met-there" {
  local name victim
  for name in fortified:__read_chk fortified:__pread_chk fortified:__recv_chk fortified:__recvfrom_chk fortified:__poll_chk \
    fortified:__ppoll_chk fortified:__open_2 fortified:__openat_2 fortified64:__pread64_chk fortified64:__open64_2 \
    fortified64:__openat64_2; do
    nm -D --undefined-only "$victims/${name%:*}" | grep -q " ${name#*:}@" || { echo "the victim does not import $name" && return 1; }
  done
  for victim in fortified fortified64; do
    same_under_the_shim $victim 60
    run under 'calls=read,pread nth=1 key=thread fault=error:EIO' 'calls=recv,recvfrom key=thread nth=1 fault=error:ECONNRESET' \
      'calls=poll,ppoll fault=error:EINTR' -- $victim 60
    says "open 0" "openat 0" "read -1 EIO" "pread 60" "recv -1 ECONNRESET" "recvfrom 60" "poll -1 EINTR" "ppoll -1 EINTR"
    run under 'calls=open,openat skip=1 fault=error:EMFILE' -- $victim 60
    says "open -1 EMFILE" "openat -1 EMFILE" "read 60" "pread 60" "recv 60" "recvfrom 60" "poll 1" "ppoll 1"
  done
}

@test "fortified-overflow-is-still-caught" {
  run bare fortified 201
  [ "$status" -eq 134 ]
  run under "$everything" -- fortified 201
  [ "$status" -eq 134 ]
}

@test "benchmark-measures-each-of-its-calls" {
  local call
  for call in clock_gettime malloc write-null write-file send; do
    run clean "$build/tests/bench/bench" $call 2 1000
    [ "$status" -eq 0 ] && [[ $output =~ ^[0-9]+\.[0-9]+$ ]] || { echo "$call: $output" && return 1; }
    run fs run -q -s 1 -r "$everything" -- "$build/tests/bench/bench" $call 2 1000
    [ "$status" -eq 0 ] && [[ $output =~ ^[0-9]+\.[0-9]+$ ]] || { echo "$call: $output" && return 1; }
  done
}
