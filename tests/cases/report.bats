#!/usr/bin/env bats
# Reports: one HTML file each, read without a script and in a real browser.

load ../common

# What the page holds without a script: see report.py.
page() { # FILE
  python3 "$top/tests/cases/report.py" "$1"
}

# The page as Chromium has it in the end, with what an appended script does to it: browse FILE [SCRIPT [HASH]]. Fails if something goes to its
# console, or to a network.
browse() {
  local folder
  folder=$(mktemp -d "$BATS_TEST_TMPDIR/chromium.XXXXXX")
  { cat "$1"; printf '<script>addEventListener("load", async () => { try { %s } catch (e) { console.error(e); } });</script>\n' "${2-}"; } >"$folder/page.html"
  clean timeout -k 5 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$folder/profile" --host-resolver-rules='MAP * ~NOTFOUND' \
    --log-net-log="$folder/net.json" --enable-logging=stderr --window-size=1280,1600 --virtual-time-budget=2000 --dump-dom \
    "file://$folder/page.html${3-}" 2>"$folder/errors" >"$folder/dom.html" || return 1
  if grep -a CONSOLE "$folder/errors"; then return 1; fi
  # what it asks for its own ends (and does not get: no name resolves) is at hosts of its maker
  if grep -aoE '"url":"(https?|wss?)://[^/"]*' "$folder/net.json" | grep -vE '[/.](google|googleapis|gstatic)\.com$'; then return 1; fi
  cat "$folder/dom.html"
}

# A run of two threads and a child, with faults of several kinds and output around them.
record() {
  cat >busy.c <<'END'
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noinline)) static void save(int fd, int i) {
  char line[64];
  if (write(fd, "0123456789", 10) != 10) { int n = sprintf(line, "lost record %d\n", i); write(2, line, n); }
  if (fsync(fd)) { int n = sprintf(line, "sync %d: %s\n", i, strerror(errno)); write(1, line, n); }
}
static void *work(void *p) {
  int fd = open(p, O_WRONLY | O_CREAT, 0600);
  for (int i = 0; i < 40; i++) save(fd, i);
  return 0;
}
int main(void) {
  pthread_t t;
  pthread_create(&t, 0, work, "one.db");
  work("two.db");
  pthread_join(t, 0);
  if (fork() == 0) { work("three.db"); _exit(0); }
  wait(0);
  return 0;
}
END
  gcc -w -g -O1 -pthread -o busy busy.c
  fs run -q -s 5 --set stacks=faults --set output=keep -r 'calls=write path=*.db probability=20% fault=short' \
    -r 'calls=fsync path=*.db probability=20% fault=error:EIO' -r 'calls=fdatasync fault=error:EIO' -- ./busy >said 2>errors
}

@test "report-holds-what-the-log-has-and-needs-no-script" {
  record
  fs report -q
  page faultshim.html >page.json
  n=$(fs log --faults | wc -l)
  [ "$n" -gt 20 ]
  # the rules
  jq -e '.tables[0] | length == 4 and .[3][0] == "r3" and (.[3][4] == "never matched a call")' page.json
  # the faults, row by row
  jq -r '.tables[1][1:][] | [.[1], .[2], .[3], .[4]] | join(" ")' page.json >rows
  fs log --faults --json | jq -r '[.process + "/" + .thread, .call, .resource, .size] | join(" ")' | head -n 100 | diff rows -
  jq -e '.text | contains("faultshim replay '"$place"'/faultshim.trace") and contains("5 (from --seed)") and contains("lost record")' page.json
  # the data for the script are the same
  jq -r '.data as $d | $d.faults[] | [$d.threads[.[1]].process + "/" + $d.threads[.[1]].thread, $d.calls[.[2]], $d.resources[.[3]], .[4], $d.rules[.[6]], .[7], .[10]] | join(" ")' page.json >data
  fs log --faults --json | jq -r '[.process + "/" + .thread, .call, .resource, .size, .rule, .ordinal, .n] | join(" ")' | diff data -
  jq -e '.data as $d | $d.faults | all(.[8] >= 0 and ($d.stacks[.[8]] | contains("save at ")))' page.json
  # what the program has said, to both descriptors
  [ "$(jq -r '.data.output[] | select(.[2] == 1) | .[3]' -j page.json | sort)" = "$(sort said)" ]
  [ "$(jq -r '.data.output[] | select(.[2] == 2) | .[3]' -j page.json | sort)" = "$(sort errors)" ]
}

