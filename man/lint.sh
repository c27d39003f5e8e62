#!/bin/sh
# lint.sh MANDOC FOLDER: the manual pages in FOLDER must give mandoc nothing to warn about.
mandoc=$1
folder=$2
said=$("$mandoc" -T lint -W warning "$folder"/*.[157] 2>&1)
[ -z "$said" ] && exit 0
printf '%s\n' "$said"
exit 1
