#!/usr/bin/env bats
# pack: a trace in one file, which every command that reads traces reads.

load ../common

make_trace() {
  cp "$victims/say" program
  fs run -q -s 3 -o run.trace -r 'calls=write nth=2 fault=error:EIO' -- ./program on:file write:1 write:2 write:3 >first
  rm data
}

# A hostile file: NAME=CONTENT members, in this order, tarred and compressed as they are.
archive() { # FILE MEMBER...
  local file=$1
  shift
  tar --zstd -cf "$file" --absolute-names "$@"
}
manifest() { # SIZE SHA256 [PROGRAM-LIST]
  printf '{"format":1,"trace":{"name":"run.trace","size":%s,"sha256":"%s"},"program":%s}' "$1" "$2" "${3:-[]}" >manifest.json
}
refused() { # FILE WORDS
  local command
  for command in log stats verify replay; do
    run fs $command "$1"
    [ "$status" -eq 125 ] || { echo "$command: status $status: $output" && return 1; }
    [[ $output == *"faultshim: $1"*"$2"* ]] || { echo "$command: $output" && return 1; }
    [ "$(wc -l <<<"$output")" -eq 1 ]
  done
}

@test "pack-is-read-by-every-command-like-its-trace" {
  make_trace
  run fs pack run.trace
  [ "$status" -eq 0 ]
  [[ $output == "faultshim: $place/run.fsz: "*" bytes, with the trace" ]]
  [ "$(stat -c %s run.fsz)" -lt 30000 ]
  [ "$(stat -c %a run.fsz)" = 600 ]
  for command in log 'log --json --events' 'log --as-profile' stats; do
    # shellcheck disable=SC2086
    diff <(fs $command run.trace) <(fs $command run.fsz | sed 's/run\.fsz/run.trace/g')
  done
  fs verify -q run.fsz
  fs diff -q run.trace run.fsz
  fs replay -q run.fsz >second
  diff first second
  [ -e run.replay.trace ]
  fs diff -q run.fsz run.replay.trace
  # whoever has no faultshim can look into it too
  tar --zstd -xf run.fsz
  [ "$(jq -r .trace.sha256 manifest.json)" = "$(sha256sum <run.trace | cut -d' ' -f1)" ]
}

@test "pack-is-shrunk-like-its-trace" {
  cp "$victims/say" program
  fs run -q -s 3 -o run.trace -r 'calls=write nth=2,5 fault=error:EIO' -- ./program on:file x8:write:1 >first
  fs pack -q run.trace
  run fs shrink --output 'write -1 EIO' -o small.trace run.fsz
  [ "$status" -eq 0 ] || { echo "$output" && false; }
  [ "$(faults small.trace | wc -l)" -eq 1 ]
}

@test "pack-with-program-runs-where-the-program-is-not" {
  mkdir lib
  cat >lib.c <<'END'
int forty_two(void) { return 42; }
END
  cat >main.c <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int forty_two(void);
int main(void) { printf("%d %zd\n", forty_two(), write(open("data", O_WRONLY | O_CREAT, 0600), "x", 1)); return 0; }
END
  gcc -w -shared -fPIC -o lib/libforty.so lib.c
  gcc -w -o program main.c -Llib -lforty -Wl,-rpath,"$place/lib"
  fs run -q -s 3 --expect=any -o run.trace -r 'calls=write fault=error:EIO' -- ./program >out
  cp out first
  fs pack -q --with-program run.trace
  tar --zstd -tf run.fsz | diff - <(printf '%s\n' manifest.json run.trace program/0 program/1)
  mkdir away
  mv program lib away
  fs replay -q run.fsz >out
  diff first out
  # nothing of it stays
  [ -z "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name 'faultshim.*')" ]
  # another program of the same name is not what was recorded
  cp /bin/false program
  fs replay -q run.fsz >out
  diff first out
  # without it, one is told
  fs pack -q -o bare.fsz run.trace
  rm program
  run fs replay bare.fsz
  [ "$status" -eq 127 ]
  says 'faultshim: ./program: there is no such program'
}

@test "pack-is-replayed-in-another-directory" {
  make_trace
  fs pack -q --with-program run.trace
  mkdir elsewhere
  cp run.fsz elsewhere
  mv program gone
  cd elsewhere
  fs replay -q --directory . run.fsz >../second
  cd ..
  diff first second
  [ -e elsewhere/data ] && [ ! -e data ]
  run fs replay --directory nowhere run.fsz
  [ "$status" -eq 125 ]
  says 'faultshim: --directory nowhere: No such file or directory'
}

