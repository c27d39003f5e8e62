#!/usr/bin/env bash
# Stressors of stress-ng, which verify what the calls do, bare and under the shim, as a user without privileges. Each is bounded by a
# number of its operations, and by time. How it is called: common.bash.
set -eu -o pipefail
suite=stress
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.bash"

declare -A group=(
  [files]='access chdir chmod chown close copy-file dentry dir dirdeep dup fallocate fcntl filename flock fpunch fsize fstat full
    getdent hdd io iomix lease link locka lockf lockofd mknod null open readahead rename revio seek symlink sync-file
    touch utime xattr zero inode-flags file-ioctl fiemap'
  [pipes]='fifo pipe pipeherd ring-pipe tee splice sendfile vm-splice pty'
  [polls]='epoll eventfd poll inotify dnotify timerfd sigfd memfd'
  [sockets]='sock sockabuse sockdiag sockfd sockmany sockpair udp udp-flood dccp sctp netdev netlink-proc rawudp ping-sock'
  [processes]='clone daemon exec exit-group fork kill nice personality pidfd prctl ptrace session spawn vfork vforkmany wait
    zombie resched rlimit set get getrandom procfs env switch yield affinity schedpolicy'
  [threads]='pthread mutex futex sem peterson membarrier rseq tsc race-sched'
  [ipc]='mq msg sem-sysv shm shm-sysv'
  [signals]='sigabrt sigchld sigfpe sigio signal signest sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap alarm itimer longjmp
    bad-altstack'
  [time]='clock nanosleep sleep timer cyclic vdso urandom'
  [memory]='brk bigheap madvise malloc mincore mlock mlockmany mmap mmapaddr mmapfixed mmapfork mmapmany mprotect mremap msync munmap
    pagemove pageswap physpage remap rmap seal secretmem shellsort stack stackmmap tlb-shootdown userfaultfd vm vm-addr vm-rw
    vm-segv pkey fault dynlib'
  [async]='aio aiol io-uring'
  # calls with bad pointers and invalid arguments, without libc, from handlers of SIGSYS, and all there are
  [strange]='sysbadaddr seccomp usersyscall x86syscall syscall enosys nop landlock'
)
# not forkheavy and resources, which fill the disk
quick=(files pipes polls sockets processes threads ipc signals time memory async async-allowed strange)
all=("${quick[@]}")
group[async-allowed]=${group[async]}
# in the short run, each stops after so many operations, and these are left out: they take seconds for one
few=30 many=2000
slow=' zombie vm-segv mlock mmapmany mmapfork brk bigheap vm-rw rmap mremap '

known[async/aiol]="io_setup is refused while a file or network rule is there"
known[async/io-uring]="io_uring_setup is refused while a file or network rule is there"

prepare() {
  command -v stress-ng >/dev/null || "$top/tools/install-deps.sh" >&2 || complain "stress-ng can't be installed"
  become nobody
  printf '[faultshim]\nio_uring = allow\n' >"$place/allow.ini"
}

outcomes() { # HOW UNIT FILE
  local stressors=() name operations=$many seconds=3
  for name in ${group[$2]}; do
    if [ "$chosen" = quick ] && [[ $slow == *" $name "* ]]; then continue; fi
    stressors+=("$name")
  done
  [ "$chosen" != quick ] || operations=$few seconds=1
  settings=()
  [ "$2" != async-allowed ] || settings=(-p "$place/allow.ini")
  # shellcheck disable=SC2016  # a script for another shell
  within "$1" "$3" 500 bash -c 'operations=$1 seconds=$2
shift 2
for stressor; do
  status=0 start=${EPOCHREALTIME/[.,]/}
  timeout -k 5 30 stress-ng --temp-path . --verify --timeout "$seconds" --no-rand-seed "--$stressor" 1 "--$stressor-ops" "$operations" || status=$?
  echo "outcome: $stressor $status $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms"
done' stress "$operations" "$seconds" "${stressors[@]}"
  # skipped is what this kernel or this user can't do: told with 4, or in words
  awk '/skipping|No stress workers invoked|not supported|unsupported/ { none = 1 }
    /^outcome: / { print $2, none || $3 == 4 ? "skipped" : $3 == 0 ? "ok" : $3; none = 0 }' "$3.log" >"$3"
  ended "$3"
}

compat "$@"
