#!/usr/bin/env bats
# findings and coverage: what an exploration says, to people and to the programs that read such results. The explorations are those
# of a made-up program (explored.py).

load ../common

explored() { # FOLDER OPTION...
  python3 "$top/tests/explored.py" "$@"
}

# Every text of a finding is as bad as a text can be; what is no UTF-8 can't come in.
make_hostile() { # FOLDER
  local file id
  for file in "$1"/findings/*/finding.json; do
    id=$(jq -r .id "$file")
    python3 - "$file" <<'END_OF_PYTHON'
import json, sys
bad = "a<b>&\"'\x01\x08\x0b\x1b[31m\x7f\n\r\t\\ # ]]> --> </failure> \u2028\x85\x9b\ufffe\uffff\U0001f525é%s{} ---\n...\n1..3\nok 9"
f = json.load(open(sys.argv[1]))
f.update(why=bad, title=bad, call=bad, error=bad, replay=bad)
f["stack"] = [{"module": bad, "offset": 2**64 - 1}, {"module": bad, "offset": 0, "function": bad, "file": "/src/prog/" + bad, "line": 2**64 - 1},
              {"module": bad, "offset": 0, "function": bad, "file": bad}, {"module": "", "offset": 0, "function": "", "file": ""}]
json.dump(f, open(sys.argv[1], "w"))
open(sys.argv[1], "a").write("\n")
END_OF_PYTHON
    rm "$1/findings/$id/run.trace"
  done
}

export_as() { # FORMAT [FOLDER]: nothing but the status of a finding
  fs findings --as "$1" "${2:-one}" || [ $? -eq 1 ]
}

valid_junit() { # FILE
  xmllint --noout --nonet --schema "$top/tests/schemas/junit.xsd" "$1"
}
valid_sarif() { # FILE
  python3 - "$top/tests/schemas/sarif.json" "$1" <<'END'
import json, jsonschema, sys
schema, result = (json.load(open(name)) for name in sys.argv[1:])
jsonschema.validate(result, schema)
# what a schema does not say: indexes and bases lead somewhere
for run in result["runs"]:
    rules = run["tool"]["driver"]["rules"]
    for r in run["results"]:
        assert rules[r["ruleIndex"]]["id"] == r["ruleId"], r
        for location in r["locations"]:
            base = location.get("physicalLocation", {"artifactLocation": {}})["artifactLocation"].get("uriBaseId")
            assert base is None or base in run["originalUriBaseIds"], r
END
}
# The parser that Debian has knows TAP up to version 13, of which 14 is an extension that needs no other reader here: "N passed, N failed".
tap_counts() { # FILE
  [ "$(head -n 1 "$1")" = 'TAP version 14' ]
  # shellcheck disable=SC2016  # perl's own
  sed '1s/14/13/' "$1" | perl -MTAP::Parser -0777 -e '
    my $p = TAP::Parser->new({ tap => scalar <STDIN> });
    while (my $r = $p->next) { die "no TAP: " . $r->as_string if $r->is_unknown }
    die $p->parse_errors if $p->parse_errors;
    printf "%d passed, %d failed of %d\n", scalar $p->actual_passed, scalar $p->actual_failed, $p->tests_planned;'
  # the diagnostics are YAML
  python3 - "$1" <<'END'
import re, sys, yaml
for block in re.findall(r"^  ---\n(.*?)^  \.\.\.$", open(sys.argv[1], newline="\n").read(), re.S | re.M):
    data = yaml.safe_load(block)
    assert set(data) >= {"id", "why", "runs", "first", "stack", "replay"}, data
END
}

@test "findings-are-shown-with-stack-and-replay-command" {
  explored one --failing 8
  run fs findings one
  [ "$status" -eq 1 ]
  [[ ${lines[0]} == "faultshim: "*" findings in "*" runs of ./prog a b (each-once)" ]]
  [ "$(grep -c '^  faultshim replay one/findings/[0-9a-f]*/run.trace$' <<<"$output")" -eq "$(find one/findings -name run.trace | wc -l)" ]
  grep -q '^  #1 step_[0-9]* (main.c:[0-9]*)$' <<<"$output"
  run fs findings -q one
  [ "$status" -eq 1 ]
  [ -z "$output" ]
  explored none --failing 0
  run fs findings none
  [ "$status" -eq 0 ]
  [[ $output == "faultshim: 0 findings in "* ]]
  run fs findings one none
  [ "$status" -eq 125 ]
  run fs findings nowhere
  [ "$status" -eq 125 ]
  run fs findings --as xml one
  [ "$status" -eq 125 ]
  [[ $output == *"write junit, tap, sarif or jsonl"* ]]
}

@test "findings-as-junit-xml-are-valid" {
  local n
  explored one --points 30 --failing 5
  n=$(find one/findings -name finding.json | wc -l)
  export_as junit >junit.xml
  valid_junit junit.xml
  [ "$(xmllint --xpath 'count(//testcase/failure)' junit.xml)" -eq "$n" ]
  [ "$(xmllint --xpath 'string(/testsuites/@tests)' junit.xml)" -eq "$(xmllint --xpath 'count(//testcase)' junit.xml)" ]
  [ "$(xmllint --xpath 'count(//testcase)' junit.xml)" -eq $((n + 1)) ]
  # the schema does refuse something
  sed 's/<failure type/<failure kind/' junit.xml >wrong.xml
  run valid_junit wrong.xml
  [ "$status" -ne 0 ]
  # without findings there is one that passes; without runs nothing
  explored none --failing 0
  fs findings --as junit none -o none.xml
  valid_junit none.xml
  [ "$(xmllint --xpath 'count(//testcase)' none.xml)" -eq 1 ]
  : >none/runs.jsonl
  fs findings --as junit none -o none.xml
  valid_junit none.xml
  [ "$(xmllint --xpath 'count(//testcase)' none.xml)" -eq 0 ]
}