@test "pack-that-was-damaged-is-refused-wherever-it-was" {
  make_trace
  fs pack -q run.trace
  size=$(stat -c %s run.fsz)
  cat >damage.py <<'END'
import sys
data = bytearray(open("run.fsz", "rb").read())
at, how = int(sys.argv[1]), sys.argv[2]
open("bad.fsz", "wb").write(data[:at] if how == "cut" else data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1:])
END
  for ((i = 0; i < 40; i++)); do
    at=$((4 + i * (size - 5) / 40))
    for how in flip cut; do
      /usr/bin/python3 damage.py $at $how
      run fs log bad.fsz
      # a bit that says nothing may be another one: then it is the same trace
      [ "$status" -eq 125 ] || { [ "$status" -eq 0 ] && diff <(fs log run.trace) <(echo "$output"); } ||
        { echo "$how $at: status $status: $output" && false; }
    done
  done
}

@test "pack-believes-no-size-and-no-hash" {
  make_trace
  size=$(stat -c %s run.trace)
  sum=$(sha256sum <run.trace | cut -d' ' -f1)
  manifest "$size" "${sum/[0-9]/x}"
  archive a.fsz manifest.json run.trace
  refused a.fsz 'differs from its hash'
  manifest $((size - 1)) "$sum"
  archive a.fsz manifest.json run.trace
  refused a.fsz 'longer than its manifest says'
  manifest $((size + 1)) "$sum"
  archive a.fsz manifest.json run.trace
  refused a.fsz 'shorter than its manifest says'
  manifest 99999999999999999999999 "$sum"
  archive a.fsz manifest.json run.trace
  refused a.fsz 'too large'
  manifest -1 "$sum"
  archive a.fsz manifest.json run.trace
  refused a.fsz ''
  echo '{"format":2}' >manifest.json
  archive a.fsz manifest.json run.trace
  refused a.fsz 'packed by another version'
  echo '[1,2' >manifest.json
  archive a.fsz manifest.json run.trace
  refused a.fsz "its manifest can't be read"
  echo '{"format":1}' >manifest.json
  archive a.fsz manifest.json run.trace
  refused a.fsz 'it has no trace'
  archive a.fsz run.trace manifest.json
  refused a.fsz 'its first file is not manifest.json'
  truncate -s 2M manifest.json
  archive a.fsz manifest.json run.trace
  refused a.fsz 'its manifest is too long'
  # no bomb: a thousand times as much as there is
  manifest "$size" "$sum"
  truncate -s 1G big
  mv run.trace kept.trace
  mv big run.trace
  archive a.fsz manifest.json run.trace
  [ "$(stat -c %s a.fsz)" -lt 200000 ]
  refused a.fsz 'longer than its manifest says'
  printf '\x28\xb5\x2f\xfdjunk' >a.fsz
  refused a.fsz ''
}

@test "pack-writes-nowhere-but-into-its-own-folder" {
  make_trace
  size=$(stat -c %s run.trace)
  sum=$(sha256sum <run.trace | cut -d' ' -f1)
  mkdir -p program-files
  printf '#!/bin/sh\necho evil\n' >evil
  evil_size=$(stat -c %s evil)
  evil_sum=$(sha256sum <evil | cut -d' ' -f1)
  for name in ../evil /evil ../../../evil /tmp/../evil .. . ''; do
    manifest "$size" "$sum" "[{\"name\":\"evil\",\"path\":\"$name\",\"size\":$evil_size,\"sha256\":\"$evil_sum\",\"program\":true}]"
    archive a.fsz manifest.json run.trace evil
    find / -xdev -maxdepth 2 -name evil >before 2>/dev/null || true
    fs replay -q a.fsz >out 2>&1 || true
    find / -xdev -maxdepth 2 -name evil >after 2>/dev/null || true
    diff before after
    [ -z "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name 'faultshim.*')" ]
  done
  # a link in the place of a file
  ln -s /etc/passwd linked
  manifest "$size" "$sum" "[{\"name\":\"linked\",\"path\":\"/x/linked\",\"size\":$evil_size,\"sha256\":\"$evil_sum\",\"program\":true}]"
  archive a.fsz manifest.json run.trace linked
  run fs replay a.fsz
  [ "$status" -eq 125 ]
  [[ $output == *'it holds what is no file'* ]]
}

@test "pack-leaves-nothing-half-written" {
  make_trace
  cp run.trace other.trace
  echo before >run.fsz
  # a file may have 4 KiB here
  run bash -c "ulimit -f 4; trap '' XFSZ; $(declare -f fs clean); $(declare -p environment faultshim); fs pack run.trace"
  [ "$status" -eq 125 ]
  [[ $output == "faultshim: $place/run.fsz: "* ]]
  [ "$(cat run.fsz)" = before ]
  [ "$(find . -name 'run.fsz.*' | wc -l)" -eq 0 ]
  run fs pack nothing.trace
  [ "$status" -eq 125 ]
  fs pack -q run.trace
  run fs pack run.fsz
  [ "$status" -eq 125 ]
  says 'faultshim: run.fsz is packed already'
  echo text >text
  run fs pack text
  [ "$status" -eq 125 ]
  says 'faultshim: text is no trace of faultshim'
}
