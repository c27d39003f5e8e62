#!/usr/bin/env bats
# The faults of the network on a program that has one end of a connection: what it is told, and what the other end sees of it.

load ../common

# The victim `net` under one rule: on_net RULE OPERATION...
on_net() {
  run under "$1" -- net "${@:2}"
  [ "$status" -eq 0 ] || { echo "status $status: $output" && return 1; }
}

# What the trace says of the faults: "call fault amount" a line. Inside libc send is sendto, and recv is recvfrom: either will do.
in_trace() {
  diff -u --label wanted --label trace <(printf '%s\n' "$@") \
    <(faults | jq -r '"\(.call) \(.fault) \(.amount)"' | sed 's/^sendto/send/; s/^recvfrom/recv/')
}

refused() { # RULE WORDS
  run under "$1" -- net
  [ "$status" -eq 125 ]
  [[ $output == *"-r 1:"*"$2"* ]] || { echo "there: $output" && return 1; }
}

@test "the-victim-says-the-same-bare-and-under-a-rule-that-never-fires" {
  local kind
  for kind in tcp tcp6 unix udp dgram; do
    same_under_the_shim net $kind level send:hello peer-recv peer-send:hi poll select epoll recv nonblock recv epoll
  done
}

# --- loss ---

@test "loss-takes-a-datagram-and-reports-it-sent" {
  local kind call
  for kind in udp dgram; do
    for call in send write writev sendmsg; do
      on_net 'calls=@net.send nth=2 fault=loss' $kind send:one $call:two send:three x3:peer-recv
      says "send 3" "$call 3" "send 5" 'peer-recv 3 "one"' 'peer-recv 5 "three"' "peer-recv nothing"
      in_trace "$call loss 1"
    done
  done
  on_net 'calls=sendto nth=1 fault=loss' udp:open sendto:one sendto:two peer-recv peer-recv
  says "sendto 3" "sendto 3" 'peer-recv 3 "two"' "peer-recv nothing"
}

@test "loss-takes-the-first-of-several-messages" {
  on_net 'calls=sendmmsg fault=loss' udp sendmmsg:abcdef x3:peer-recv
  says "sendmmsg 3 (6 3 2)" 'peer-recv 3 "abc"' 'peer-recv 2 "ab"' "peer-recv nothing"
  on_net 'calls=recvmmsg nth=1 fault=loss' udp peer-send:1 peer-send:2 peer-send:3 recvmmsg
  says "recvmmsg 2 (2)"
}

@test "loss-takes-a-datagram-that-came-and-the-receiver-waits-on" {
  local call
  for call in recv read readv recvmsg recvfrom; do
    on_net "calls=$call nth=1 fault=loss" udp peer-send:one peer-send:two $call:50 $call:50
    says "$call 3 \"two\"" "$call -1 EAGAIN"
  done
  # every datagram is decided for itself
  on_net 'calls=recv nth=1,2,4 fault=loss' dgram peer-send:1 peer-send:2 peer-send:3 peer-send:4 peer-send:5 x3:recv
  says 'recv 1 "3"' 'recv 1 "5"' "recv -1 EAGAIN"
  on_net 'calls=recv fault=loss' udp peer-send:1 peer-send:2 nonblock recv poll:0
  says "recv -1 EAGAIN" "poll nothing"
}

@test "loss-of-what-cannot-be-sent-is-the-kernels-error" {
  on_net 'calls=@net.send fault=loss' udp:open send:x send:#66000
  says "send -1 EDESTADDRREQ" "send -1 EMSGSIZE"
}

@test "loss-first-takes-the-first-datagrams-of-each-peer-and-then-heals" {
  on_net 'calls=@net.send fault=loss:first=2' dgram x4:send:x x3:peer-recv
  says "send 1" "send 1" "send 1" "send 1" 'peer-recv 1 "x"' 'peer-recv 1 "x"' "peer-recv nothing"
  on_net 'calls=@net.send fault=loss:first=1' dgram send:a send:b peer-recv peer-recv dgram send:c send:d peer-recv peer-recv
  says "send 1" "send 1" 'peer-recv 1 "b"' "peer-recv nothing" "send 1" "send 1" 'peer-recv 1 "d"' "peer-recv nothing"
}

