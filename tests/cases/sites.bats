#!/usr/bin/env bats
# Syscall doors: where they stand, what they are made from, and what happens where they cannot be.
load ../common

@test "libraries-with-system-calls-of-their-own-are-met-and-programs-if-asked" {
  run fs run -q -s 1 --expect=any -r 'calls=write path=*own.out fault=error:EIO' -- "$victims/life" own "$victims/plugin.so"
  says "library -5" "library -5" "program 7"
  printf '[faultshim]\ndoors-in = all\n[rule r]\ncalls = write\npath = *own.out\nfault = error EIO\n' >all.ini
  run fs run -q -s 1 --expect=any -p all.ini -- "$victims/life" own "$victims/plugin.so"
  says "library -5" "library -5" "program -5"
  printf '[faultshim]\ndoors-in = libc\n[rule r]\ncalls = write\npath = *own.out\nfault = error EIO\n' >libc.ini
  run fs run -q -s 1 --expect=any -p libc.ini -- "$victims/life" own "$victims/plugin.so"
  says "library 6" "library 6" "program 7"
}

@test "a-rule-that-names-a-call-of-libc-meets-it-at-its-symbol-once" {
  # send(2) is sendto in the kernel: named alone it is met as send, together once, as sendto
  run fs run -q -s 1 --expect=any -r 'calls=send fault=delay:1us' -- "$victims/say" on:unix send
  [ "$(decisions | jq -r .call)" = send ]
  run fs run -q -s 1 --expect=any -r 'calls=send,sendto fault=delay:1us' -- "$victims/say" on:unix send
  [ "$(decisions | jq -r .call)" = sendto ]
  run fs run -q -s 1 --expect=any -r 'calls=@net.send fault=delay:1us' -- "$victims/say" on:unix send
  [ "$(decisions | jq -r .call)" = sendto ]
  # by two rules, each as it asks
  run fs run -q -s 1 --expect=any -r 'calls=send probability=0 fault=error:EINTR' -r 'calls=@net.send probability=0 fault=error:EINTR' -- \
    "$victims/say" on:unix send
  [ "$(decisions | jq -r .call | paste -sd' ')" = "send sendto" ]
  fs verify -q
}

@test "with-symbol-doors-what-libc-does-inside-is-not-met" {
  printf '[faultshim]\ndoors = symbols\n[rule r]\ncalls = write\nfd = 1\nfault = error EIO\n' >symbols.ini
  run fs run -q -s 1 --expect=any -p symbols.ini -- /usr/bin/printf 'through stdio\n'
  says "through stdio"
  sed -i s/symbols/sites/ symbols.ini
  run fs run -q -s 1 --expect=any -p symbols.ini -- /usr/bin/printf 'through stdio\n'
  [ "$status" -ne 0 ] && [[ $output != "through stdio"* ]]
}

@test "maps-of-sites-are-kept-for-this-user-alone" {
  environment+=(XDG_CACHE_HOME="$place/kept")
  fs run -q -s 1 --expect=any -r 'calls=write fault=error:EIO' -- "$victims/say" on:file write
  [ "$(stat -c %a kept/faultshim kept/faultshim/sites | paste -sd' ')" = "700 600" ]
  cp kept/faultshim/sites first
  fs run -q -s 1 --expect=any -r 'calls=write fault=error:EIO' -- "$victims/say" on:file write
  cmp first kept/faultshim/sites
}

@test "maps-that-are-damaged-or-of-others-are-not-used" {
  environment+=(XDG_CACHE_HOME="$place/kept")
  local how
  fs run -q -s 1 --expect=any -r 'calls=write fault=error:EIO' -- "$victims/say" on:file write
  for how in cut zeros noise link open other; do
    cp kept/faultshim/sites whole
    case $how in
    cut) truncate -s 5000 kept/faultshim/sites ;;
    zeros) dd if=/dev/zero of=kept/faultshim/sites bs=100 seek=10 count=20 conv=notrunc status=none ;;
    noise) head -c 20000 /dev/urandom >kept/faultshim/sites ;;
    link) mv kept/faultshim/sites elsewhere && ln -s ../../elsewhere kept/faultshim/sites ;;
    open) chmod 666 kept/faultshim/sites ;;
    other) printf 'fshmap99' | dd of=kept/faultshim/sites conv=notrunc status=none ;;
    esac
    run fs run -q -s 1 --expect=any -r 'calls=write fault=error:EIO' -- "$victims/say" on:file write
    says "write -1 EIO" || { echo "with a map: $how" && return 1; }
    rm -f kept/faultshim/sites elsewhere
    cp whole kept/faultshim/sites
    chmod 600 kept/faultshim/sites
  done
}

@test "without-a-place-for-maps-programs-make-their-own" {
  environment=(env -i PATH="$PATH" LANG=C.UTF-8)
  run fs run -q -s 1 --expect=any -r 'calls=write fd=1 fault=error:EIO' -- /usr/bin/printf 'through stdio\n'
  [ "$status" -ne 0 ] && [[ $output != "through stdio"* ]]
}

@test "under-valgrind-symbol-doors-serve-and-that-is-said" {
  run fs run -q -s 1 --expect=any -r 'calls=write path=*data fault=error:EIO' -- valgrind -q "$victims/say" on:file write
  [[ $output == *"no syscall doors"*"valgrind"* ]]
  [[ $output == *"write -1 EIO"* ]]
}
