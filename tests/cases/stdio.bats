#!/usr/bin/env bats
# What libc does by itself: buffered files, names, children, directories. Each test here needs a door at the system calls inside of libc, and
# fails without: none of these calls goes through a symbol.

load ../common
load ../seen

# The victim under rules on what happens to the file "out": out RULE... -- PART ARGUMENT...
out() {
  local rules=()
  while [ "$1" != -- ]; do
    rules+=("$1")
    shift
  done
  shift
  run under "${rules[@]}" -- stdio "$@"
  [ "$status" -eq 0 ] || { echo "status $status: $output" && return 1; }
}

@test "strace-sees-nothing-that-is-not-in-the-trace" {
  # why something may be missing, which call, how often at most; see seen.py for how each is checked
  seen 'loader/*/200' 'vfork-child/*/40' 'never-patched/*/20' 'leaving/madvise/4' 'refused/fadvise64/2' 'at-symbol/getcwd/1' -- "$victims/stdio" all
  # and what there was to see was seen: by main, by its threads, by its children, by the programs they became
  [ "$(jq -r 'select(.call) | .process' ../seen/log | sort -u | wc -l)" -ge 6 ]
  [ "$(jq -r 'select(.call and .process == "1") | .thread' ../seen/log | sort -u | wc -l)" -ge 5 ]
  local call
  for call in read write openat close socket connect lseek unlink getdents64; do
    [ "$(how_many ".call == \"$call\"" <../seen/log)" -ge 1 ] || { echo "no $call" && return 1; }
  done
}

@test "the-loaders-own-calls-are-met-by-rules-that-name-it" {
  seen_profile() {
    printf '[faultshim]\nseed = 1\n'
    printf '[rule r%s]\ncalls = *\nexcept = @memory.alloc\ncaller = **\n%s\nprobability = 0\nfault = delay 1ms\n' 1 '' 2 'fd = 0..65535'
  }
  seen 'vfork-child/*/20' 'never-patched/*/20' -- "$victims/life" plugin "$victims/plugin.so" lazy
  seen 'vfork-child/*/40' 'never-patched/*/20' 'leaving/madvise/4' 'refused/fadvise64/2' 'at-symbol/getcwd/1' -- "$victims/stdio" all
  # not by others
  run under 'calls=@file.open path=**/plugin.so fault=error:EMFILE' -- life plugin "$victims/plugin.so" lazy
  [ "$status" -eq 0 ]
  run under 'calls=@file.open path=**/plugin.so caller=ld-linux* fault=error:EMFILE' -- life plugin "$victims/plugin.so" lazy
  [ "$status" -eq 99 ] && [[ $output == *"failed: library"* ]]
}

@test "a-trace-without-syscall-doors-misses-what-libc-does" {
  # the comparison can fail: with symbol doors alone it does
  seen_profile() { printf '[faultshim]\nseed = 1\ndoors = symbols\n[rule all]\ncalls = *\nexcept = @memory.alloc\nprobability = 0\nfault = delay 1ms\n'; }
  run seen 'loader/*' 'vfork-child/*' 'never-patched/*' -- "$victims/stdio" all
  [ "$status" -ne 0 ]
  [[ $output == *"strace less trace:"*"write:+"* ]]
}

@test "a-disk-that-is-full-in-the-midst-of-fprintf" {
  # as on a disk that is really full
  run bare stdio fill /dev/full 1000
  says "fprintf -1 ENOSPC" "ferror 1" "fclose -1 ENOSPC"
  out 'calls=write path=**/out nth=3 fault=error:ENOSPC sticky=resource' -- fill out 1000
  says "fprintf -1 ENOSPC" "ferror 1" "fclose -1 ENOSPC"
  # two buffers of 4096 bytes arrived before
  [ "$(stat -c %s out)" -eq 8192 ]
  # a moment without room: what came after has its place, and ferror remembers
  out 'calls=write path=**/out nth=3 fault=error:ENOSPC' -- fill out 1000
  says "fprintf -1 ENOSPC" "ferror 1" "fclose 0"
}

@test "a-write-that-fails-in-fflush" {
  # as on a disk that is really full: glibc forgets what it could not write
  run bare stdio flush /dev/full
  says_like "fflush -1 ENOSPC" "ferror 1" "fflush 0" "ferror 0" "fclose 0" "lines *"
  out 'calls=write path=**/out nth=1 fault=error:EIO' -- flush out
  says "fflush -1 EIO" "ferror 1" "fflush 0" "ferror 0" "fclose 0" "lines 0"
  # done, and reported as failed all the same
  out 'calls=write path=**/out nth=1 fault=error-after:EINTR' -- flush out
  says "fflush -1 EINTR" "ferror 1" "fflush 0" "ferror 0" "fclose 0" "lines 10"
}

@test "a-write-that-fails-in-fclose" {
  out 'calls=write path=**/out fault=error:EDQUOT' -- closing out
  says "fclose -1 EDQUOT" "bytes 0" "next 3"
  out 'calls=close path=**/out nth=1 fault=error:EIO' -- closing out
  says "fclose -1 EIO" "bytes 5" "next 3"
}