@test "report-has-a-line-for-each-mark-change-and-end-of-a-phase" {
  cat >slow.ini <<'END'
[rule slow]
calls = nanosleep
fault = delay 10ms
phase = bad
[phase bad]
from = 4 ops
to = 12 ops
intensity = 10%..100%
END
  background server.log "$faultshim" run -s 1 -q -o live.trace -p slow.ini -- "$victims/say" x250:nanosleep:10
  wait_for 20 fs ctl -o live.trace status
  fs ctl -o live.trace mark half-way
  fs ctl -o live.trace set intensity 50%
  wait "$server"
  fs report -q -o a.html live.trace
  page a.html | jq -r '.data.lines[][1]' >lines
  [ "$(grep -c '^phase name bad' lines)" -eq 2 ]
  [ "$(grep -c '^mark .*half-way' lines)" -eq 1 ]
  [ "$(grep -c '^control intensity 50%' lines)" -eq 1 ]
  browse a.html >/dev/null
}

@test "report-works-in-a-browser-and-asks-nobody" {
  record
  fs report -q -o a.html
  n=$(fs log --faults | wc -l)
  browse a.html >dom
  grep -q 'data-ready="yes"' dom
  [ "$(grep -o '<tr class="open"' dom | wc -l)" -eq "$n" ]
  [[ $(<dom) == *"$n faults"* ]]
  [[ $(<dom) == *"page 1 of 1"* ]]
  # a fault by its address
  browse a.html '' '#fault-3' >dom
  [ "$(grep -o '<tr class="open chosen"' dom | wc -l)" -eq 1 ]
  [[ $(<dom) == *"Call stack, innermost first"*"save at $place/busy.c:"*"Output of the program around it"*'<span class="at">'* ]]
}

@test "report-is-searched-paged-zoomed-and-clicked" {
  record
  fs report -q -o a.html
  fs log --faults --json >faults
  # shellcheck disable=SC2016  # JavaScript
  browse a.html '
    const $ = (id) => document.getElementById(id), out = {}, rows = () => document.querySelectorAll("tr.open").length;
    const wait = (ms) => new Promise((done) => setTimeout(done, ms));
      $("search").value = "EIO two.db"; $("search").dispatchEvent(new Event("input")); await wait(300);
      out.searched = rows();
      document.querySelector("tr.open").click();
      out.detail = $("detail").innerText;
      $("search").value = ""; $("search").dispatchEvent(new Event("input")); await wait(300);
      $("rule").value = "0"; $("rule").dispatchEvent(new Event("change"));
      out.ruled = rows();
      $("rule").value = ""; $("rule").dispatchEvent(new Event("change"));
      out.whole = $("span").textContent;
      $("in").click(); $("in").click();
      out.zoomed = $("span").textContent;
      $("whole").click();
      out.again = $("span").textContent;
      // every mark on the canvas can be hit: go over all of it
      const lanes = $("lanes"), box = lanes.getBoundingClientRect();
      let tips = 0;
      for (let y = 11; y < box.height; y += 22) for (let x = 190; x < box.width; x += 2) {
        lanes.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + x, clientY: box.top + y}));
        if (!$("tip").hidden) { tips++; out.tip = $("tip").innerText; }
      }
      out.tips = tips;
      const pixels = lanes.getContext("2d").getImageData(0, 0, lanes.width, lanes.height).data, seen = new Set();
      for (let i = 0; i < pixels.length; i += 4) seen.add(pixels.slice(i, i + 4).join());
      out.colors = seen.size;
      const pre = document.createElement("pre");
      pre.id = "out";
      pre.textContent = JSON.stringify(out);
      document.body.append(pre);' >dom
  sed -n 's/.*<pre id="out">\(.*\)<\/pre>.*/\1/p' dom | sed 's/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g' >out.json
  [ "$(jq .searched out.json)" -eq "$(jq -s 'map(select(.errno == "EIO" and (.resource | endswith("/two.db")))) | length' faults)" ]
  [ "$(jq .ruled out.json)" -eq "$(jq -s 'map(select(.rule == "r1")) | length' faults)" ]
  jq -e '.detail | contains("fsync") and contains("error EIO") and contains("rule")' out.json
  jq -e '.whole == .again and .whole != .zoomed and .tips > 20 and (.tip | contains("from save at ")) and .colors > 4' out.json
}