@test "loss-gemodel-comes-in-bursts-and-can-be-recomputed" {
  on_net 'calls=@net.send fault=loss:gemodel,5%,25%' udp x2000:send:x
  local lost bursts
  lost=$(faults | jq .ordinal)
  # in the long run a share of 5 / (5 + 25) is lost, in bursts of four
  [ "$(wc -l <<<"$lost")" -gt 200 ] && [ "$(wc -l <<<"$lost")" -lt 500 ]
  bursts=$(awk 'NR == 1 || $1 != last + 1 { n++ } { last = $1 } END { print n }' <<<"$lost")
  [ "$bursts" -gt 40 ] && [ "$bursts" -lt $(($(wc -l <<<"$lost") / 2)) ]
  fs verify -q
}

@test "loss-on-a-stream-is-a-late-segment-or-a-broken-connection" {
  on_net 'calls=@net.send fault=loss:as=delay' tcp send:hello peer-recv
  says "send 5" 'peer-recv 5 "hello"'
  in_trace "send loss 200000000"
  on_net 'calls=@net.send nth=1 fault=loss:as=reset' tcp send:hello send:hello recv peer-recv
  says "send -1 ECONNRESET" "send -1 EPIPE" "recv 0" "peer-recv -1 ECONNRESET"
  # without a word for it, streams are left alone
  on_net 'calls=@net.send fault=loss' tcp send:hello peer-recv
  says "send 5" 'peer-recv 5 "hello"'
}

@test "loss-is-refused-where-it-does-not-fit" {
  refused 'calls=open fault=loss' 'loss can'
  refused 'calls=@net.send fault=loss:first=2 probability=5%' 'says when rule r1 fires'
  refused 'calls=@net.send fault=loss:gemodel,5%' 'gemodel needs two shares'
  refused 'calls=@net.send fault=loss:gemodel,5%,9%,first=2' 'told twice when'
  refused 'calls=@net.send fault=loss:first=2 fault=error:EIO' 'leaves no choice'
  refused 'calls=@net.send fault=loss:as=nothing' 'write as=delay or as=reset'
}

# --- duplicate ---

@test "duplicate-sends-a-datagram-twice" {
  local kind call
  for kind in udp dgram; do
    for call in send write writev sendmsg; do
      on_net "calls=$call fault=duplicate" $kind $call:twice x3:peer-recv
      says "$call 5" 'peer-recv 5 "twice"' 'peer-recv 5 "twice"' "peer-recv nothing"
      in_trace "$call duplicate 5"
    done
  done
}

@test "duplicate-sends-the-bytes-of-one-write-twice" {
  on_net 'calls=send nth=1 fault=duplicate' tcp send:again send:once peer-recv
  says "send 5" "send 4" 'peer-recv 14 "againagainonce"'
  refused 'calls=recv fault=duplicate' "duplicate can't act on recv"
}

# --- reorder ---

@test "reorder-lets-others-overtake-a-datagram" {
  local kind
  for kind in udp dgram; do
    on_net 'calls=@net.send nth=1 fault=reorder:window=1' $kind send:one send:two send:three x4:peer-recv
    says "send 3" "send 3" "send 5" 'peer-recv 3 "two"' 'peer-recv 3 "one"' 'peer-recv 5 "three"' "peer-recv nothing"
    in_trace "send reorder 1" "send reorder 1"
    on_net 'calls=@net.send fault=reorder:window=1' $kind writev:1 sendmsg:2 send:3 write:4 x4:peer-recv
    says "writev 1" "sendmsg 1" "send 1" "write 1" 'peer-recv 1 "2"' 'peer-recv 1 "1"' 'peer-recv 1 "4"' 'peer-recv 1 "3"'
  done
  on_net 'calls=sendto nth=1 fault=reorder:window=1' udp:open sendto:1 sendto:2 peer-recv peer-recv
  says "sendto 1" "sendto 1" 'peer-recv 1 "2"' 'peer-recv 1 "1"'
}

@test "reorder-loses-nothing-and-keeps-to-its-window" {
  on_net 'calls=@net.send probability=40% fault=reorder:window=5' udp x50:send:#7 poll:0 x51:peer-recv
  [ "$(grep -c '^peer-recv 7' <<<"$output")" -eq 50 ]
  [ "$(faults | jq -s 'map(select(.ordinal > 0)) | length')" -gt 10 ]
  faults | jq -e -s 'all(.amount <= 5)'
  fs verify -q
}