@test "short-writes-below-fwrite-lose-nothing" {
  out 'calls=write path=**/out fault=short' -- block out 5000
  says "fwrite 5000" "ferror 0" "fclose 0" "lines 5000"
  [ "$(faults | wc -l)" -gt 3 ]
  out 'calls=write path=**/out probability=50% fault=short' -- fill out 1000
  says "fprintf 0 0" "ferror 0" "fclose 0"
  [ "$(stat -c %s out)" -eq 40000 ]
}

@test "a-write-that-fails-in-fwrite" {
  out 'calls=write path=**/out nth=1 fault=error:ENOSPC' -- block out 5000
  says_like "fwrite * ENOSPC" "ferror 1" "fclose *"
}

@test "a-disk-that-is-full-below-dprintf-puts-and-perror" {
  run bare stdio others /dev/full
  local real=$output
  says "dprintf -1 ENOSPC" "puts 0 0" "fflush -1 ENOSPC ferror 1" "perror 1" "fputc -1 ENOSPC" "printf -1 ENOSPC"
  out 'calls=write path=**/out fd=1..200 fault=error:ENOSPC' -- others out
  [ "$output" = "$real" ]
  [ "$(stat -c %s out)" -eq 0 ]
  # each by itself
  out 'calls=write path=**/out fd=3..200 fault=error:ENOSPC' -- others out
  says "dprintf -1 ENOSPC" "puts 0 0" "fflush 0 0 ferror 0" "perror 0" "fputc 120 0" "printf 5 0"
}

@test "getline-is-interrupted" {
  out 'calls=read path=**/out nth=2,4 fault=error:EINTR' -- lines out 1000
  says "getline EINTR" "getline EINTR" "feof 1" "lines 1000"
  out 'calls=read path=**/out fault=short' -- lines out 1000
  says "feof 1" "lines 1000"
  out 'calls=read path=**/out nth=1,3 fault=error:EIO' -- lines out 1000
  says "getline EIO" "getline EIO" "feof 1" "lines 1000"
}

@test "fread-goes-on-after-errors-and-short-reads" {
  out 'calls=read path=**/out fault=short' -- blocks out 5000
  says "lines 5000"
  out 'calls=read path=**/out nth=1,3 fault=error:EIO' -- blocks out 5000
  says "fread 1 EIO" "fread 1 EIO" "lines 5000"
}

@test "no-descriptor-is-left-for-fopen-opendir-and-tmpfile" {
  out 'calls=@file.open skip=1 fault=error:EMFILE' -- opening out
  says "fopen 0 EMFILE" "opendir 0 EMFILE" "tmpfile 0 EMFILE" "mkstemp 0 EMFILE" "realpath 1"
  out 'calls=fopen fault=error:EMFILE' -- opening out
  says "fopen 0 EMFILE" "opendir 1" "tmpfile 1" "mkstemp 1" "realpath 1"
}

@test "a-directory-that-can-not-be-read" {
  out 'calls=getdents64 nth=2 fault=error:EIO' -- listing
  says "readdir 1 EIO" "all 0"
  out 'calls=getdents64 probability=0 fault=delay:1ms' -- listing
  says "readdir 0" "all 1"
  [ "$(decisions | how_many '.call == "getdents64"')" -ge 2 ]
}

@test "no-memory-below-malloc" {
  # as with a real limit
  out 'calls=mmap,brk fault=error:ENOMEM' -- memory
  says "malloc 1000 NULL ENOMEM" "malloc 100000 NULL ENOMEM" "malloc 10000000 NULL ENOMEM"
  # large blocks are mapped, and come from brk where that fails
  out 'calls=mmap fault=error:ENOMEM' -- memory
  says "malloc 1000 ok 0" "malloc 100000 ok 0" "malloc 10000000 ok 0"
  [ "$(faults | how_many '.call == "mmap"')" -ge 1 ]
}

@test "names-that-can-not-be-looked-up" {
  # name servers in vain: none is asked, because what may be sent is decided here
  out 'calls=socket fault=error:EMFILE' -- resolve words.invalid
  says_like "getaddrinfo EAI_*"
  # /etc/hosts is a file like any other
  out 'calls=openat path=/etc/hosts fault=error:EACCES' 'calls=connect,socket fault=error:EACCES' -- resolve localhost
  says_like "getaddrinfo EAI_*"
  out 'calls=socket fault=error:EACCES' -- resolve 127.0.0.1
  says "getaddrinfo ok"
}

@test "waiting-for-children-is-interrupted" {
  out 'calls=wait4 nth=1..3 fault=error:EINTR' -- waiting
  says "system 3" "popen 1" "pclose 4"
  [ "$(faults | how_many '.call == "wait4"')" -eq 3 ]
}

@test "pipes-that-popen-does-not-get" {
  out 'calls=pipe2 fault=error:EMFILE' -- waiting
  says "system 3" "popen 0 EMFILE"
}
