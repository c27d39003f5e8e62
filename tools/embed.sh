#!/bin/sh
# embed.sh FILE...: each file as a C array of bytes, report.css as `report_css`.
set -eu
for file; do
  name=$(basename "$file" | tr . _)
  echo "static const char ${name}[] = {"
  od -An -v -tx1 "$file" | sed 's/ \(..\)/0x\1,/g'
  echo "};"
done
