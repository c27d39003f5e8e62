#!/usr/bin/env bats
# The manual keeps its word: every example in it is valid, and every key, fault and call is in it.

setup() {
  here=$BATS_TEST_DIRNAME
  man=$here/../../man
  PATH=$(dirname "${FAULTSHIM:?the faultshim command to test}"):$PATH
  cd "$BATS_TEST_TMPDIR"
  unset FAULTSHIM_PROFILE FAULTSHIM_SEED FAULTSHIM_TRACE FAULTSHIM_SESSION
  "$here/../extract-examples.sh" . "$man"/*.in > examples
}

# What the examples talk about: a program that reads, writes and syncs whatever goes wrong, and a profile of one's own.
make_scene() {
  cat > server <<'END'
#!/bin/sh
for i in 1 2 3 4 5; do
  dd if=/bin/sh of=server.db bs=16k count=4 conv=fsync 2> /dev/null
done
exit 0
END
  chmod +x server
  printf '[rule app]\ncalls = @file.read\nprobability = 50%%\nfault = short\n' > app.ini
  faultshim run -q -p app.ini -- ./server
}

# Status that the example must end with, "any" for all but faultshim's own errors.
wanted() {
  sed -n '1s/^# status //p' "$1"
}

@test "manual-has-examples" {
  [ "$(grep -c 'profile$' examples)" -ge 10 ]
  [ "$(grep -c 'command$' examples)" -ge 10 ]
}

@test "manual-profiles-are-valid" {
  for example in *.profile; do
    run faultshim check -p "./$example"
    [ "$status" -eq 0 ] || { echo "$example: $output"; return 1; }
  done
}

@test "manual-commands-do-what-they-say" {
  for example in *.command; do
    mkdir "$example.d"
    cd "$example.d"
    make_scene
    run sh -e "../$example"
    case $(wanted "../$example") in
    any) [ "$status" -lt 125 ] || [ "$status" -gt 127 ] ;;
    *) [ "$status" -eq "$(wanted "../$example")" ] ;;
    esac || { echo "$example: status $status: $output"; return 1; }
    cd ..
  done
}

@test "manual-names-every-call-fault-and-key-of-the-tables" {
  engine=$here/../../shim/engine
  for key in $(sed -n 's/^KEY([A-Z]*, *"\([^"]*\)".*/\1/p' "$engine/keys.def"); do
    grep -q "^\.\(It Cm\|Ss\) .*\<$key\>" "$man/faultshim-profile.5.in" || { echo "no words on the key $key"; return 1; }
  done
  for fault in $(sed -n 's/^FAULT([A-Z_]*, *"\([^"]*\)".*/\1/p' "$engine/faults.def"); do
    grep -q "^\.Ss $fault\$" "$man/faultshim-faults.7.in" || { echo "no section on the fault $fault"; return 1; }
  done
}

@test "manual-has-a-page-for-every-command" {
  for command in run log stats verify replay diff list check; do
    [ -e "$man/faultshim-$command.1.in" ] || { echo "no page for $command"; return 1; }
    grep -q "Xr faultshim-$command 1" "$man/faultshim.1.in" || { echo "$command is not in faultshim(1)"; return 1; }
  done
}

@test "shipped-profiles-are-valid-and-say-what-they-are-for" {
  for profile in "$here"/../../profiles/*.ini; do
    name=$(basename "$profile" .ini)
    head -n 1 "$profile" | grep -q "^; $name: " || { echo "$name: the first line does not say what it is for"; return 1; }
    grep -q "'$name.ini'" "$here/../../profiles/meson.build" || { echo "$name is not installed"; return 1; }
    run faultshim check -p "$profile"
    [ "$status" -eq 0 ] || { echo "$name: $output"; return 1; }
  done
}

@test "shipped-profiles-can-be-joined" {
  run faultshim check $(printf -- '-p %s ' "$here"/../../profiles/*.ini)
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
}