@test "reorder-holds-nothing-back-while-the-program-waits-or-when-it-goes" {
  on_net 'calls=@net.send nth=1 fault=reorder' udp send:1 peer-send:x recv peer-recv
  says "send 1" 'recv 1 "x"' 'peer-recv 1 "1"'
  local wait
  for wait in poll select; do
    on_net 'calls=@net.send nth=1 fault=reorder' udp send:1 $wait:0 peer-recv
    says "send 1" "$wait nothing" 'peer-recv 1 "1"'
  done
  on_net 'calls=@net.send nth=1 fault=reorder' udp level send:1 epoll:0 peer-recv
  says "send 1" "epoll nothing" 'peer-recv 1 "1"'
  on_net 'calls=@net.send nth=1 fault=reorder' udp send:1 close peer-recv
  says "send 1" "close 0" 'peer-recv 1 "1"'
  refused 'calls=@net.recv fault=reorder' 'reorder fits none'
  refused 'calls=send fault=reorder:window=99' 'write 1..64'
}

# --- short ---

@test "short-slices-move-no-more-than-the-slice" {
  on_net 'calls=@net.send,@net.recv key=run fault=short:slices=4' tcp x8:send:#100 peer-send:#100 x8:recv
  local n
  while read -r _ n _; do
    [ "$n" -ge 1 ] && [ "$n" -le 4 ] || return 1
  done <<<"$output"
  [ "$(faults | how_many '.fault == "short" and .amount <= 4')" -eq 16 ]
  run under 'calls=@file.read,@file.write,@net.send,@net.recv fault=short:slices=7' -- robust all 20000
  [ "$status" -eq 0 ]
  says "file 20000 ok" "pipe 20000 ok" "unix 20000 ok" "tcp 20000 ok" "udp 20000 ok"
}

# --- reset ---

@test "reset-is-seen-by-both-ends-of-a-tcp-connection" {
  local kind
  for kind in tcp tcp6; do
    on_net 'calls=send nth=2 fault=reset' $kind send:hello peer-recv send:gone send:gone recv poll peer-recv peer-recv
    says "send 5" 'peer-recv 5 "hello"' "send -1 ECONNRESET" "send -1 EPIPE" "recv 0" "poll in rdhup hup" \
      "peer-recv -1 ECONNRESET" "peer-recv 0"
  done
  on_net 'calls=recv nth=1 fault=reset' tcp peer-send:hello recv recv send:x peer-recv
  says "recv -1 ECONNRESET" "recv 0" "send -1 EPIPE" "peer-recv -1 ECONNRESET"
}

@test "reset-stands-in-the-trace-at-every-call-that-meets-it" {
  on_net 'calls=send nth=1 fault=reset' "port:$(free_port)" tcp send:x send:x recv
  [ "$(fs log --faults | grep -c ' = reset .*lasting$')" -eq 2 ]
  in_trace "send reset 0" "send reset 0" "recv reset 0"
  fs verify -q
  fs replay -q -o again.trace faultshim.trace >again
  diff <(echo "$output") again
  [ "$(faults again.trace | wc -l)" -eq 3 ]
}

@test "reset-after-cuts-in-mid-message" {
  on_net 'calls=send nth=1 fault=reset:after=3' tcp send:hello send:hello recv peer-recv peer-recv
  says "send 3" "send -1 ECONNRESET" "recv 0" 'peer-recv 3 "hel"' "peer-recv -1 ECONNRESET"
  on_net 'calls=recv nth=1 fault=reset:after=6' tcp peer-send:hello recv peer-send:world recv recv peer-recv
  says 'recv 5 "hello"' 'recv 1 "w"' "recv -1 ECONNRESET" "peer-recv -1 ECONNRESET"
  on_net 'calls=recv fault=reset:after=6' tcp peer-send:hello recv peer-send:world recv recv
  says 'recv 5 "hello"' 'recv 1 "w"' "recv -1 ECONNRESET"
}

