#!/usr/bin/env bats
# verify --runs: how much of a program is the same each time.

load ../common

@test "runs-of-a-program-that-always-does-the-same" {
  run fs verify --runs 4 -s 3 -r 'calls=write probability=30% fault=error:EIO' -- \
    "$victims/say" on:file x50:write:2 in-thread:a:x50:write:1 in-child:x40:write:1
  [ "$status" -eq 0 ]
  [ "${lines[-1]}" = deterministic ]
  [[ $output == *"4 runs with seed 3"* ]]
  # nothing is left behind, and nothing of the program's is printed
  [ "$(ls)" = data ]
  [[ $output != *EIO* ]]
  fs verify --json --runs 2 -s 3 -r 'calls=write probability=30% fault=error:EIO' -- "$victims/say" on:file x50:write:2 |
    jq -e '.grade == "deterministic" and .runs == 2 and .same_runs == 1 and .agree == 50 and .compared == 50 and .first_difference == null and .faults > 0'
}

# A program that does things in another order, or other things, in every second run.
alternating() {
  cat >alternates.c <<'END'
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static sem_t may[2];

static void *work(void *p) {
  int me = *(int *)p;
  while (sem_wait(&may[me]))
    ;
  int fd = open(me ? "b" : "a", O_WRONLY | O_CREAT, 0600);
  for (int i = 0; i < 10; i++)
    if (write(fd, "x", 1) < 0) continue;
  close(fd);
  return NULL;
}

int main(int argc, char **argv) {
  int second = syscall(SYS_access, "flag", F_OK) == 0, numbers[2] = {0, 1};
  if (second) syscall(SYS_unlink, "flag");
  else syscall(SYS_close, syscall(SYS_open, "flag", O_CREAT | O_WRONLY, 0600));
  if (!strcmp(argv[1], "order")) {
    pthread_t t[2];
    for (int i = 0; i < 2; i++) {
      sem_init(&may[i], 0, 0);
      pthread_create(&t[i], NULL, work, &numbers[i]);
    }
    for (int i = 0; i < 2; i++) {
      sem_post(&may[i ^ second]);
      pthread_join(t[i ^ second], NULL);
    }
  }
  if (!strcmp(argv[1], "calls")) {
    int fd = open("a", O_RDWR | O_CREAT, 0600);
    if (write(fd, "x", 1) < 0) return 1;
    if (second && fsync(fd)) return 1;
    if (write(fd, "x", 1) < 0) return 1;
  }
  if (!strcmp(argv[1], "thread") && second) {
    pthread_t t;
    sem_init(&may[0], 0, 1);
    pthread_create(&t, NULL, work, &numbers[0]);
    pthread_join(t, NULL);
  }
  return !strcmp(argv[1], "status") && second ? 3 : 0;
}
END
  gcc -D_GNU_SOURCE -pthread -o alternates alternates.c
}

@test "runs-in-which-threads-share-a-count-in-another-order" {
  alternating
  run fs verify --runs 3 -r 'calls=write nth=3 fault=error:EIO' -- ./alternates order
  [ "$status" -eq 1 ]
  [ "${lines[-1]}" = "deterministic for each thread" ]
  [[ $output == *"the first difference: run 2, 1/"[12]", decision 3"* ]]
  [[ $output == *"another order"*"key = thread"* ]]
  [[ $output == *"1 of 2 runs are as the first"* ]]
  # counted by thread, the order does not matter
  run fs verify --runs 3 -r 'calls=write nth=3 key=thread fault=error:EIO' -- ./alternates order
  [ "$status" -eq 0 ]
}

@test "runs-that-make-other-calls" {
  alternating
  run fs verify --runs 2 -r 'calls=write,fsync probability=0 fault=delay:1ms' -- ./alternates calls
  [ "$status" -eq 1 ]
  [ "${lines[-1]}" = chaotic ]
  [[ $output == *"run 2, 1/0, decision 2"* && $output == *"1 write "*"2 fsync "* ]]
  run fs verify --json --runs 2 -r 'calls=write probability=0 fault=delay:1ms' -- ./alternates thread
  [ "$status" -eq 1 ]
  jq -e '.grade == "chaotic" and .first_difference.thread == "1" and (.first_difference.likely_cause | test("tree"))' <<<"$output"
}

@test "runs-that-end-in-another-way" {
  alternating
  run fs verify --runs 2 -r 'calls=write probability=0 fault=delay:1ms' -- ./alternates status
  [ "$status" -eq 1 ]
  [[ $output == *"did not end in the same way"* ]]
}

@test "runs-can-keep-their-traces" {
  fs verify -q --runs 3 -s 7 -o kept -r 'calls=write probability=50% fault=error:EIO' -- "$victims/say" on:file x9:write:1
  local i
  for i in 1 2 3; do fs verify -q kept.$i; done
  fs diff -q kept.1 kept.3
}

@test "runs-need-a-program-and-a-sensible-number" {
  local arguments
  for arguments in '--runs=2' '--runs=1 -- /bin/true' '--runs=x -- /bin/true' '--runs=99999 -- /bin/true' '-- /bin/true' '-s 5 some.trace'; do
    # shellcheck disable=SC2086  # several words
    run fs verify $arguments
    [ "$status" -eq 125 ] || { echo "$arguments: $status: $output" && return 1; }
  done
  run -127 fs verify --runs=2 -r 'calls=write fault=error:EIO' -- ./none
  run fs verify --runs=2 -r 'calls=write fault=error:EIO' -- "$victims/tiny-static"
  [ "$status" -eq 121 ]
}
