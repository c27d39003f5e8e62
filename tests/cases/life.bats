#!/usr/bin/env bats
# Programs start, split, change and end in every way they can, under a rule on everything; and other interposers and allocators.

load ../common

@test "constructors-atexit-and-destructors-may-call" {
  run clean LIFE_EDGES=1 "$victims/life" edges
  words=$output
  says "constructor" "main" "atexit" "destructor"
  run clean LIFE_EDGES=1 "$faultshim" run -q -s 1 -r "$everything" -- "$victims/life" edges
  [ "$status" -eq 0 ]
  [ "$output" = "$words" ]
  # calls before main are never considered; those after exit are
  run clean LIFE_EDGES=1 "$faultshim" run -q -s 1 -r 'calls=pwrite nth=3 fault=error:EIO' -- "$victims/life" edges
  [ "$status" -eq 99 ]
  [[ $output == *constructor* && $output == *main* && $output == *atexit* ]]
}
@test "thread-local-destructors-may-call" {
  same_under_the_shim life thread-data
}
@test "signal-handlers-may-write-at-any-moment" {
  same_under_the_shim life signal-handler
}
@test "a-blocked-read-is-interrupted-by-a-signal" {
  same_under_the_shim life interrupted
}
@test "every-descriptor-may-be-closed" {
  local how
  for how in loop closefrom close_range raw; do
    same_under_the_shim life close-everything $how
    # and what comes after is still considered, in the process and in the program that it starts
    run under 'calls=pwrite nth=5 fault=error:EIO' -- life close-everything $how
    [ "$status" -eq 99 ] || { echo "$how: status $status: $output" && return 1; }
  done
}
@test "descriptors-have-the-numbers-that-they-would-have" {
  same_under_the_shim life lowest-numbers
}
@test "vfork-then-exec" {
  same_under_the_shim life vfork-exec
  [ "$(decisions ../victim.trace | jq -r .process | sort -u | wc -l)" -ge 21 ]
}
@test "spawn-with-a-cleared-environment" {
  same_under_the_shim life spawn-clean
  [ "$(decisions ../victim.trace | jq -r .process | sort -u | paste -sd' ')" = "1 1.1 1.2 1.3 1.4 1.5" ]
}
@test "fork-in-a-threaded-program" {
  same_under_the_shim life fork-in-threads
}
# libunwind's lock is not to be left behind in the child
@test "fork-in-a-threaded-program-while-stacks-are-captured" {
  for ((i = 0; i < 5; i++)); do
    rm -f ./*
    limit=30 run under 'calls=@file,@pipe,@process,@memory probability=1% key=site fault=yield' -- life fork-in-threads
    [ "$status" -eq 0 ] || { echo "status $status: $output" && return 1; }
  done
}
@test "threads-have-their-names-before-libc-does-anything-for-them" {
  fs run -q -s 1 --expect=any -o t.trace -r 'calls=@file,@memory probability=0 fault=delay:1ms' -- "$victims/threads8" "$(free_port)"
  [ "$(fs log --json --events t.trace | jq -r 'select(.event == "thread") | .name' | grep -c '^[1-8]$')" -eq 8 ]
  [ "$(fs log --json --events t.trace | jq -r 'select(.event == "thread") | .name' | grep -c u)" -eq 0 ]
}
@test "fork-by-a-system-call-of-its-own" {
  same_under_the_shim life raw-fork
  [ "$(decisions ../victim.trace | jq -r .process | sort -u | wc -l)" -ge 11 ]
}
@test "two-thousand-short-children" {
  same_under_the_shim life many-forks 2000
}
@test "five-thousand-short-threads" {
  same_under_the_shim life thread-churn 5000
  # rings are used again: the trace does not grow by one a thread
  [ "$(stat -c %s ../victim.trace)" -lt 100000000 ]
}
@test "main-leaves-by-pthread-exit" {
  same_under_the_shim life main-leaves
}
@test "threads-are-cancelled-in-blocked-calls" {
  same_under_the_shim life cancel
}
@test "libraries-loaded-late-are-met" {
  same_under_the_shim life plugin "$victims/plugin.so" lazy
  same_under_the_shim life plugin "$victims/plugin.so" deepbind
  run under 'calls=write path=*.out fault=error:ENOSPC' -- life plugin "$victims/plugin.so" deepbind
  says "plugin -28" "plugin -28" "plugin -28"
  # and the flag that was taken away is owned up to
  run fs run -s 1 -r 'calls=write path=*.out fault=error:ENOSPC' -- "$victims/life" plugin "$victims/plugin.so" deepbind
  [[ $output == *"RTLD_DEEPBIND was taken from 3"* ]]
}
@test "a-shell-script-starts-three-hundred-programs" {
  cat >script <<'END'
for ((i = 0; i < 300; i++)); do /bin/true || exit 1; done
echo done
END
  run fs run -q -s 1 -o t.trace -r "$everything" -- /bin/bash script
  [ "$status" -eq 0 ]
  says "done"
  [ "$(fs stats --json t.trace | jq '[.processes[].name] | unique | length')" -eq 301 ]
  fs verify -q t.trace
}

@test "exceptions-cancellation-waits-and-streams-of-cxx" {
  same_under_the_shim cxx
}
@test "a-program-with-its-own-libunwind" {
  same_under_the_shim unwinder
  run under 'calls=malloc key=site probability=0 fault=error:ENOMEM' -- unwinder
  [ "$status" -eq 0 ]
  says "unwound"
}
@test "a-program-that-exports-our-names" {
  same_under_the_shim hash_get
}
@test "jemalloc-preloaded" {
  local jemalloc
  jemalloc=$(ldconfig -p | sed -n 's/.*libjemalloc\.so\.2.*=> //p' | head -n 1)
  run clean LD_PRELOAD="$jemalloc" timeout 30 "$faultshim" run -q -s 1 -r "$everything" -- "$victims/tiny"
  [ "$status" -eq 0 ]
  says "tiny ok"
  printf '[rule all]\n%s\n' "$(tr ' ' '\n' <<<"$everything" | sed 's/delay:/delay /')" >all.ini
  run clean LD_PRELOAD="$shim:$jemalloc" FAULTSHIM_PROFILE=all.ini timeout 30 "$victims/tiny"
  [ "$status" -eq 0 ]
  run clean LD_PRELOAD="$jemalloc:$shim" FAULTSHIM_PROFILE=all.ini timeout 30 "$victims/tiny"
  [ "$status" -eq 0 ]
}
@test "jemalloc-linked-in" {
  same_under_the_shim tiny-jemalloc
}
@test "address-sanitizer-program" {
  local asan
  run clean "$victims/tiny-asan"
  [ "$status" -eq 0 ]
  # the command puts the sanitizer first, or the program itself insists on it
  asan=$(gcc -print-file-name=libasan.so)
  run clean LD_PRELOAD="$(realpath "$asan")" timeout 30 "$faultshim" run -q -s 1 --expect=any -r 'calls=write nth=1 fault=error:EIO' -- \
    "$victims/tiny-asan"
  [[ $output == *"failed: fd >= 0 && write"* && $output == *EIO* ]]
  run clean LD_PRELOAD="$(realpath "$asan"):$shim" FAULTSHIM_PROFILE="$top/profiles/full-disk.ini" timeout 30 "$victims/tiny-asan"
  [ "$status" -eq 0 ]
  says "tiny ok"
}
@test "address-sanitizer-program-without-more-ado" {
  run fs run -q -s 1 -r "$everything" -- "$victims/tiny-asan"
  [ "$status" -eq 0 ]
  says "tiny ok"
}
@test "valgrind-finds-nothing" {
  run clean LD_PRELOAD="$shim" FAULTSHIM_PROFILE="$top/profiles/short-io.ini" timeout 120 \
    valgrind -q --error-exitcode=9 --suppressions=/dev/null "$victims/robust" unix 20000
  [ "$status" -eq 0 ] || { echo "$output" | head -n 40 && return 1; }
}
@test "vfork-in-a-child-of-vfork" {
  same_under_the_shim life vfork-nested
  # the parent is still considered afterwards, and so are the children that fork made
  [ "$(decisions ../victim.trace | jq -r .process | sort -u | wc -l)" -eq 6 ]
}
@test "threads-may-fork-before-anything-else" {
  same_under_the_shim life fork-in-fresh-threads
  run under 'calls=@file except=@file.meta probability=0 fault=delay:1ms' -- life fork-in-fresh-threads
  [ "$status" -eq 0 ]
  [ "$(decisions | jq -r '.process + "/" + .thread' | sort -u | paste -sd' ')" = "1:1.1/0 1:2.1/0 1:3.1/0" ]
}
@test "bad-pointers-are-the-kernels-to-find" {
  same_under_the_shim life bad-pointers
  # and what a fault copies is looked at no sooner than the kernel would
  run under 'calls=write,writev fault=corrupt' -- life bad-pointers
  [ "$status" -eq 0 ] || { echo "status $status: $output" && return 1; }
}
@test "signal-handlers-on-small-stacks-may-call" {
  same_under_the_shim life small-signal-stack
}
@test "names-of-proc-are-the-same-in-every-run" {
  local key
  for i in 1 2; do
    fs run -q -s 1 --expect=any -o $i.trace -r 'calls=read path=/proc/** fault=delay:1us' -- \
      /usr/bin/python3 -c 'import os; os.read(os.open("/proc/self/stat", 0), 1); os.read(os.open(f"/proc/{os.getpid()}/stat", 0), 1)'
  done
  key=$(decisions 1.trace | jq -r 'select(.outcome == "fault") | .key')
  [ -n "$key" ]
  [ "$key" = "$(decisions 2.trace | jq -r 'select(.outcome == "fault") | .key')" ]
}
@test "fifos-are-verified-by-their-paths" {
  mkfifo fifo
  fs run -q -s 1 --expect=any -o t.trace -r 'calls=read path=**/fifo probability=0 fault=delay:1us' \
    -r 'calls=read not-path=**/other probability=0 fault=delay:1us' -- \
    /usr/bin/python3 -c 'import os, socket; fd = os.open("fifo", os.O_RDWR); os.write(fd, b"x"); os.read(fd, 1)
a, b = socket.socketpair(); a.send(b"x"); os.read(b.fileno(), 1)'
  fs verify -q t.trace
}
@test "pipes-are-named-by-their-maker" {
  run under 'calls=read,write probability=0 fault=delay:1us' -- life made-here-used-there
  [ "$status" -eq 0 ]
  [ "$(decisions | jq -r .resource | sort -u | paste -sd' ')" = "pipe#1/0:1 pipe#1/0:2 socket#1/0:3 socket#1/0:4" ]
}
@test "drawn-names-leave-no-mark-on-decisions" {
  same_under_the_shim life drawn-names
  for i in 1 2; do
    under 'calls=write probability=50% fault=delay:1us' -- life drawn-names
    decisions | jq -c '[.outcome, .key, .ordinal]' >$i.list
  done
  [ "$(grep -c fault 1.list)" -gt 10 ]
  cmp 1.list 2.list
}
@test "a-socket-that-is-bound-again-has-its-new-name" {
  same_under_the_shim life bind-again
  run under 'calls=recv local=127.0.0.2:* fault=delay:1us' -- life bind-again
  [ "$status" -eq 0 ]
  [ "$(decisions | jq -r 'select(.outcome == "fault") | .call')" = recv ]
}
@test "a-socket-for-each-question-leaves-nothing-behind" {
  run under 'calls=sendto probability=0 fault=delay:1us' -- life many-questions 50000
  [ "$status" -eq 0 ] || { echo "status $status: $output" && return 1; }
}
@test "address-sanitizer-program-of-a-shell" {
  run fs run -q -s 1 -r "$everything" -- /bin/sh -c "$victims/tiny-asan; exit \$?"
  [ "$status" -eq 0 ]
  says "tiny ok"
  run fs run -q -s 1 -r 'calls=write process=tiny-asan nth=1 fault=error:EIO' -- /bin/sh -c "$victims/tiny-asan; exit \$?"
  [[ $output == *"failed: fd >= 0 && write"* && $output == *EIO* ]]
}
@test "programs-in-another-root-start-as-ever" {
  needs_root "chroot"
  local file
  mkdir -p root/dev
  for file in /bin/sh $(ldd /bin/sh | grep -o '/[^ ]*'); do
    cp -L --parents "$file" root
  done
  [ -e root/bin/sh ]
  run clean chroot root /bin/sh -c '/bin/sh -c "echo here"; exit 3'
  [ "$status" -eq 3 ]
  says "here"
  run --separate-stderr fs run -q -s 1 -o t.trace -r "$everything" -- /bin/sh -c "chroot root /bin/sh -c '/bin/sh -c \"echo here\"; exit 3'; exit \$?"
  [ "$status" -eq 3 ]
  says "here"
  [ -z "$stderr" ]
  # as the program itself, it is one that the shim did not start in
  run fs run -q -s 1 -o t.trace -r "$everything" -- chroot root /bin/sh -c 'exit 3'
  [ "$status" -eq 121 ]
  [[ $output == *"not within its reach"* ]]
}
@test "what-is-only-counted-is-not-named" {
  printf '[faultshim]\ntrace = faults\n[rule r]\ncalls = sendto\nnth = 70\nfault = delay 1us\n' >p.ini
  local n
  for n in 100 5000; do
    fs run -q -s 1 -o $n.trace -p p.ini -- "$victims/life" many-questions $n
    fs verify -q $n.trace
    [ "$(decisions $n.trace | jq -r 'select(.outcome == "fault") | .resource')" = "udp:127.0.0.1:9#1/0:70" ]
  done
  [ "$(stat -c %s 100.trace)" = "$(stat -c %s 5000.trace)" ]
}
@test "programs-that-lock-themselves-in-are-left-alone" {
  same_under_the_shim life seccomp
}
@test "a-write-that-can-never-be-is-not-lost" {
  same_under_the_shim life write-nowhere
  run under 'calls=@file.write fault=lost' -- life write-nowhere
  [ "$status" -eq 0 ] || { echo "status $status: $output" && return 1; }
}