@test "reset-wakes-a-thread-that-waits-and-every-way-of-waiting" {
  on_net 'calls=send fault=reset' tcp beside:recv send:x join
  # shut down for it, or, if it was slow to leave, the socket gone under its hands
  [[ $output == *"send -1 ECONNRESET"* && $output =~ recv\ (0|-1\ EPIPE) ]]
  on_net 'calls=send fault=reset' tcp level beside:epoll:2000 send:x join
  [[ ${lines[0]} == "epoll in"* || ${lines[1]} == "epoll in"* ]]
  on_net 'calls=send fault=reset' tcp edge send:x epoll epoll select
  says_like "send -1 ECONNRESET" "epoll in*hup*" "epoll nothing" "select in"
}

@test "reset-of-a-unix-socket-is-what-linux-has-for-it" {
  on_net 'calls=send nth=1 fault=reset' unix send:x send:x recv peer-recv
  says "send -1 ECONNRESET" "send -1 EPIPE" "recv 0" "peer-recv 0"
}

@test "reset-of-a-connection-that-is-being-made" {
  on_net 'calls=connect fault=reset' tcp send:x
  says "tcp -1 ECONNRESET" "send -1 ECONNRESET"
  on_net 'calls=connect fault=reset' tcp:nonblock poll soerror
  says "tcp -1 EINPROGRESS" "poll in rdhup hup err" "soerror ECONNRESET"
  refused 'calls=sendto,open fault=reset' "reset can't act on open"
}

# --- close ---

@test "close-is-the-end-of-file-and-what-is_sent-still-arrives" {
  local kind
  for kind in tcp unix; do
    on_net 'calls=recv nth=2 fault=close' $kind peer-send:hello recv:2 recv recv read recvmsg peek poll select send:bye peer-recv
    says 'recv 2 "he"' "recv 0" "recv 0" "read 0" "recvmsg 0" "peek 0" "poll in rdhup" "select in" "send 3" 'peer-recv 3 "bye"'
  done
  on_net 'calls=recv nth=1 fault=close' tcp recv peer-send:later recv poll
  says "recv 0" "recv 0" "poll in rdhup"
}

@test "close-after-lets-so-many-bytes-through" {
  on_net 'calls=recv nth=1 fault=close:after=8' tcp peer-send:hello recv:3 peer-send:world recv recv
  says 'recv 3 "hel"' 'recv 5 "lowor"' "recv 0"
  on_net 'calls=@net.recv fault=close:after=50' tcp peer-send:#100 drain
  says "drain 50 end"
}

@test "close-wakes-who-waits" {
  on_net 'calls=send fault=close' tcp beside:recv send:hi join peer-recv
  says_like "send 2" "recv 0" 'peer-recv 2 "hi"'
  on_net 'calls=send fault=close' tcp edge send:hi epoll epoll
  says "send 2" "epoll in rdhup" "epoll nothing"
}

# --- storm ---

@test "storm-is-a-limit-of-connections-that-close-gives-back" {
  on_net 'calls=connect fault=storm:3' tcp more more more less more less less more
  says "more ok" "more ok" "more -1 ECONNREFUSED" "more -1 ECONNREFUSED" "more ok"
  on_net 'calls=accept fault=storm:2' x3:accept less accept
  says "accept ok" "accept ok" "accept -1 EMFILE" "accept ok"
  in_trace "accept storm 2"
  on_net 'calls=connect fault=storm:1,ETIMEDOUT' tcp more close more
  says "more -1 ETIMEDOUT" "close 0" "more -1 ETIMEDOUT"
  fs verify -q
}

# One limit for a tree of processes: what is inherited is one connection, and the dead give theirs back.
@test "storm-counts-the-connections-of-the-whole-run" {
  cat >tree.py <<'END'
import errno, os, signal, socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(50)
kept = []
def more(who):
    s = socket.socket()
    try:
        s.connect(listener.getsockname())
        kept.append(s)
        print(who, "ok", flush=True)
    except OSError as e:
        print(who, errno.errorcode[e.errno], flush=True)
def child(who, n):
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go[1])
        for _ in range(n): more(who)
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        sys.exit(0)
    os.close(go[0])
    os.read(ready[0], 1)
    return pid, go[1]
