#!/usr/bin/env bash
# Checks of the source and of what is built from it: source.sh CHECK BUILD. Prints what is wrong and ends with 1, or says nothing.
# Each check_NAME here is the test source/NAME of run.sh.
# shellcheck disable=SC2317  # they are called by name
set -eu -o pipefail
top=$(realpath "$(dirname "$0")/..")
cd "$top"

tracked() { # GLOB...: files of the project, whether committed yet or not
  git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
    if [ -f "$file" ]; then echo "$file"; fi
  done
}

# Each header compiles by itself, as C17 and with every warning.
check_headers() {
  local header bad=0
  while read -r header; do
    echo "#include \"$header\"" |
      gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter -fsyntax-only -I. -Ishim/engine -Ishim/preload -Itools -x c - || {
      echo "$header does not compile by itself"
      bad=1
    }
  done < <(tracked 'shim/*.h' 'tools/*.h' 'tests/*.h' | grep -v 'shim/preload/poison.h')
  return $bad
}

# Who may include whom (design of the house): engine only itself, inih in profile.c alone; preload the engine, libunwind in stack.c alone;
# tools the engine, never preload; victims nothing of ours.
check_includes() {
  local file name folder bad=0
  wrong() {
    echo "$1 includes $2: $3"
    bad=1
  }
  while read -r file; do
    folder=$(dirname "$file")
    while read -r name; do
      case $file in
      shim/engine/profile.c) [ "$name" != ini.h ] || continue ;;
      shim/preload/stack.c) [ "$name" != libunwind.h ] || continue ;;
      tests/victims/unwinder.c) [ "$name" != libunwind.h ] || continue ;;
      esac
      case ${name##*/} in
      ini.h) wrong "$file" "$name" "inih belongs to the engine's profile.c alone" ;;
      libunwind*.h) wrong "$file" "$name" "libunwind belongs to the shim's stack.c alone" ;;
      esac
      # a header of ours: by its name alone, or by its path from the top
      case $name in
      */*) if [ ! -e "$name" ] && [ ! -e "$folder/$name" ]; then continue; fi ;;
      esac
      name=${name##*/}
      [ ! -e "$folder/$name" ] || continue
      case $folder in
      shim/engine)
        if [ -e "shim/preload/$name" ] || [ -e "tools/$name" ]; then wrong "$file" "$name" "the engine includes itself and libc only"; fi
        ;;
      shim/preload)
        if [ -e "tools/$name" ]; then wrong "$file" "$name" "the shim includes the engine only"; fi
        ;;
      tools)
        if [ -e "shim/preload/$name" ]; then wrong "$file" "$name" "the tools never include the shim"; fi
        ;;
      tests/victims | tests/bench)
        if [ -e "shim/engine/$name" ] || [ -e "shim/preload/$name" ] || [ -e "tools/$name" ]; then
          wrong "$file" "$name" "a victim includes nothing of ours"
        fi
        ;;
      esac
    done < <(sed -n 's/^ *# *include *[<"]\([^>"]*\)[>"].*/\1/p' "$file")
  done < <(tracked '*.c' '*.h' '*.cc' '*.S' '*.def')
  # the headers of the engine take nothing from other packages, wherever they are included
  if grep -nE '# *include *<(json|zstd|libelf|dwarf|gelf|elfutils|argp)' shim -r --include='*.[ch]'; then bad=1; fi
  return $bad
}

# The shared object exports what the tables say, and nothing else: any other name could be the program's own.
check_exports() {
  local build=$1 object
  object=$build/shim/preload/libfaultshim.so
  {
    # rows without a function of libc's have no door in the symbol table
    printf '#define CALL(name, file, sock, pipe, nr, door, ...) door##_EXPORT name\n#define PLAIN_EXPORT EXPORT\n#define HAND_EXPORT EXPORT\n#define ALIAS(symbol, ...) EXPORT symbol\n#include "calls.def"\n'
    if [ -e shim/preload/extras.def ]; then
      printf '#define EXTRA(symbol, ...) EXPORT symbol\n#include "extras.def"\n'
    fi
  } | gcc -E -P -Ishim/engine -Ishim/preload -x c - | tr ' ' '\n' | awk 'take { print; take = 0 } $0 == "EXPORT" { take = 1 }' |
    # and other spellings of these that stand beside their doors
    { cat && printf '%s\n' __open_2 __open64_2 __openat_2 __openat64_2 __pread64_chk __xstat64 __lxstat64 __fxstat64 __fxstatat64; } |
    sort -u >"${TMPDIR:-/tmp}/exports-wanted.$$"
  nm -D --defined-only "$object" | awk '{ print $3 }' | sed 's/@.*//' | sort -u >"${TMPDIR:-/tmp}/exports-there.$$"
  local status=0
  if [ ! -s "${TMPDIR:-/tmp}/exports-wanted.$$" ]; then
    echo "no names found in the tables"
    status=1
  fi
  diff "${TMPDIR:-/tmp}/exports-wanted.$$" "${TMPDIR:-/tmp}/exports-there.$$" | sed -n 's/^< /in a table, not exported: /p; s/^> /exported, in no table: /p' |
    grep . && status=1
  rm -f "${TMPDIR:-/tmp}/exports-wanted.$$" "${TMPDIR:-/tmp}/exports-there.$$"
  # a named version would switch interposition off without a word
  if nm -D --defined-only "$object" | grep '@'; then
    echo "exports carry a symbol version"
    status=1
  fi
  return $status
}

