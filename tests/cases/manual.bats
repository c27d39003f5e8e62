#!/usr/bin/env bats
# The manual keeps its word: every example in it is valid, and every key, fault and command is in it.

load ../common

prepare() {
  man=$top/man
  "$top"/tests/extract-examples.sh . "$man"/*.in > examples
}

# A shell command with faultshim on its path.
as_written() {
  clean PATH="$(dirname "$faultshim"):$PATH" timeout -k 5 60 "$@"
}

# What the examples talk about: a program that reads, writes and syncs, whatever goes wrong; a profile of one's own; a trace.
make_scene() {
  cat > server <<'END'
#!/bin/sh
for i in 1 2 3 4 5; do
  cp /bin/sh server.db 2> /dev/null
  sync server.db 2> /dev/null
done
exit 0
END
  chmod +x server
  printf '[rule app]\ncalls = @file.read\nprobability = 50%%\nfault = short\n' > app.ini
  as_written faultshim run -q -s 1 -p app.ini -- ./server
}

@test "manual-has-examples" {
  [ "$(grep -c 'profile$' examples)" -ge 10 ]
  [ "$(grep -c 'command$' examples)" -ge 10 ]
}

@test "manual-profiles-are-valid" {
  for example in *.profile; do
    run fs check -p "./$example"
    [ "$status" -eq 0 ] || { echo "$example: $output"; return 1; }
  done
}

@test "manual-commands-do-what-they-say" {
  for example in *.command; do
    wanted=$(sed -n '1s/^# status //p' "$example")
    mkdir "$example.d"
    cd "$example.d"
    make_scene
    run as_written sh -e "../$example"
    case $wanted in
    any) [ "$status" -lt 125 ] || [ "$status" -gt 127 ] ;;
    *) [ "$status" -eq "$wanted" ] ;;
    esac || { echo "$example: status $status: $output"; return 1; }
    cd ..
  done
}

@test "manual-has-words-on-every-key-and-fault-of-the-tables" {
  engine=$top/shim/engine
  for key in $(sed -n 's/^KEY([A-Z]*, *"\([^"]*\)".*/\1/p' "$engine/keys.def"); do
    grep -q "^\.\(It Cm\|Ss\) .*\<$key\>" "$man/faultshim-profile.5.in" || { echo "no words on the key $key"; return 1; }
  done
  for fault in $(sed -n 's/^FAULT([A-Z_]*, *"\([^"]*\)".*/\1/p' "$engine/faults.def"); do
    grep -q "^\.Ss $fault\$" "$man/faultshim-faults.7.in" || { echo "no section on the fault $fault"; return 1; }
  done
}

@test "manual-has-words-on-every-field-of-an-exploration" {
  for field in $(sed -n 's/^[A-Z]*(\([a-z]*\), .*/\1/p' "$top/tools/exploration.def"); do
    grep -q "^\.\(It \)\?Cm .*\<$field\>\|^\.Cm $field\>" "$man/faultshim-exploration.5.in" || { echo "no words on the field $field"; return 1; }
  done
}

@test "manual-has-a-page-for-every-command" {
  for command in $(sed -n 's/^COMMAND(\([a-z]*\),.*/\1/p' "$top/tools/commands.def"); do
    [ -e "$man/faultshim-$command.1.in" ] || { echo "no page for $command"; return 1; }
    grep -q "Xr faultshim-$command 1" "$man/faultshim.1.in" || { echo "$command is not in faultshim(1)"; return 1; }
  done
}

@test "manual-names-every-option-that-help-shows" {
  for command in $(sed -n 's/^COMMAND(\([a-z]*\),.*/\1/p' "$top/tools/commands.def"); do
    for option in $(fs "$command" --help | sed -n 's/^  .*--\([a-z-]*\).*/\1/p'); do
      grep -q "Fl Fl $option\>" "$man/faultshim-$command.1.in" "$man/faultshim.1.in" ||
        { echo "faultshim-$command(1) has no word on --$option"; return 1; }
    done
  done
}

@test "shipped-profiles-are-valid-and-say-what-they-are-for" {
  for profile in "$top"/profiles/*.ini; do
    name=$(basename "$profile" .ini)
    head -n 1 "$profile" | grep -q "^; $name: " || { echo "$name: the first line does not say what it is for"; return 1; }
    grep -q "'$name.ini'" "$top/profiles/meson.build" || { echo "$name is not installed"; return 1; }
    run fs check -p "$profile"
    [ "$status" -eq 0 ] || { echo "$name: $output"; return 1; }
  done
}

@test "shipped-profiles-can-be-joined" {
  joined=()
  for profile in "$top"/profiles/*.ini; do
    joined+=(-p "$profile")
  done
  run fs check "${joined[@]}"
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
}