more("first")
a = child("a", 1)
b = child("b", 2)
more("parent")
os.kill(b[0], signal.SIGKILL); os.waitpid(b[0], 0)
more("parent"); more("parent")
kept.pop(0).close()
more("parent")  # a has that one still
os.write(a[1], b"x"); os.waitpid(a[0], 0)
more("parent"); more("parent"); more("parent")
os.execv(sys.executable, [sys.executable, "-c", """
import socket, sys
s = socket.socket()
print("exec", s.connect_ex(("127.0.0.1", int(sys.argv[1]))))""", str(listener.getsockname()[1])]) if len(sys.argv) > 1 else None
END
  run fs run -q -s 1 -r 'calls=connect peer=127.0.0.1:* fault=storm:3' -- /usr/bin/python3 tree.py
  says "first ok" "a ok" "b ok" "b ECONNREFUSED" "parent ECONNREFUSED" "parent ok" "parent ECONNREFUSED" "parent ECONNREFUSED" \
    "parent ok" "parent ok" "parent ECONNREFUSED"
  fs verify -q
  # what a program has left behind by exec (its listener is gone too) counts no longer
  run fs run -q -s 1 -r 'calls=connect peer=127.0.0.1:* fault=storm:3' -- /usr/bin/python3 tree.py exec
  [ "${lines[11]}" = "exec 111" ] && [ "$(faults | wc -l)" -eq 5 ]
}

@test "storm-is-refused-where-it-does-not-fit" {
  refused 'calls=accept fault=storm:2,ECONNREFUSED' 'accept never returns ECONNREFUSED'
  refused 'calls=accept fault=storm' 'storm has no limit'
  refused 'calls=accept fault=storm:5000' 'a storm of 5000 is out of bounds; write 1..4096 connections'
  refused 'calls=send fault=storm:3' "storm can't act on send"
}

# --- blackhole ---

@test "blackhole-takes-what-is-sent-and-nothing-comes" {
  local kind
  for kind in tcp tcp6 unix; do
    on_net 'calls=send nth=2 fault=blackhole' $kind level send:one peer-recv send:two send:three peer-recv peer-send:hi \
      poll select epoll pollout recv nonblock recv readv poll
    says "send 3" 'peer-recv 3 "one"' "send 3" "send 5" "peer-recv nothing" "poll nothing" "select nothing" "epoll nothing" \
      "pollout out" "recv -1 EAGAIN" "recv -1 EAGAIN" "readv -1 EAGAIN" "poll nothing"
    in_trace "send blackhole 3" "send blackhole 5" "recv blackhole 0" "recv blackhole 0" "readv blackhole 0"
    fs verify -q
  done
}

@test "blackhole-hides-what-had-arrived-from-every-way-of-waiting" {
  local way
  for way in level edge oneshot; do
    on_net 'calls=recv nth=1 fault=blackhole' tcp $way nonblock peer-send:hello recv peer-send:more epoll poll select recv
    says "recv -1 EAGAIN" "epoll nothing" "poll nothing" "select nothing" "recv -1 EAGAIN"
  done
  on_net 'calls=recv nth=1 fault=blackhole' unix edge nonblock peer-send:hello recv dup peer-send:more epoll poll recv
  says "recv -1 EAGAIN" "epoll nothing" "poll nothing" "recv -1 EAGAIN"
}

