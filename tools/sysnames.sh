#!/bin/sh
# sysnames.sh COMPILER: the kernel's names of its system calls, as rows of a C table, from the headers that it installs.
set -eu
echo '#include <asm/unistd.h>' | "$@" -E -dM - | sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9][0-9]*\)$/    [\2] = "\1",/p' | sort