@test "findings-as-tap-are-understood" {
  local n
  explored one --points 30 --failing 5
  n=$(find one/findings -name finding.json | wc -l)
  export_as tap >results.tap
  [ "$(tap_counts results.tap)" = "1 passed, $n failed of $((n + 1))" ]
  explored none --failing 0
  fs findings --as tap none >none.tap
  [ "$(tap_counts none.tap)" = "1 passed, 0 failed of 1" ]
  : >none/runs.jsonl
  fs findings --as tap none >none.tap
  [ "$(tap_counts none.tap)" = "0 passed, 0 failed of 0" ]
}

@test "findings-as-sarif-are-valid-one-for-each" {
  local runs
  explored one --strategy random --runs 300 --failing 5
  runs=$(jq -r '.finding // empty' one/runs.jsonl | wc -l)
  export_as sarif >results.sarif
  valid_sarif results.sarif
  jq -r '.runs[].results[].partialFingerprints["faultshimFinding/v1"]' results.sarif | sort >there
  find one/findings -mindepth 1 -type d -printf '%f\n' | sort | diff - there
  [ "$(wc -l <there)" -lt "$runs" ]
  # where it is: file, line, and from the working directory on
  jq -e '.runs[0].results | all(.locations[0].physicalLocation | .artifactLocation.uri == "main.c" and .region.startLine > 0)' results.sarif
  jq -e '.runs[0].results | all(.stacks[0].frames | length == 3)' results.sarif
  [ "$(jq -e '[.runs[0].results[].occurrenceCount] | add' results.sarif)" -eq "$runs" ]
  # the schema does refuse something
  jq '.runs[0].results[0].locations[0].physicalLocation.region.startLine = 0' results.sarif >wrong.sarif
  run valid_sarif wrong.sarif
  [ "$status" -ne 0 ]
}

@test "findings-as-json-lines-are-those-of-the-folder" {
  explored one --points 30 --failing 5
  export_as jsonl | jq -cS . | sort >there
  cat one/findings/*/finding.json | jq -cS . | sort | diff - there
}

@test "findings-of-a-hostile-folder-do-no-harm" {
  local n
  explored one --points 30 --failing 5
  make_hostile one
  n=$(find one/findings -name finding.json | wc -l)
  export_as junit >junit.xml
  valid_junit junit.xml
  [ "$(xmllint --xpath 'count(//testcase/failure)' junit.xml)" -eq "$n" ]
  export_as tap >results.tap
  [ "$(tap_counts results.tap)" = "1 passed, $n failed of $((n + 1))" ]
  export_as sarif >results.sarif
  valid_sarif results.sarif
  export_as jsonl >results.jsonl
  jq -e -s 'all(.title | contains("</failure>"))' results.jsonl
  # nothing reaches the terminal that would move its cursor
  fs findings one >text || [ $? -eq 1 ]
  fs coverage one >>text
  run grep -P '[\x01-\x08\x0b-\x1f\x7f]' text
  [ "$status" -eq 1 ]
}

@test "findings-that-can-not-be-written-are-reported" {
  explored one --failing 5
  run fs findings --as junit -o nowhere/junit.xml one
  [ "$status" -eq 125 ]
  [[ $output == *"nowhere/junit.xml: No such file"* ]]
  run fs findings --as junit -o /dev/full one
  [ "$status" -eq 125 ]
  [[ $output == *"/dev/full: No space left"* ]]
}

@test "coverage-tells-what-was-met-failed-and-survived" {
  explored one --points 20 --failing 8
  # a point that nobody came to fail
  jq -c 'select(.call == "read") | .point = "00000000000000ff"' one/points.jsonl | head -n 1 >another
  cat another >>one/points.jsonl
  run fs coverage one
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == "faultshim: 21 points, 20 faulted (95%): "*" survived, "*" failed; 1 never faulted" ]]
  [ "$(grep -c '^never  *0  *0  read  *step_' <<<"$output")" -eq 1 ]
  # failures first
  grep -oE '^(failed|never|survived) ' <<<"$output" | uniq | diff - <(printf '%s \n' failed never survived)
  fs coverage --json one >c.json
  jq -e '.points == 21 and .faulted == 20 and .never == 1 and .survived + .failed == 20' c.json
  [ "$(jq '[.list[] | select(.outcome == "failed")] | length' c.json)" -eq "$(jq .failed c.json)" ]
  # a run about one point blames that one alone
  jq -r 'select(.outcome == "failed") | .key | split(":")[1]' one/runs.jsonl | sort -u >blamed
  jq -r '.list[] | select(.outcome == "failed") | .point' c.json | sort | diff blamed -
  # whole stacks
  run fs coverage --stacks one
  [ "$(grep -c ' main (main.c:900)$' <<<"$output")" -eq 21 ]
}

@test "coverage-of-runs-with-many-faults-blames-each" {
  explored one --strategy random --runs 50 --failing 5
  fs coverage --json one >c.json
  jq -r 'select(.outcome == "failed") | .points[]' one/runs.jsonl | sort -u >blamed
  jq -r '.list[] | select(.outcome == "failed") | .point' c.json | sort | diff blamed -
  [ "$(jq '[.list[].runs] | add' c.json)" -eq "$(jq -s '[.[].points | length] | add' one/runs.jsonl)" ]
}
