#!/usr/bin/env bats
# What explorations found in programs that nobody here wrote, confirmed by hand with gdb; and what lives with everything.

load ../common

found() { # FOLDER: titles of the findings
  cat "$1"/findings/*/finding.json | jq -r .title | sort
}
needs_version() { # WHAT VERSION COMMAND...
  [[ $("${@:3}" 2>&1 | head -1) == *"$2"* ]] || skip "this was found in $1 $2"
}

# glibc 2.36, nss/nss_database.c: the state that malloc did not give is looked into (local=0x0 in gdb), and an assertion takes a failed
# getline for the end of the file. Every program that asks for the name of a user dies of it.
@test "explored-glibc-looks-up-users-without-memory" {
  needs_version glibc 2.36 ldd --version
  mkdir d
  echo hello >d/file
  run fs explore -o e -r 'calls=@memory.alloc stack=getpwuid fault=error:ENOMEM' -- tar cf /dev/null d
  [ "$status" -eq 1 ]
  [[ $output == *complete* ]]
  found e | grep -q '^SIGSEGV in .* called by tar.* after malloc = ENOMEM'
  # one call is enough, of any program
  fs run -q -r 'calls=malloc stack=getpwuid size=216 fault=error:ENOMEM' -o t.trace -- tar cf /dev/null d && false
  [ "$(faults t.trace | wc -l)" -eq 1 ]
  run fs run -q -r 'calls=malloc stack=getpwuid size=216 fault=error:ENOMEM' -- sqlite3 :memory: 'select 1'
  [ "$status" -eq 139 ]
}

# jq 1.6, main.c: when jq_init fails, the reader of input that was not set up yet is freed: whatever stands there.
@test "explored-jq-frees-a-parser-that-it-does-not-have" {
  needs_version jq 1.6 jq --version
  echo '{"a":[1,2,{"b":"x"}]}' >in.json
  run fs explore -o e -r 'calls=malloc stack=jq_init depth=1 fault=error:ENOMEM' -- jq . in.json
  [ "$status" -eq 1 ]
  found e | grep -Eq '^SIG(SEGV|ABRT) in .*(jv_parser_free|jq_util_input_free) after malloc = ENOMEM in jq_init'
  run fs replay -q -o again.trace e/findings/*/run.trace
  [ "$status" -eq 139 ] || [ "$status" -eq 134 ]
}

# jq 1.6, compile.c: a name that strdup could not copy is compared.
@test "explored-jq-compares-names-that-it-could-not-copy" {
  needs_version jq 1.6 jq --version
  echo '{"a":[1,2,{"b":"x"}]}' >in.json
  run fs explore -o e --runs 40 -r 'calls=malloc stack=*strdup fault=error:ENOMEM' -- jq '.a[] | tostring' in.json
  [ "$status" -eq 1 ]
  found e | grep -q '^SIGSEGV in .*strcmp.* called by libjq'
}

@test "explored-lua-lives-with-each-allocation-that-fails" {
  cat >t.lua <<'END'
local t = {}
for i = 1, 20 do t[i] = tostring(i) .. string.rep("x", i) end
print(table.concat(t, ","):len(), #string.format("%q", t[3]))
print(pcall(function() error{} end))
END
  run fs explore -o e -- lua5.4 t.lua
  [ "$status" -eq 0 ]
  [[ $output == *"levels; complete"* ]]
  [ "$(wc -l <e/points.jsonl)" -gt 200 ]
}

@test "explored-xmllint-lives-with-each-allocation-that-fails" {
  echo '<a x="1"><b>t&amp;x</b><!-- c --><c/></a>' >in.xml
  limit=100 run fs explore -o e -- xmllint --noout in.xml
  [ "$status" -eq 0 ]
  [[ $output == *"levels; complete"* ]]
  [ "$(wc -l <e/points.jsonl)" -gt 300 ]
}

# Whatever failed, what was committed before is there, and the file is sound.
@test "explored-sqlite-keeps-its-file-sound-whatever-call-fails" {
  sqlite3 test.db 'create table t (a); insert into t values (1), (2)'
  cat >check <<'END'
[ "$(sqlite3 test.db 'pragma integrity_check')" = ok ] && [ "$(sqlite3 test.db 'select count(*) from t where a < 3')" = 2 ]
END
  limit=200 run fs explore -o e --copy --oracle "sh $PWD/check" -r 'calls=@file path=test.db* fault=error:EIO' -- \
    sqlite3 test.db 'insert into t values (3); delete from t where a = 3'
  [ "$status" -eq 0 ]
  [[ $output == *complete* ]]
  [ "$(wc -l <e/points.jsonl)" -gt 20 ]
}
