#!/usr/bin/env bats
# merge: parts of an exploration as one. The explorations are those of a made-up program (explored.py), which is shared as explore does.

load ../common

explored() { # FOLDER OPTION...
  python3 "$top/tests/explored.py" "$@"
}

# What is in a folder, but for times, and for where it stands.
content() { # FOLDER
  (cd "$1" && jq -cS 'del(.ms, .start, .replay)' explore.json runs.jsonl points.jsonl findings/*/finding.json && cat findings/*/output)
}
ids() { # FOLDER: of its findings
  find "$1/findings" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort
}
same() { # FOLDER FOLDER
  diff <(content "$1") <(content "$2")
}

shared() { # OPTION...
  local i
  explored one "$@"
  for i in 1 2 3 4; do explored part$i --shard $i/4 "$@"; done
}

@test "merge-of-four-parts-equals-the-exploration-in-one-piece" {
  local strategy program
  for strategy in each-once random; do
    for program in 1 2 3 4 5; do
      shared --strategy $strategy --program $program --points 40
      fs merge -q one -o whole
      same one whole
      fs merge -q part3 part1 part4 part2 -o joined
      same one joined
      rm -r one whole joined part?
    done
  done
}

@test "merge-twice-or-bit-by-bit-changes-nothing" {
  shared --points 40
  run fs merge part4 part1 -o joined
  [ "$status" -eq 0 ]
  [[ $output == *"not all parts are there yet, only 1/4, 4/4"* ]]
  jq -e '.parts == ["1/4", "4/4"]' joined/explore.json
  fs merge -q part2 part2 ./part2/ joined -o joined
  # onto another one, from a part that is a result itself
  run fs merge part3 joined -o all
  [ "$status" -eq 0 ]
  [[ $output != *"not all parts"* ]]
  same one all
  cp -r all before
  run fs merge --json part1 part2 part3 part4 all -o all
  [ "$status" -eq 0 ]
  jq -e '.folders == 5 and .twice > 0 and .parts == []' <<<"$output"
  diff -r before all
}

@test "merge-keeps-the-files-of-the-first-run-that-found-it" {
  shared --points 40 --failing 3
  fs merge -q part1 part2 part3 part4 -o joined
  # what belongs to another run of the same finding is gone when an earlier one comes
  local id first
  fs merge -q part4 -o late
  for id in $(ids late); do echo old >"late/findings/$id/shrunk.ini"; done
  fs merge -q part1 part2 part3 -o late
  for id in $(ids joined); do
    first=$(jq -r .first "joined/findings/$id/finding.json")
    [ "$(cat "joined/findings/$id/output")" = "output of $first" ]
    [ "$(cat "late/findings/$id/run.trace")" = "run.trace of $first" ]
    [ "$(jq -r .replay "joined/findings/$id/finding.json")" = "faultshim replay joined/findings/$id/run.trace" ]
    [ ! -e "late/findings/$id/shrunk.ini" ] || grep -q "$first" part4/runs.jsonl
  done
  [ "$(ids joined)" = "$(ids one)" ]
  [ "$(ids joined | wc -l)" -gt 5 ]
}

@test "merge-refuses-other-explorations" {
  explored a
  explored b --seed 2
  explored c --strategy random
  run fs merge a b -o joined
  [ "$status" -eq 125 ]
  [[ $output == *"b is another exploration than "*"a: 'seed' in explore.json is not the same" ]]
  run fs merge a c -o joined
  [ "$status" -eq 125 ]
  [[ $output == *"'strategy' in explore.json"* ]]
  [ ! -e joined ]
  # one that is there is left as it is
  cp -r c before
  run fs merge a -o c
  [ "$status" -eq 125 ]
  diff -r before c
}

@test "merge-says-what-is-wrong-with-a-folder" {
  explored a
  run fs merge a
  [ "$status" -eq 125 ]
  [[ $output == *"say where the result goes"* ]]
  run fs merge -o b
  [ "$status" -eq 125 ]
  run fs merge a nothing -o b
  [ "$status" -eq 125 ]
  [[ $output == *"nothing: No such file"* ]]
  mkdir empty
  run fs merge empty a -o b
  [ "$status" -eq 125 ]
  [[ $output == *"empty is no folder of an exploration"* ]]
  echo '{"key":"x"}' >>a/runs.jsonl
  run fs merge a -o b
  [ "$status" -eq 125 ]
  [[ $output == *"a/runs.jsonl:"*": 'n' is missing" ]]
  [ ! -e b ]
}

@test "merge-drops-a-line-that-was-cut-off" {
  shared --strategy random --runs 40
  content one >wanted
  truncate -s -3 part1/runs.jsonl
  printf '{"key":"seed:41","n":41,' >>part2/runs.jsonl
  run fs merge part1 part2 part3 part4 -o joined
  [ "$status" -eq 0 ]
  [ "$(grep -c 'a line that was cut off is left out' <<<"$output")" -eq 2 ]
  [ "$(wc -l <joined/runs.jsonl)" -eq 39 ]
  # the run is made again, and joined
  explored again --strategy random --runs 40 --shard 1/4
  fs merge -q again -o joined
  same one joined
}

# Half of what has to be written fits.
@test "merge-on-a-full-disk-loses-nothing" {
  shared --strategy random --runs 400 --failing 50
  fs merge -q part1 part2 -o joined
  cp -r joined before
  (
    trap '' XFSZ
    ulimit -f 16
    fs merge part3 part4 -o joined
  ) && return 1
  diff before/runs.jsonl joined/runs.jsonl
  fs merge -q part3 part4 -o joined
  same one joined
}

@test "merge-follows-no-links-out-of-a-hostile-folder" {
  explored a --failing 3
  echo secret >secret
  local id
  for id in $(ids a); do
    ln -s ../../../secret "a/findings/$id/link"
    mkfifo "a/findings/$id/pipe"
    mkdir "a/findings/$id/folder"
  done
  mkdir -p 'a/findings/..x' a/findings/0000
  fs merge -q a -o joined
  [ -z "$(find joined -type l -o -type p -o -name folder -o -name 0000)" ]
  ! grep -r secret joined
}
