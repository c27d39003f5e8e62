#!/bin/sh
# completions.sh FAULTSHIM bash|zsh|fish: completions for a shell, printed from what the command says of itself, and so from the
# tables of commands and options that it is made of.
set -eu
faultshim=$1
shell=$2

# command<TAB>summary
commands() {
  "$faultshim" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\)  *\(.*\)$/\1	\2/p'
}

# letter<TAB>name<TAB>argument<TAB>help, of one command; - for what is not there
options() {
  "$faultshim" "$1" --help | sed -n '/^options:/,$p' | awk '
    /^  / {
      letter = "-"
      argument = "-"
      line = $0
      sub(/^ +/, "", line)
      if (match(line, /^-[a-zA-Z], /)) {
        letter = substr(line, 2, 1)
        line = substr(line, 5)
      }
      name = line
      sub(/ .*/, "", name)
      help = substr(line, length(name) + 1)
      sub(/^ +/, "", help)
      sub(/^--/, "", name)
      if (match(name, /=/)) {
        argument = substr(name, RSTART + 1)
        name = substr(name, 1, RSTART - 1)
      }
      print letter "\t" name "\t" argument "\t" help
    }'
}

print_bash() {
  cat <<'END'
# bash completion for faultshim

_faultshim_options() {
  case $1 in
END
  commands | while read -r command _; do
    printf '  %s) echo "%s" ;;\n' "$command" "$(options "$command" | awk -F '\t' '
      { out = out (NR > 1 ? " " : "") ($1 != "-" ? "-" $1 " " : "") "--" $2 }
      END { print out }')"
  done
  cat <<'END'
  esac
}

_faultshim() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} i
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
END
  # shellcheck disable=SC2016  # the other script expands it
  printf '    mapfile -t COMPREPLY < <(compgen -W "%s --help --version" -- "$cur")\n' "$(commands | cut -f 1 | tr '\n' ' ' | sed 's/ $//')"
  cat <<'END'
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [ "${COMP_WORDS[i]}" = -- ]; then
      compopt -o default
      if [ "$i" -eq $((COMP_CWORD - 1)) ]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
      fi
      return
    fi
  done
  case $prev in
  -p | --profile)
    mapfile -t COMPREPLY < <(compgen -f -W "$(faultshim list profiles 2>/dev/null | awk '/^[a-z]/ { print $1 }')" -- "$cur")
    return
    ;;
  -o | --trace | --log)
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    return
    ;;
  --expect)
    mapfile -t COMPREPLY < <(compgen -W "any fault none" -- "$cur")
    return
    ;;
  esac
  case $command:$cur in
  *:-*) mapfile -t COMPREPLY < <(compgen -W "$(_faultshim_options "$command")" -- "$cur") ;;
  ctl:*) mapfile -t COMPREPLY < <(compgen -f -W "list status set enable disable reset phase load mark wait" -- "$cur") ;;
  list:*) mapfile -t COMPREPLY < <(compgen -W "calls faults keys errnos aliases profiles" -- "$cur") ;;
  run:*) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
  *) compopt -o default ;;
  esac
}

complete -F _faultshim faultshim
END
}

print_zsh() {
  cat <<'END'
#compdef faultshim

_faultshim() {
  local -a commands
  commands=(
END
  commands | while IFS='	' read -r command summary; do
    printf "    '%s:%s'\n" "$command" "$(printf '%s' "$summary" | sed "s/'/'\\\\''/g")"
  done
  cat <<'END'
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
END
  commands | while read -r command _; do
    printf '  %s)\n    _arguments -s -S \\\n' "$command"
    options "$command" | awk -F '\t' -v quote="'" '
      {
        help = $4
        gsub(/\[/, "\\[", help)
        gsub(/]/, "\\]", help)
        gsub(quote, quote "\\" quote quote, help)
        action = $3 == "FILE" || $3 == "PROFILE" ? "_files" : ""
        value = $3 == "-" ? "" : ":" tolower($3) ":" action
        many = $2 == "profile" || $2 == "rule" ? "*" : ""
        equals = $3 == "-" ? "" : "="
        plus = $3 == "-" ? "" : "+"
        if ($1 == "-")
          printf "      %s%s--%s%s[%s]%s%s \\\n", quote, many, $2, equals, help, value, quote
        else if (many != "")
          printf "      %s*%s{-%s%s,--%s%s}%s[%s]%s%s \\\n", quote, quote, $1, plus, $2, equals, quote, help, value, quote
        else
          printf "      %s(-%s --%s)%s{-%s%s,--%s%s}%s[%s]%s%s \\\n", quote, $1, $2, quote, $1, plus, $2, equals, quote, help, value, quote
      }'
    case $command in
    run | replay | shrink) printf "      '*::program:_normal'\n    ;;\n" ;;
    ctl) printf "      '1:action:(list status set enable disable reset phase load mark wait)'\n      '*:file:_files'\n    ;;\n" ;;
    list) printf "      '1:what:(calls faults keys errnos aliases profiles)'\n    ;;\n" ;;
    *) printf "      '*:file:_files'\n    ;;\n" ;;
    esac
  done
  cat <<'END'
  esac
}

_faultshim "$@"
END
}

print_fish() {
  echo '# fish completion for faultshim'
  commands | while IFS='	' read -r command summary; do
    summary=$(printf '%s' "$summary" | sed "s/'/\\\\'/g")
    printf "complete -c faultshim -n __fish_use_subcommand -f -a %s -d '%s'\n" "$command" "$summary"
    options "$command" | awk -F '\t' -v command="$command" -v quote="'" '
      {
        help = $4
        gsub(quote, "\\" quote, help)
        printf "complete -c faultshim -n %s__fish_seen_subcommand_from %s%s%s -l %s%s -d %s%s%s\n", quote, command, quote, \
          $1 == "-" ? "" : " -s " $1, $2, $3 == "-" ? "" : " -r", quote, help, quote
      }'
  done
  echo "complete -c faultshim -n '__fish_seen_subcommand_from ctl' -a 'list status set enable disable reset phase load mark wait'"
  echo "complete -c faultshim -n '__fish_seen_subcommand_from list' -f -a 'calls faults keys errnos aliases profiles'"
  echo "complete -c faultshim -n '__fish_seen_subcommand_from run' -a '(__fish_complete_subcommand)'"
}

case $shell in
bash) print_bash ;;
zsh) print_zsh ;;
fish) print_fish ;;
*) echo "usage: completions.sh FAULTSHIM bash|zsh|fish" >&2 && exit 2 ;;
esac