@test "report-takes-names-that-are-hostile" {
  name=$'<\x2fscript><img src=x onerror=alert(1)><!--"\'&\n\xff\xe2\x80\xae'
  mkdir -p "$(dirname "$name")"
  # shellcheck disable=SC2016  # for the other shell
  fs run -q -s 1 --expect=any --set output=keep -r 'calls=@file probability=50% fault=delay:1us' -- sh -c 'cp "$1" "$2"; echo "$2" >&2; printf "\0\377%s" "$2"' "$name" "$victims/say" "$name" >/dev/null 2>&1
  fs report -q -o a.html
  page a.html >page.json
  jq -e '.data.resources | map(select(contains("<img src=x onerror"))) | length > 0' page.json
  jq -e '.tags.img == null and (.text | contains("<img src=x onerror=alert(1)>"))' page.json
  browse a.html >dom
  grep -q 'data-ready="yes"' dom
  if grep -q '<img' dom; then return 1; fi
}

@test "report-of-many-faults-is-capped-and-says-so" {
  cat >many.c <<'END'
#include <fcntl.h>
#include <unistd.h>
int main(void) {
  int fd = open("data", O_RDWR | O_CREAT, 0600);
  for (int i = 0; i < 120000; i++) pwrite(fd, "0123456789", 10, 0);
  return 0;
}
END
  gcc -w -O1 -o many many.c
  fs run -q -s 1 --set stacks=faults -r 'calls=pwrite path=data fault=short' -- ./many
  fs report -q -o a.html
  [ "$(page a.html | jq '.data.faults | length')" -eq 100000 ]
  browse a.html 'document.getElementById("last").click()' '#fault-50000' >dom
  grep -q 'data-ready="yes"' dom
  [[ $(<dom) == *"The first 100000 of 120000 faults are shown"* ]]
  [[ $(<dom) == *"page 1,000 of 1,000"* ]]
  [[ $(<dom) == *'#99999'* ]]
  fs report -q -o b.html --faults 7
  [ "$(page b.html | jq '.data.faults | length')" -eq 7 ]
  [ "$(page b.html | jq '.tables[1] | length')" -eq 8 ]
}

@test "report-of-a-run-without-faults-or-cut-or-without-a-trace" {
  fs run -q --expect=any -r 'calls=read path=/nowhere fault=error:EIO' -- true
  fs report -q -o a.html
  page a.html | jq -e '.text | contains("Nothing was injected: this run proves nothing.")'
  browse a.html >dom
  grep -q '<h2>Faults</h2>' dom
  record
  for size in 100 5000 20000 100000 300000; do
    head -c "$size" faultshim.trace >cut.trace
    fs report -q -o b.html cut.trace || [ "$?" -eq 125 ]
    if [ -e b.html ]; then page b.html >/dev/null; fi
  done
  run fs report nothing.trace
  [ "$status" -eq 125 ]
  [[ $output == *"nothing.trace: No such file or directory"* ]]
  run fs report -o there.html "$victims/say"
  [ "$status" -eq 125 ]
  [ ! -e there.html ]
}

