#!/usr/bin/env bats
# An exploration that is shared: the examples of faultshim-scale(7), on a program that has a bug, against the exploration in one piece.

load ../common

prepare() {
  "$top"/tests/extract-examples.sh . "$top/man/faultshim-scale.7.in" >/dev/null
  cp "$victims/fragile" server
  environment+=(PATH="$build/tools:$PATH")
}

example() { # KIND
  cat faultshim-scale.7-*."$1"
}

# Runs, points and findings, without what differs from time to time.
content() { # FOLDER
  (cd "$1" && jq -cS 'del(.ms, .start, .replay)' explore.json runs.jsonl points.jsonl findings/*/finding.json)
}
in_one_piece() {
  fs explore -q -o one -- ./server || [ $? -eq 1 ]
  [ "$(find one/findings -name run.trace | wc -l)" -ge 1 ]
  fs merge -q one -o one.merged
}
same_as_in_one_piece() { # FOLDER
  diff <(content one.merged) <(content "$1")
}

@test "merge-of-explored-shards-equals-the-exploration-in-one-piece" {
  local i
  in_one_piece
  for i in 1 2 3 4; do fs explore -q -o part$i -j 1 --shard $i/4 -- ./server || [ $? -eq 1 ]; done
  fs merge -q part4 part2 part3 part1 -o whole
  same_as_in_one_piece whole
  # one job makes them in the order that merge writes
  fs explore -q -j 1 -o ordered -- ./server || [ $? -eq 1 ]
  diff <(content ordered) <(content whole)
  # the findings can be replayed from where they are now
  local found
  for found in whole/findings/*; do
    run fs replay -q -o again.trace "$found/run.trace"
    [ "$status" -gt 128 ]
  done
}

# Points on error paths, which parts come to in different ways.
@test "merge-of-shards-that-met-error-paths-equals-the-exploration-in-one-piece" {
  local i
  ask() { # FOLDER OPTION...
    fs explore -q --copy -r 'calls=@file fault=error:EIO' -o "$@" -- sort in || [ $? -eq 1 ]
  }
  echo b >in
  ask one
  [ "$(jq -r 'select(.n > 0) | .reached // empty | length' one/runs.jsonl | wc -l)" -gt 3 ]
  for i in 1 2 3; do ask part$i --shard $i/3; done
  fs merge -q one -o one.merged
  fs merge part1 part2 part3 -o whole
  same_as_in_one_piece whole
  diff <(jq -cS 'del(.ms)' one/runs.jsonl | sort) <(jq -cS 'del(.ms)' whole/runs.jsonl | sort)
}

@test "merge-of-seeds-equals-the-exploration-in-one-piece" {
  local i
  ask() { # FOLDER OPTION...
    fs explore -q --strategy random --seed-range 1..40 -r 'calls=malloc fault=error:ENOMEM probability=20%' -o "$@" -- ./server || [ $? -eq 1 ]
  }
  ask one -j 1
  for i in 1 2 3 4; do ask part$i -j 1 --shard $i/4; done
  fs merge -q one -o one.merged
  fs merge -q part1 part2 part3 part4 -o whole
  same_as_in_one_piece whole
}

@test "scale-by-gnu-parallel" {
  in_one_piece
  run clean timeout 100 sh -e ./faultshim-scale.7-*.parallel
  [ "$status" -eq 1 ]
  [ "$(find part? -name explore.json | wc -l)" -eq 4 ]
  jq -e '.shards == 4' part3/explore.json
  same_as_in_one_piece whole
}

# munge, slurmctld and slurmd of our own, on the loopback, for this test alone. Their numbers go to `started`: they are ended with it.
start_slurm() {
  local port host s=$BATS_TEST_TMPDIR/slurm
  host=$(hostname -s)
  port=$(free_port)
  mkdir -p "$s/state" "$s/spool"
  head -c 1024 /dev/urandom >"$s/key"
  chmod 600 "$s/key"
  cat >"$s/slurm.conf" <<END
ClusterName=faultshim
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$s/munge
CredType=cred/munge
StateSaveLocation=$s/state
SlurmdSpoolDir=$s/spool
SlurmctldPidFile=$s/slurmctld.pid
SlurmdPidFile=$s/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
  environment+=(SLURM_CONF="$s/slurm.conf")
  background "$s/munged.log" munged --foreground --force --key-file="$s/key" --socket="$s/munge" --pid-file="$s/munged.pid" \
    --log-file="$s/munged.log" --seed-file="$s/seed"
  wait_for 20 test -S "$s/munge" || return 1
  background "$s/slurmctld.log" slurmctld -D -c
  wait_for 20 listens "$port" || return 1
  background "$s/slurmd.log" slurmd -D -c
  wait_for 30 node_is_idle
}
node_is_idle() {
  clean timeout 10 sinfo -h -o %t | grep -q idle
}

@test "scale-by-slurm" {
  needs_root "slurmd starts jobs for others"
  in_one_piece
  start_slurm || { tail -n 5 "$BATS_TEST_TMPDIR"/slurm/*.log && return 1; }
  example slurm >explore.sh
  clean timeout 120 sbatch --wait --export=ALL explore.sh
  [ "$(find part? -name explore.json | wc -l)" -eq 4 ]
  jq -e '.shard == 2 and .shards == 4' part2/explore.json
  fs merge -q part1 part2 part3 part4 -o whole
  same_as_in_one_piece whole
}

@test "scale-by-a-kubernetes-job" {
  local i
  in_one_piece
  # what the server checks, and then what each pod does
  python3 - faultshim-scale.7-*.kubernetes <<'END'
import sys, yaml
job = yaml.safe_load(open(sys.argv[1]))
spec = job["spec"]
assert (job["apiVersion"], job["kind"], spec["completionMode"]) == ("batch/v1", "Job", "Indexed")
pod = spec["template"]["spec"]
assert pod["restartPolicy"] in ("Never", "OnFailure")
container, = pod["containers"]
assert container["env"] == [{"name": "FAULTSHIM_SHARDS", "value": str(spec["completions"])}]
assert 1 <= spec["parallelism"] <= spec["completions"]
assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
assert container["command"] == ["/bin/sh", "-c"] and len(container["args"]) == 1
open("pod.sh", "w").write(container["args"][0].replace("/results/", "./"))
open("pods", "w").write(str(spec["completions"]))
END
  pod() { # INDEX
    clean FAULTSHIM_SHARDS="$(cat pods)" JOB_COMPLETION_INDEX="$1" timeout 60 sh -c "$(cat pod.sh)"
  }
  for ((i = 0; i < $(cat pods); i++)); do pod $i; done
  # a pod that is started again
  truncate -s -2 part2/runs.jsonl
  pod 2
  fs merge -q part0 part1 part2 part3 -o whole
  same_as_in_one_piece whole
}

@test "scale-by-a-matrix-of-github-actions" {
  local i
  in_one_piece
  python3 - faultshim-scale.7-*.github <<'END'
import sys, yaml
jobs = yaml.safe_load(open(sys.argv[1]))["jobs"]
parts = jobs["explore"]["strategy"]["matrix"]["part"]
runs = lambda job: [s["run"] for s in jobs[job]["steps"] if "run" in s]
assert all(("run" in s) != ("uses" in s) for j in jobs.values() for s in j["steps"])
assert jobs["findings"]["needs"] == "explore"
for part in parts:
    script, = runs("explore")
    assert f"}}}}/{len(parts)} " in script
    open(f"explore.{part}.sh", "w").write(script.replace("${{ matrix.part }}", str(part)))
join, last = runs("findings")
assert all(f"part{p} " in join for p in parts)
open("join.sh", "w").write(join)
open("last.sh", "w").write(last)
END
  for i in 1 2 3 4; do clean timeout 60 bash -e ./explore.$i.sh; done
  clean timeout 60 bash -e ./join.sh
  same_as_in_one_piece whole
  jq -e '.version == "2.1.0" and (.runs[0].results | length) > 0' whole.sarif
  run clean bash -e ./last.sh
  [ "$status" -eq 1 ]
}

@test "scale-refuses-variables-that-do-not-fit-together" {
  run clean JOB_COMPLETION_INDEX=1 "$faultshim" explore -- ./server
  [ "$status" -eq 125 ]
  [[ $output == *"FAULTSHIM_SHARDS is not; write --shard I/N"* ]]
  run clean SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_MAX=7 "$faultshim" explore -- ./server
  [ "$status" -eq 125 ]
  [[ $output == *"the array has holes"* ]]
  run fs explore --shard 3/2 -- ./server
  [ "$status" -eq 125 ]
  [ ! -e faultshim.explore ]
}
