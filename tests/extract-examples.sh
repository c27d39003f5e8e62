#!/bin/sh
# extract-examples.sh FOLDER PAGE...: writes the examples of manual pages to files in FOLDER.
#
# An example is a literal block (.Bd -literal … .Ed) after one of these comments:
#   .\" example: profile             to PAGE-LINE.profile
#   .\" example: command [STATUS]    to PAGE-LINE.command, with the status that it must end with in its first line:
#                                    # status STATUS
# Prints the name of each file.
set -eu
folder=$1
shift
for page in "$@"; do
  awk -v folder="$folder" -v page="$(basename "$page" .in)" '
    function unescape(line) {
      gsub(/\\&/, "", line)
      gsub(/\\\(dq/, "\"", line)
      gsub(/\\\(aq/, "\047", line)
      gsub(/\\\(\+-/, "±", line)
      gsub(/\\-/, "-", line)
      gsub(/\\e/, "\\", line)
      return line
    }
    /^\.\\" example: / {
      kind = $3
      status = $4 == "" ? "any" : $4
      next
    }
    /^\.Bd -literal/ && kind != "" {
      file = sprintf("%s/%s-%04d.%s", folder, page, NR, kind)
      if (kind == "command")
        print "# status " status > file
      print file
      inside = 1
      next
    }
    /^\.Ed/ && inside {
      close(file)
      inside = 0
      kind = ""
      next
    }
    inside { print unescape($0) > file }
    END {
      if (kind != "") {
        print page ": an example without its block" > "/dev/stderr"
        exit 1
      }
    }' "$page"
done