@test "report-is-written-whole-or-not-at-all" {
  record
  echo old >a.html
  run fs report -o a.html nothing.trace
  [ "$(<a.html)" = old ]
  run fs report -o nowhere/a.html
  [ "$status" -eq 125 ]
  [[ $output == *"nowhere/a.html: No such file or directory"* ]]
  fs report -o - >b.html
  page b.html >/dev/null
  fs report -q -o a.html
  cmp a.html b.html
  [ "$(stat -c %a a.html)" = 644 ]
  if fs report -o - >/dev/full 2>errors; then return 1; fi
  [ -s errors ]
  [ "$(find . -name 'a.html*' | wc -l)" -eq 1 ]
}

# A folder as `faultshim explore` leaves it, with a finding of a real trace.
explored() {
  mkdir -p explored/findings/00000000000000aa
  cp faultshim.trace explored/findings/00000000000000aa/run.trace
  printf 'said <b>before</b> it died\n' >explored/findings/00000000000000aa/output
  python3 - <<'END'
import json
hostile = "</script><img src=x>"
frames = [{"module": "libc.so.6", "offset": 77, "function": "malloc"}, {"module": "prog", "offset": 4660, "function": "parse", "file": "parse.c", "line": 12}]
asked = {"version": "0.1.0", "command": ["./prog", hostile], "cwd": "/tmp", "profile": "[rule a]\ncalls = malloc\n", "strategy": "each-once", "oracles": "a signal", "options": [],
         "seed": 1, "from": 0, "to": None, "timeout": 0, "shard": None, "shards": None, "start": "2026-11-26T12:00:00Z"}
runs = [{"key": f"once:{i:016x}", "n": i, "seed": 1, "end": "signaled" if i == 2 else "exited", "value": 11 if i == 2 else 0, "outcome": "failed" if i == 2 else "ok",
         "why": "SIGSEGV" if i == 2 else None, "finding": "00000000000000aa" if i == 2 else None, "points": [f"{i:016x}"], "decisions": 5, "faults": 1, "ms": 2.5} for i in (1, 2)]
points = [{"point": f"{i:016x}", "call": "malloc", "kind": "none", "stack": frames, "first": "none"} for i in (1, 2, 3)]
finding = {"id": "00000000000000aa", "why": "SIGSEGV", "title": "SIGSEGV after malloc in parse " + hostile, "stack": frames, "call": "malloc", "error": "ENOMEM", "runs": 1,
           "first": "once:0000000000000002", "replay": "faultshim replay run.trace", "command": ["./prog"]}
json.dump(asked, open("explored/explore.json", "w"))
json.dump(finding, open("explored/findings/00000000000000aa/finding.json", "w"))
open("explored/runs.jsonl", "w").write("".join(json.dumps(r) + "\n" for r in runs))
open("explored/points.jsonl", "w").write("".join(json.dumps(p) + "\n" for p in points))
END
}

@test "report-of-an-exploration-shows-findings-and-coverage" {
  record
  explored
  fs report -q -o a.html explored
  page a.html >page.json
  jq -e '.text | contains("SIGSEGV after malloc in parse </script><img src=x>") and contains("parse at parse.c:12") and contains("said <b>before</b> it died")' page.json
  jq -e '.text | contains("faultshim replay '"$place"'/explored/findings/00000000000000aa/run.trace")' page.json
  # coverage: what failed, what was never faulted, what survived
  jq -e '[.tables[] | select(.[0][3] == "faulted")][0] | (.[1][3:6] == ["1", "0", "1"]) and (.[2][6] == "never faulted") and (.[3][3:6] == ["1", "1", "0"])' page.json
  jq -e '[.tables[] | select(.[0][1] == "program")][0] | map(.[1]) | contains(["killed by signal 11", "exited with status 0"])' page.json
  # the faults of the finding's run, with their stacks
  jq -e '[.tables[] | select(.[0][5] == "fault")][0] | length == 41 and (.[2] | join(" ") | contains("from save at "))' page.json
  browse a.html >dom
  if grep -q '<img' dom; then return 1; fi
  run fs report -q -o b.html "$victims"
  [ "$status" -eq 125 ]
  [ ! -e b.html ]
}