# What the shim calls of libc: nothing that it has a door for, and nothing that allocates. poison.h sees to that while compiling; this
# looks at what was linked.
check_shim_imports() {
  local object=$1/shim/preload/libfaultshim.so bad
  bad=$(nm -D --undefined-only "$object" | awk '{ print $2 }' | sed 's/@.*//' | sort -u >"${TMPDIR:-/tmp}/imports.$$"
    nm -D --defined-only "$object" | awk '{ print $3 }' | sed 's/@.*//' | sort -u | comm -12 - "${TMPDIR:-/tmp}/imports.$$"
    grep -xE 'strdup|strndup|v?asprintf|getline|fopen|fputs|puts|v?f?printf|v?snprintf|setlocale|s?random|s?rand|sigaction|signal|sigprocmask|pthread_sigmask|umask|chdir|_Unwind_.*|backtrace|__libc_malloc' \
      "${TMPDIR:-/tmp}/imports.$$" || true)
  rm -f "${TMPDIR:-/tmp}/imports.$$"
  if [ -n "$bad" ]; then
    printf 'the shim imports: %s\n' "${bad//$'\n'/ }"
    return 1
  fi
  # and it needs no library but libc and the loader
  if readelf -d "$object" | grep NEEDED | grep -vE 'libc\.so\.6|ld-linux'; then
    echo "the shim needs a library that the program may not have"
    return 1
  fi
}

# The same in the source: a call by name in a file that leaves out poison.h would be a call of our own door.
check_shim_calls() {
  local names file bad=0
  names=$({
    printf '#define CALL(name, ...) EXPORT name\n#include "calls.def"\n'
  } | gcc -E -P -Ishim/engine -x c - | tr ' ' '\n' | awk 'take { print; take = 0 } $0 == "EXPORT" { take = 1 }' |
    grep -vxE 'link|time|sync|free' | paste -sd'|')
  while read -r file; do
    case ${file##*/} in
    real.c | plain.c) continue ;; # find what is behind the doors; are what others call instead
    esac
    if grep -q '"doors.h"' "$file"; then continue; fi # defines doors, so it names them
    if ! grep -q '"poison.h"' "$file"; then
      echo "$file does not include poison.h"
      bad=1
    fi
    # a call is a name and a parenthesis, not after a dot, an arrow or another letter
    if grep -nE "(^|[^A-Za-z0-9_.>\"])($names)\(" "$file" | grep -vE '^[0-9]+: *(\*|/\*|//)|/\*.*('"$names"')\(' | sed "s|^|$file:|" | grep .; then
      echo "calls a function that has a door"
      bad=1
    fi
  done < <(tracked 'shim/preload/*.c')
  return $bad
}

check_format() {
  tracked '*.c' '*.h' '*.cc' | xargs -r clang-format --dry-run -Werror
}

# Not the victims: they do on purpose what it warns of. uninitvar: it takes an array that is filled in a loop for empty.
check_cppcheck() {
  tracked 'shim/*.c' 'tools/*.c' 'tests/bench/*.c' |
    xargs -r cppcheck -q -j2 --std=c11 --enable=warning,portability,performance --error-exitcode=1 --inline-suppr \
      --suppress=uninitvar --suppress=missingIncludeSystem --suppress=missingInclude --suppress=unknownMacro --suppress=preprocessorErrorDirective \
      -D__x86_64__ -D_GNU_SOURCE -Ishim/engine -Ishim/preload -Itools 2>&1
}

check_shellcheck() {
  { tracked '*.sh' '*.bash' '*.bats' '.ci/run'; } | xargs -r shellcheck -x -e SC1091,SC2013,SC2030,SC2031,SC2046,SC2103,SC2154,SC2164,SC2314,SC2317
}

# The pages as they are built, tables filled in.
check_manpages() {
  local build=$1 pages
  pages=$(find "$build/man" -maxdepth 1 -name '*.[1-8]' | sort)
  if [ -z "$pages" ]; then
    echo "no manual pages were built"
    return 1
  fi
  # shellcheck disable=SC2086  # names without blanks
  mandoc -T lint -W warning $pages
}

# Nothing of the machine that it was written on, and no word that stands for work not done.
check_words() {
  local bad=0
  if tracked '*.c' '*.h' '*.def' '*.cc' '*.S' '*.in' 'tools/*.sh' 'shim/*.build' |
    xargs grep -nIE '\b(TO''DO|FIX''ME|XX''X)\b'; then bad=1; fi
  return $bad
}

check=check_${1//-/_}
"$check" "${2:-build/gcc}"