# Bare, under a rule on everything that never fires, and under one that slows a fifth of all calls down a little: says the same each time.
same_in_any_case() { # VICTIM ARGUMENT...
  local words
  same_under_the_shim "$@"
  rm -rf ./*
  words=$(bare "$@" 2>&1)
  rm -rf ./*
  run under 'calls=* probability=20% fault=delay:20us' -- "$@"
  [ "$status" -eq 0 ] || { echo "with delays: status $status: $output" && return 1; }
  [ "$output" = "$words" ] || { diff <(echo "$words") <(echo "$output") && return 1; }
}
@test "threads-are-cancelled-wherever-they-wait" {
  same_in_any_case waits cancelled
}
@test "signals-interrupt-or-restart-what-waits" {
  same_in_any_case waits interrupted
}
@test "handlers-jump-out-of-what-waits" {
  same_in_any_case waits jumps
  # and what comes after is still considered
  run under 'calls=pwrite path=**/waits nth=20 fault=error:EIO' -- waits jumps
  [ "$status" -eq 99 ] && [[ $output == *EIO* ]]
}
@test "handlers-on-the-smallest-stacks-interrupt-anything" {
  same_in_any_case waits small-stacks
}
@test "registers-and-the-red-zone-are-kept" {
  same_in_any_case registers
}
@test "exceptions-and-cancellation-of-cxx-with-delays" {
  same_in_any_case cxx
}
@test "shells-and-spawned-programs-of-several-threads" {
  same_in_any_case life shells-in-threads
}
@test "a-program-becomes-a-daemon" {
  same_in_any_case life daemon
}
@test "a-child-has-a-terminal-of-its-own" {
  same_in_any_case life terminal
}
@test "a-child-on-its-parents-memory" {
  same_in_any_case life borrowed-memory
}
@test "threads-with-the-smallest-stacks" {
  same_in_any_case life small-threads
}
@test "libraries-are-loaded-by-several-threads-at-once" {
  same_in_any_case life plugins-in-threads "$victims/plugin.so"
}
@test "data-arrives-in-spite-of-delays" {
  same_in_any_case robust all 200000
}
@test "everything-that-libc-does-by-itself" {
  same_in_any_case stdio all
}
