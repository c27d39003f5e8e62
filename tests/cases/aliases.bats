#!/usr/bin/env bats
# Names of faults that lists written elsewhere use: each loads, reaches a call, and does what it stands for.

load ../common

names() { # of aliases that can be used
  fs list --json aliases | jq -r '.[] | select(.calls != "") | .alias'
}
later() {
  fs list --json aliases | jq -r '.[] | select(.summary == "not yet supported") | .alias'
}

@test "aliases-every-one-loads-and-has-calls-that-its-fault-fits" {
  local name n=0
  while read -r name; do
    printf '[rule r]\nfault = %s\n' "$name" >one.ini
    run fs check --json -p ./one.ini
    [ "$status" -eq 0 ] || { echo "$name: $output" && return 1; }
    [ "$(jq '[.[].rules[].calls[]] | length' <<<"$output")" -gt 0 ] || { echo "$name reaches no call" && return 1; }
    n=$((n + 1))
  done < <(names)
  [ "$n" -ge 60 ]
}

@test "aliases-whose-fault-is-not-there-are-refused-by-line" {
  local name
  for name in $(later); do
    printf '[rule r]\n; words\nfault = %s\n' "$name" >one.ini
    run fs check -p ./one.ini
    [ "$status" -ne 0 ]
    [[ $output == *"one.ini:3: fault '$name' stands for "*", which is not yet supported"* ]] || { echo "$output" && return 1; }
  done
  printf '[rule r]\nfault = storage_write_fial\n' >one.ini
  run fs check -p ./one.ini
  [[ $output == *"one.ini:2: unknown fault 'storage_write_fial'; did you mean 'storage_write_fail'?"* ]]
}

@test "aliases-a-profile-of-nothing-but-names" {
  printf '[rule writes]\nfault = storage_write_fail\ntimes = 1\n[rule room]\nfault = disk_full 150\n[rule syncs]\nfault = storage_fsync_fail\ntimes = 1\n[rule reads]\nfault = storage_read_fail\nnth = 2\n' >names.ini
  run fs run -q -s 1 -p ./names.ini -- "$victims/say" on:file write:100 write:100 write:100 write:100 fsync fsync rewind read:10 read:10
  says "write -1 EIO" "write 100" "write 50" "write -1 ENOSPC" "fsync -1 EIO" "fsync ok" "read 10" "read -1 EIO"
  fs verify -q
}

@test "aliases-take-arguments-weights-and-the-calls-of-their-rule" {
  run_say 'fault=storage_write_fail:EDQUOT' on:file write:100 fsync
  says "write -1 EDQUOT" "fsync ok"
  run_say 'calls=fsync fault=storage_write_fail' on:file write:100 fsync
  says "write 100" "fsync -1 EIO"
  # alternatives by weight, each with its errors
  under 'fault=storage_write_fail:EDQUOT weight=9 fault=storage_write_fail' -- say on:file x400:write:10 >said
  [ "$(grep -c EDQUOT said)" -gt 320 ] && [ "$(grep -c 'EIO' said)" -gt 10 ]
  # both kinds of partial writes
  under 'fault=storage_partial_write' -- say on:file x100:write:4096 >said
  [ "$(faults | jq -r .fault | sort -u | tr '\n' ' ')" = "short torn " ]
  run fs check -r 'calls=fsync fault=disk_full'
  [ "$status" -ne 0 ]
  [[ $output == *"quota"* ]]
  run fs check -r 'fault=storage_write_fail:nonsense'
  [ "$status" -ne 0 ]
}

@test "aliases-of-the-network-processes-and-machine" {
  run_say 'fault=http_connection_fail:ECONNREFUSED' connect
  says "connect -1 ECONNREFUSED"
  run_say 'fault=agent_not_found:EAI_NONAME' getaddrinfo
  [[ $output == *EAI_NONAME* ]]
  run_say 'fault=custom_tool_exec_fail:EAGAIN' fork
  [[ $output == *EAGAIN* ]]
  run_say 'fault=sandbox_pause_fail' kill
  [[ $output == *EPERM* ]]
  run fs run -q -s 1 -r 'fault=teleport_arch_mismatch' -- /bin/uname -m
  [ "$output" = riscv64 ]
  local now moved
  now=$(date +%s)
  moved=$(fs run -q -s 1 -r 'fault=clock_skew' -- /bin/date +%s)
  [ $((moved - now)) -ge 89 ] && [ $((moved - now)) -le 180 ]
  moved=$(fs run -q -s 1 -r 'fault=clock_jump:-2h' -- /bin/date +%s)
  [ $((now - moved)) -ge 7000 ] && [ $((now - moved)) -le 7200 ]
  run fs run -q -s 1 --expect=any -r 'fault=crash_after_write' -- "$victims/say" on:file write:100
  [ "$status" -eq 137 ]
  [ "$(stat -c %s -- * | grep -c '^100$')" -eq 1 ]
}

@test "aliases-of-modules-and-caches-mean-their-paths" {
  mkdir cache
  printf 'module' >a.wasm
  printf 'words' >b.txt
  printf 'kept' >cache/entry
  run fs run -q -s 1 -r 'fault=wasm_compile_fail:EIO' -- /bin/cat b.txt a.wasm
  [ "$status" -eq 1 ]
  [[ $output == *words*"a.wasm: Input/output error"* ]]
  run fs run -q -s 1 -r 'fault=wasm_cache_evict' -- /bin/cat b.txt cache/entry
  [ "$status" -eq 1 ]
  [[ $output == *words*"cache/entry: No such file or directory"* ]]
  run fs run -q -s 1 --expect=any -r 'path=*.txt fault=wasm_compile_fail:EIO' -- /bin/cat a.wasm b.txt
  [[ $output == *module*"b.txt: Input/output error"* ]]
}

@test "aliases-answer-in-the-place-of-a-server" {
  local port name code
  port=$(free_port)
  background server.log /usr/bin/python3 -B -m http.server --bind 127.0.0.1 "$port"
  wait_for 20 listens "$port"
  for name in http_rate_limited=429 llm_failure=500 agent_busy=503 unauthorized=401 rate_limited=429; do
    code=$(fs run -q -s 1 -r "peer=127.0.0.1:$port fault=${name%=*}" -- /usr/bin/curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/")
    [ "$code" = "${name#*=}" ] || { echo "$name: $code" && return 1; }
  done
  # 63: the file is too large
  run fs run -q -s 1 -r "peer=127.0.0.1:$port fault=http_response_too_large" -- /usr/bin/curl -s --max-filesize 1000000 "http://127.0.0.1:$port/"
  [ "$status" -eq 63 ]
  run fs run -q -s 1 -r "calls=@net.recv peer=127.0.0.1:$port fault=http_timeout:max=100ms,ETIMEDOUT" -- /usr/bin/curl -sS "http://127.0.0.1:$port/"
  [ "$status" -eq 56 ]
  [[ $output == *"timed out"* ]]
}

@test "aliases-are-listed-and-in-the-manual" {
  run fs list aliases
  [[ $output == *storage_write_fail*"error EIO"*"@file.write"* && $output == *pwrite64* && $output == *cluster_split_brain* ]]
  local name
  for name in $(names) $(later); do
    grep -q "^\.It Cm $name\$" "$build/man/faultshim-faults.7" || { echo "$name is not in the manual" && return 1; }
  done
}
