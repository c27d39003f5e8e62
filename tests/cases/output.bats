#!/usr/bin/env bats
# output = keep: what the program writes to descriptors 1 and 2 stands in the trace, and goes where it goes.

load ../common

keep() { # COMMAND...
  fs run -q --expect=any --set output=keep "${options[@]}" -r 'calls=fsync path=/nowhere fault=error:EIO' -- "$@"
}
options=()

# What a descriptor was given, as the trace has it.
kept() { # FD
  fs log -q --events --json | jq -j --argjson fd "$1" 'select(.event == "output" and .fd == $fd).text'
}

@test "output-is-kept-and-goes-where-it-goes" {
  cat >says.c <<'END'
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
int main(void) {
  struct iovec v[] = {{"one ", 4}, {"", 0}, {"two\n", 4}};
  printf("through stdio\n");
  fflush(stdout);
  writev(1, v, 3);
  fprintf(stderr, "to stderr %d\n", 7);
  perror("an error");
  dup2(1, 9);
  write(9, "not kept\n", 9);
  return 0;
}
END
  gcc -w -o says says.c
  for doors in auto symbols; do
    options=(--set "doors=$doors")
    keep ./says >out 2>err
    [ "$(<out)" = $'through stdio\none two\nnot kept' ]
    [ "$(kept 1 | grep -v stdio)" = 'one two' ]
    fs verify -q
  done
  # what libc writes inside itself is seen at its own instructions
  options=()
  keep ./says >out 2>err
  [ "$(kept 1)" = $'through stdio\none two' ]
  [ "$(kept 2)" = "$(<err)" ]
  # and only when asked
  fs run -q --expect=any -r 'calls=fsync path=/nowhere fault=error:EIO' -- ./says >/dev/null 2>&1
  [ -z "$(kept 1)" ]
}

@test "output-of-threads-children-and-programs-is-theirs" {
  keep sh -c "echo parent; ls /nowhere; (echo forked; exec echo became) & wait" >out 2>err
  [ "$(kept 1)" = "$(<out)" ]
  [ "$(kept 2)" = "$(<err)" ]
  [[ $(<err) == *nowhere* ]]
  [ "$(fs log --events --json | jq -r 'select(.event == "output") | .process' | sort -u | wc -l)" -eq 3 ]
}

@test "output-that-failed-is-not-kept-and-short-is-kept-short" {
  fs run -q --set output=keep -r 'calls=write fd=1 nth=1 fault=error:EIO' -r 'calls=write fd=1 nth=2 fault=short' -- \
    python3 -c 'import os
for text in (b"lost", b"abcdefgh", b"whole"):
    try: os.write(1, text)
    except OSError: pass' >out
  [ "$(kept 1)" = "$(<out)" ]
  [[ $(<out) == a*whole ]]
  [[ $(<out) != *fgh* ]]
  [[ $(<out) != *lost* ]]
}

@test "output-is-cut-in-one-call-and-at-the-limit-of-the-trace" {
  cat >long.c <<'END'
#include <string.h>
#include <unistd.h>
static char line[100000];
int main(int argc, char **argv) {
  for (int i = 0; i < sizeof line; i++) line[i] = "\xe2\x82\xac"[i % 3];
  for (int i = 0; i < (argc > 1 ? 500 : 1); i++) if (write(1, line, sizeof line) != sizeof line) return 1;
  return 0;
}
END
  gcc -w -o long long.c
  keep ./long >out
  [ "$(stat -c %s out)" -eq 100000 ]
  fs log -q --events --json | jq -s 'map(select(.event == "output"))' >kept
  # whole characters, and what is missing is told
  jq -e 'map(.text) | join("") | (test("^€+$")) and (utf8bytelength > 7900) and (utf8bytelength < 9000)' kept
  [ "$(jq 'map(.text | utf8bytelength) | add' kept)" -eq $((100000 - $(jq 'map(."left-out") | add' kept))) ]
  options=(--set trace-limit=1MiB)
  keep ./long more >out
  [ "$(stat -c %s out)" -eq 50000000 ]
  [ "$(stat -c %s faultshim.trace)" -lt 4000000 ]
  fs verify -q
}

@test "output-and-a-replay-do-not-disturb-each-other" {
  cat >tells.c <<'END'
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void) {
  int fd = open("data", O_WRONLY | O_CREAT, 0600);
  for (int i = 0; i < 50; i++) {
    int n = write(fd, "x", 1);
    printf("%d %d %s\n", i, n, strerror(n < 0 ? errno : 0));
    fflush(stdout);
  }
  return 0;
}
END
  gcc -w -o tells tells.c
  fs run -q -s 3 --set output=keep -r 'calls=write path=data probability=40% fault=error:EIO' -- ./tells >out
  mv out first
  kept 1 >kept.first
  cmp first kept.first
  fs replay -q -o b.trace >out
  cmp first out
  fs diff -q faultshim.trace b.trace
}