@test "blackhole-takes-no-more-than-a-buffer-holds" {
  on_net 'calls=send fault=blackhole' tcp nonblock send:#1000000 send:#1000000 pollout
  [[ ${lines[0]} =~ ^send\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -lt 1000000 ]
  [ "${lines[1]}" = "send -1 EAGAIN" ] && [ "${lines[2]}" = "pollout nothing" ]
}

@test "blackhole-swallows-datagrams-both-ways" {
  on_net 'calls=send nth=1 fault=blackhole' udp send:x send:y peer-recv peer-send:hello poll recv
  says "send 1" "send 1" "peer-recv nothing" "poll nothing" "recv -1 EAGAIN"
  on_net 'calls=recv nth=1 fault=blackhole' dgram peer-send:hello recv poll send:x peer-recv
  says "recv -1 EAGAIN" "poll nothing" "send 1" "peer-recv nothing"
  on_net 'calls=sendto nth=1 fault=blackhole' udp:open sendto:x sendto:y peer-recv
  says "sendto 1" "sendto 1" "peer-recv nothing"
}

@test "blackhole-at-a-connect-gets-no-answer" {
  on_net 'calls=connect fault=blackhole' tcp:nonblock pollout soerror recv
  says "tcp -1 EINPROGRESS" "pollout nothing" "soerror 0" "recv -1 EAGAIN"
  on_net 'calls=connect fault=blackhole' unix send:x peer-recv peer-send:y poll
  says "send 1" "peer-recv nothing" "poll nothing"
}

@test "blackhole-keeps-a-thread-waiting-that-waited-already" {
  local kind
  for kind in tcp unix; do
    on_net 'calls=send fault=blackhole' $kind beside:recv send:x peer-send:late join
    says "send 1" "recv -1 EAGAIN"
  done
}

@test "blackhole-leaves-the-connection-its-name-and-options" {
  on_net 'calls=send fault=blackhole' tcp send:x identity soerror
  says "send 1" "identity peer tcp" "soerror 0"
}

# The victim under a hole that ends after 1.5 seconds: healing CALLS OPERATION...
healing() {
  printf '%s\n' '[phase cut]' 'from = 0s' 'to = 1.5s' '[rule hole]' "calls = $1" 'phase = cut' 'fault = blackhole' >hole.ini
  run fs run -q -s 1 --expect=any -p ./hole.ini -- "$victims/net" "${@:2}"
  [ "$status" -eq 0 ] || { echo "status $status: $output" && return 1; }
  fs verify -q
}

@test "blackhole-ends-with-its-phase-and-nothing-is-lost-on-streams" {
  local kind
  for kind in tcp unix; do
    healing @net.send $kind send:one peer-recv peer-send:hi poll:20000 peer-recv recv send:two peer-recv identity
    [ "$(head -7 <<<"$output")" = "send 3
peer-recv nothing
poll in
peer-recv 3 \"one\"
recv 2 \"hi\"
send 3
peer-recv 3 \"two\"" ]
  done
  healing @net.send tcp edge nonblock send:one peer-send:hi epoll:20000 epoll recv recv
  says "send 3" "epoll in" "epoll nothing" 'recv 2 "hi"' "recv -1 EAGAIN"
  healing @net.send tcp send:one peer-send:hi select:20000 recv
  says "send 3" "select in" 'recv 2 "hi"'
}

@test "blackhole-that-ends-lets-held-calls-go-on" {
  healing connect port:"$(free_port)" tcp send:x peer-recv
  says "send 1" 'peer-recv 1 "x"'
  healing connect tcp:nonblock pollout:100 pollout:20000 soerror
  says "tcp -1 EINPROGRESS" "pollout nothing" "pollout out" "soerror 0"
  healing @net.recv unix patience peer-send:hi recv
  says 'recv 2 "hi"'
}

@test "blackhole-that-ends-is-noticed-by-a-thread-that-waited-before-it" {
  local kind wait
  for kind in tcp unix; do
    for wait in recv poll:20000; do
      healing @net.send $kind patience beside:$wait send:x peer-send:late join peer-recv
      [ "$(sort <<<"$output")" = "$(printf '%s\n' "send 1" 'peer-recv 1 "x"' "$([ $wait = recv ] && echo 'recv 4 "late"' || echo 'poll in')" |
        sort)" ] || { echo "$kind $wait: $output" && return 1; }
    done
  done
}

# --- reply ---

@test "reply-swallows-the-request-and-is-read-next" {
  local kind
  for kind in tcp tcp6 unix; do
    on_net 'calls=send nth=1 fault=reply:"pong"' $kind level send:ping peer-recv poll select epoll peek recv poll epoll \
      send:again peer-recv peer-send:answer epoll recv identity
    [ "$(head -14 <<<"$output")" = "send 4
peer-recv nothing
poll in
select in
epoll in
peek 4 \"pong\"
recv 4 \"pong\"
poll nothing
epoll nothing
send 5
peer-recv 5 \"again\"
epoll in
recv 6 \"answer\"
identity peer $([ $kind = unix ] && echo no-tcp || echo tcp)" ] || { echo "$output" && return 1; }
    fs verify -q
  done
}

@test "reply-keeps-the-order-of-what-arrived" {
  on_net 'calls=send nth=1 fault=reply:"second"' tcp peer-send:first send:x recv:3 recv nonblock recv
  says "send 1" 'recv 3 "fir"' 'recv 8 "stsecond"' "recv -1 EAGAIN"
  # a request that goes to the other end before the reply is read gets its answer after it
  on_net 'calls=send nth=1 fault=reply:"first"' tcp send:x send:y peer-recv peer-send:second recv recv
  says "send 1" "send 1" 'peer-recv 1 "y"' 'recv 5 "first"' 'recv 6 "second"'
}

@test "reply-is-an-edge-for-epoll-and-once-for-oneshot" {
  on_net 'calls=send nth=1,3 fault=reply:"pong"' tcp edge nonblock send:ping epoll epoll recv recv epoll send:x peer-send:y epoll epoll \
    recv send:ping epoll recv
  says "send 4" "epoll in" "epoll nothing" 'recv 4 "pong"' "recv -1 EAGAIN" "epoll nothing" "send 1" "epoll in" "epoll nothing" \
    'recv 1 "y"' "send 4" "epoll in" 'recv 4 "pong"'
  on_net 'calls=send nth=1 fault=reply:"pong"' tcp oneshot send:ping epoll epoll recv
  says "send 4" "epoll in" "epoll nothing" 'recv 4 "pong"'
}

@test "reply-is-found-by-a-thread-that-waits-already" {
  local wait
  for wait in poll:20000 select:900 epoll:20000; do
    on_net 'calls=send nth=1 fault=reply:"hello"' tcp level beside:$wait send:x join recv
    [ "$(sort <<<"$output")" = "$(printf '%s\n' "send 1" "${wait%:*} in" 'recv 5 "hello"' | sort)" ] || { echo "$output" && return 1; }
  done
  on_net 'calls=send nth=1 fault=reply:"hello"' tcp patience beside:recv send:x join send:y peer-recv
  output=$(sort <<<"$output")
  says 'peer-recv 1 "y"' 'recv 5 "hello"' "send 1" "send 1"
}

@test "reply-of-http-counts-requests-and-fills-in-its-length" {
  local reply='fault=reply:"HTTP/1.1 429 Slow\r\n\r\nno",length=auto' answer='HTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\nno'
  on_net "calls=send nth=1 $reply" tcp 'send:GET / HTTP/1.1\r\nHost: a\r\n\r\n' recv 'send:GET /' peer-recv
  says "send 27" "recv 42 \"$answer\"" "send 5" 'peer-recv 5 "GET /"'
  # two in one send
  on_net "calls=send nth=1 $reply" tcp 'send:GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n' recv:42 recv:42 nonblock recv
  says "send 36" "recv 42 \"$answer\"" "recv 42 \"$answer\"" "recv -1 EAGAIN"
  # one in several: its header, its body
  on_net "calls=send nth=1 $reply" tcp 'send:POST / HTTP/1.1\r\ncontent-length:  5\r\n\r\n' poll send:ab poll send:cde recv send:x peer-recv
  says "send 39" "poll nothing" "send 2" "poll nothing" "send 3" "recv 42 \"$answer\"" "send 1" 'peer-recv 1 "x"'
  on_net "calls=send nth=1 $reply" tcp 'send:POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123' 'send:456789\r\n0\r\n' poll \
    'send:\r\n' recv peer-recv
  says "send 54" "send 11" "poll nothing" "send 2" "recv 42 \"$answer\"" "peer-recv nothing"
  # whoever asks whether to go on is told no
  on_net "calls=send nth=1 $reply" tcp 'send:PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n' recv
  says "send 59" "recv 42 \"$answer\""
}

@test "reply-can-be-a-file-of-any-size" {
  { printf 'HTTP/1.1 200 OK\r\n\r\n' && head -c 3000000 /dev/zero; } >reply
  on_net 'calls=send nth=1 fault=reply:@reply,length=auto' tcp 'send:GET / HTTP/1.1\r\n\r\n' drain send:x peer-recv
  says "send 18" "drain 3000044 EAGAIN" "send 1" 'peer-recv 1 "x"'
}

@test "reply-has-escapes-and-is-refused-where-it-does-not-fit" {
  on_net 'calls=send fault=reply:"a;b c=d, \"e\" \x41\t\\"' tcp send:x recv
  says "send 1" 'recv 16 "a;b c=d, "e" A\x09\"'
  refused 'calls=recv fault=reply:"x"' "reply can't act on recv"
  refused 'calls=send fault=reply' 'reply has no text'
  refused 'calls=send fault=reply:text' 'reply has no quotes'
  refused 'calls=send fault=reply:"x",length=auto' 'begin with HTTP/'
  refused 'calls=send fault=reply:@nothing-there' "reply's file 'nothing-there' can't be read"
}

@test "reply-and-blackhole-go-before-a-reset" {
  on_net 'calls=send nth=1 fault=reply:"pong" continue=no' tcp send:x close
  run under 'calls=send nth=1 fault=reply:"pong"' 'calls=send nth=2 fault=reset' -- net tcp send:x send:y send:z recv peer-recv
  says "send 1" "send -1 ECONNRESET" "send -1 EPIPE" "recv 0" "peer-recv -1 ECONNRESET"
  run under 'calls=send nth=1 fault=blackhole' 'calls=send nth=2 fault=reset' -- net tcp send:x send:y send:z recv
  says "send 1" "send -1 ECONNRESET" "send -1 EPIPE" "recv 0"
}

@test "network-faults-are-the-same-at-both-kinds-of-doors" {
  local doors rule
  while read -r rule; do
    for doors in auto symbols; do
      printf '[faultshim]\ndoors = %s\n' $doors >doors.ini
      run fs run -q -s 1 --expect=any -p ./doors.ini -r "$rule" -- "$victims/net" tcp level send:one peer-recv peer-send:two poll select \
        epoll recv send:three peer-send:four nonblock read recvmsg send:five poll select epoll peer-recv peer-recv recv soerror
      echo "$status $output" >"$doors"
      fs verify -q
    done
    diff auto symbols || { echo "$rule" && return 1; }
  done <<'END'
calls=@net.send nth=2 fault=reset
calls=@net.send nth=1 fault=reset:after=4
calls=@net.recv nth=1 fault=reset:after=2
calls=send nth=2 fault=reset:after=2
calls=@net.recv nth=1 fault=close:after=2
calls=recv nth=1 fault=close
calls=@net.send nth=2 fault=blackhole
calls=send nth=2 fault=blackhole
calls=@net.recv nth=2 fault=blackhole
calls=@net.send nth=2 fault=reply:"instead"
calls=send nth=1,2 fault=reply:"instead"
calls=@net.send nth=1 fault=duplicate
calls=@net.send,@net.recv fault=short:slices=1
END
}

@test "network-faults-are-replayed-with-what-they-leave-behind" {
  local rule
  while read -r rule; do
    rm -f again.trace
    fs run -q -s 1 --expect=any -r "$rule" -- "$victims/net" unix level send:one peer-recv send:two peer-send:three poll epoll recv \
      nonblock recv send:four recv dgram x5:send:x x6:peer-recv >first
    fs replay -q -o again.trace faultshim.trace >again
    diff first again || { echo "$rule" && return 1; }
    diff <(faults | jq -c '[.call, .fault, .amount, .n]') <(faults again.trace | jq -c '[.call, .fault, .amount, .n]')
    fs verify -q again.trace
  done <<'END'
calls=@net.send nth=2 fault=blackhole
calls=@net.send nth=2 fault=reply:"pong"
calls=@net.recv nth=1 fault=close:after=3
calls=@net.send nth=1 fault=reset:after=4
calls=@net.send probability=50% fault=reorder
calls=@net.send probability=50% fault=loss fault=duplicate
END
}

@test "network-faults-leave-no-descriptors-behind" {
  local rule fds='import os, socket, sys
def count(): return len(os.listdir("/proc/self/fd"))
server = socket.create_server(("127.0.0.1", 0))
before = count()
for i in range(50):
    c = socket.create_connection(server.getsockname(), timeout=0.05)
    s, _ = server.accept()
    try:
        c.sendall(b"ping"); c.recv(10)
    except OSError:
        pass
    c.close(); s.close()
print(count() - before)'
  for rule in 'fault=blackhole' 'fault=reply:"pong"' 'fault=reset' 'fault=close' 'fault=blackhole probability=50% key=run'; do
    run fs run -q -s 1 --expect=any -r "calls=@net.send $rule" -- /usr/bin/python3 -c "$fds"
    [ "$output" = 0 ] || { echo "$rule: $output" && return 1; }
  done
}
