#!/usr/bin/env bats
# Call stacks in the trace, and their names: function, file and line, by the build that ran.

load ../common

prepare() {
  cat >parse.c <<'END'
#include <fcntl.h>
#include <unistd.h>
static inline __attribute__((always_inline)) int put(int fd) {
  return write(fd, "x", 1);
}
__attribute__((noinline)) static int save(int fd) {
  int n = put(fd);
  return n + 1;
}
int main(void) {
  int fd = open("data", O_WRONLY | O_CREAT, 0600);
  for (int i = 0; i < 3; i++)
    save(fd);
  return 0;
}
END
  build
}

build() { # OPTION...
  gcc -w -g -O1 -fno-optimize-sibling-calls "$@" -o parse parse.c
}

record() { # STACKS [COMMAND...]
  fs run -q --set "stacks=$1" -r 'calls=write path=data nth=2 fault=error:EIO' -- "${@:2}"
}

# Function, what it is inlined into, file and line of each frame of the one fault.
frames() {
  fs log -q --stacks --faults --json | jq -r '.stack[] | [.function, .within, (.file // "" | split("/") | last), .line] | join(" ")'
}

@test "a-fault-is-named-by-function-file-and-line" {
  record faults ./parse
  run frames
  [[ $output == *$'put save parse.c 4\nmain  parse.c 13\n'* ]]
  run fs log --stacks --faults
  [[ $output == *" = error EIO "*$'\n'*"| put at "*"parse.c:4 (inlined into save)"$'\n'*"| main at "*"parse.c:13"* ]]
  # the other writes have none
  [ "$(fs log --stacks --json | jq -s 'map(has("stack")) | map(select(.)) | length')" -eq 1 ]
  record all ./parse
  [ "$(fs log --stacks --json --call write | jq -s 'map(has("stack")) | map(select(.)) | length')" -eq 3 ]
}

@test "a-program-at-a-fixed-address-has-the-same-names" {
  build -no-pie
  record faults ./parse
  run frames
  [[ $output == *$'put save parse.c 4\nmain  parse.c 13\n'* ]]
}

@test "without-debug-information-symbols-name-functions" {
  strip --strip-debug parse
  record faults ./parse
  run frames
  [[ $output == *$'save   \nmain   \n'* ]]
  # and without symbols it is module and offset
  strip parse
  record faults ./parse
  run fs log --stacks --faults
  [[ $output == *"| parse+0x"*$'\n'*"| parse+0x"* ]]
  [[ $output != *save* ]]
}

@test "debug-information-apart-from-the-program-is-found" {
  objcopy --only-keep-debug parse parse.debug
  strip parse
  objcopy --add-gnu-debuglink=parse.debug parse
  record faults ./parse
  run frames
  [[ $output == *$'put save parse.c 4\nmain  parse.c 13\n'* ]]
}

@test "a-file-of-another-build-names-nothing" {
  record faults ./parse
  sed -i '1i // a line more' parse.c
  build
  run fs log --stacks --faults
  [[ $output == *"| parse+0x"*" (its file is of another build now)"* ]]
  [[ $output != *parse.c* ]]
  [ "$(fs log -q --stacks --faults --json | jq -r '[.stack[].obstacle // empty] | unique | join(",")')" = "its file is of another build now" ]
  rm parse
  run fs log --stacks --faults
  [[ $output == *"| parse+0x"*" (its file can't be opened)"* ]]
}

@test "each-process-of-a-run-has-its-own-modules" {
  sed 's/put/deliver/; s/save/send/' parse.c >other.c
  gcc -w -g -O1 -fno-optimize-sibling-calls -o other other.c
  fs run -q --set stacks=faults -r 'calls=write path=data key=thread nth=2 fault=error:EIO' -- sh -c './parse & wait; ./other & wait; exec ./parse'
  run fs log -q --stacks --faults
  [[ $output == *"/parse.c:4 (inlined into save)"*"/other.c:4 (inlined into send)"*"/parse.c:4 (inlined into save)"* ]]
}

@test "names-of-c++-are-those-of-the-source" {
  cat >names.cc <<'END'
#include <fcntl.h>
#include <unistd.h>
namespace shop { struct Cart { __attribute__((noinline)) int pay(int fd) { return write(fd, "x", 1) + 1; } }; }
int main() { shop::Cart cart; int fd = open("data", O_WRONLY | O_CREAT, 0600); return cart.pay(fd) + cart.pay(fd) > 9; }
END
  g++ -w -g -O1 -fno-optimize-sibling-calls -o names names.cc
  record faults ./names
  run frames
  [[ $output == *"shop::Cart::pay(int)  names.cc 3"* ]]
}

@test "a-trace-without-stacks-says-so" {
  fs run -q -r 'calls=write path=data nth=2 fault=error:EIO' -- ./parse
  run fs log --stacks --faults
  [[ $output == *"nothing that is shown has a call stack; record with --set stacks=faults, or =all"* ]]
}

@test "no-server-is-asked-for-debug-information" {
  strip parse
  record faults ./parse
  environment+=(DEBUGINFOD_URLS="http://127.0.0.1:1/")
  clean strace -f -o calls -e trace=socket,connect "$faultshim" log --stacks --faults >/dev/null
  run ! grep -E 'connect|AF_INET' calls
}

@test "the-card-says-who-called" {
  run fs run --set stacks=faults -r 'calls=write path=data nth=2 fault=error:EIO' -- ./parse
  [[ $output == *" write $place/data = error EIO (rule r1, ordinal 1)"$'\n'"faultshim:     from put at $place/parse.c:4 (inlined into save)"$'\n'* ]]
  run fs run --json --set stacks=faults -r 'calls=write path=data nth=2 fault=error:EIO' -- ./parse
  jq -e '.first_faults[0].stack | map(select(.function == "put" and .line == 4)) | length == 1' <<<"$output"
}

@test "a-replay-says-where-it-left-its-path" {
  cat >path.c <<'END'
#include <fcntl.h>
#include <unistd.h>
__attribute__((noinline)) static int one(int fd) { return write(fd, "1", 1) + 1; }
__attribute__((noinline)) static int two(int fd) { return fsync(fd) + 1; }
int main(int argc, char **argv) {
  int fd = open("data", O_WRONLY | O_CREAT, 0600), n = one(fd) + one(fd);
  return n + (argc > 1 ? two(fd) : one(fd)) > 100;
}
END
  gcc -w -g -O1 -fno-optimize-sibling-calls -o path path.c
  fs run -q --set stacks=all -r 'calls=write,fsync path=data nth=2 fault=error:EIO' -- ./path
  run fs replay -o b.trace faultshim.trace -- ./path other
  [ "$status" -eq 122 ]
  [[ $output == *"1/0 diverged at decision 3: expected write $place/data from one at $place/path.c:3, found fsync $place/data from two at $place/path.c:4"* ]]
  fs verify -q b.trace
  # where the trace has the stacks of faults alone, the replay has that of the call that was not expected
  fs run -q --set stacks=faults -r 'calls=write,fsync path=data nth=2 fault=error:EIO' -- ./path
  run fs replay -o b.trace faultshim.trace -- ./path other
  [[ $output == *"1/0 diverged at decision 3: expected write $place/data, found fsync $place/data from two at $place/path.c:4"* ]]
}
