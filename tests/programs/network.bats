#!/usr/bin/env bats
# What programs that nobody here wrote make of a network that fails: each first without a fault, then under one, and what it is
# documented to do then. curl(1), "EXIT CODES"; nginx: ngx_http_proxy_module, proxy_read_timeout; Redis: "-LOADING" and "-ERR" replies.

load ../common

prepare() {
  port=$(free_port)
}

# A web server on $port that answers "words", and as /slow only what its caller sends.
serve_words() {
  mkdir -p tmp
  cat >origin.conf <<END
daemon off; master_process off; pid $place/origin.pid; error_log $place/origin.log notice;
events { worker_connections 64; }
http {
  access_log $place/access.log;
  client_body_temp_path tmp/a; proxy_temp_path tmp/b; fastcgi_temp_path tmp/c; uwsgi_temp_path tmp/d; scgi_temp_path tmp/e;
  server { listen 127.0.0.1:$port; location / { return 200 "words\n"; } }
}
END
  background origin.out /usr/sbin/nginx -p "$place" -c "$place/origin.conf"
  wait_for 20 listens "$port"
  wait_for 20 is_quiet
}
is_quiet() { # what looked whether it listens has gone
  [ -f access.log ]
}

# curl under one rule: curl_under RULE ARGUMENT...
curl_under() {
  run fs run -q -s 1 --expect=any -r "$1" -- /usr/bin/curl -sS "${@:2}"
}
url() {
  echo "http://127.0.0.1:$port/"
}

@test "curl-reports-a-connection-that-is-reset-or-ends-too-soon" {
  serve_words
  curl_under 'calls=@net.recv probability=0 fault=reset' "$(url)"
  [ "$status" -eq 0 ] && [ "$output" = words ]
  # 56: failure in receiving network data
  curl_under "calls=@net.recv peer=127.0.0.1:$port nth=1 fault=reset" "$(url)"
  [ "$status" -eq 56 ] && [[ $output == *"Connection reset by peer"* ]]
  [ "$(faults | how_many '.fault == "reset"')" -ge 1 ]
  # 52: the server did not reply anything
  curl_under "calls=@net.recv peer=127.0.0.1:$port nth=1 fault=close" "$(url)"
  [ "$status" -eq 52 ]
  # 18: partial file
  curl_under "calls=@net.recv peer=127.0.0.1:$port nth=1 fault=close:after=150" "$(url)"
  [ "$status" -eq 18 ] || [ "$status" -eq 52 ] || { echo "$status $output" && return 1; }
  # 7: failed to connect
  curl_under "calls=connect peer=127.0.0.1:$port fault=error:ECONNREFUSED" "$(url)"
  [ "$status" -eq 7 ]
  # and goes on by itself where it is told to
  curl_under "calls=@net.recv peer=127.0.0.1:$port nth=1 fault=reset" --retry 2 --retry-all-errors --retry-delay 1 "$(url)"
  [ "$status" -eq 0 ] && [[ $output == *words ]]
}

@test "curl-times-out-on-a-connection-that-is-dead" {
  serve_words
  # 28: operation timeout
  curl_under "calls=@net.send peer=127.0.0.1:$port fault=blackhole" --max-time 1 "$(url)"
  [ "$status" -eq 28 ]
  curl_under "calls=@net.recv peer=127.0.0.1:$port fault=blackhole" --max-time 1 "$(url)"
  [ "$status" -eq 28 ]
  curl_under "calls=connect peer=127.0.0.1:$port fault=blackhole" --connect-timeout 1 "$(url)"
  [ "$status" -eq 28 ]
}

@test "curl-gets-its-answer-when-the-hole-closes" {
  serve_words
  printf '%s\n' '[phase cut]' 'from = 0s' 'to = 1.5s' '[rule hole]' 'calls = @net.send' "peer = 127.0.0.1:$port" 'phase = cut' \
    'fault = blackhole' >hole.ini
  run fs run -q -s 1 -p ./hole.ini -- /usr/bin/curl -sS --max-time 40 "$(url)"
  [ "$status" -eq 0 ] && [ "$output" = words ]
  [ "$(faults | how_many '.fault == "blackhole"')" -ge 1 ]
}

@test "curl-obeys-retry-after-of-a-reply" {
  serve_words
  local before
  before=$(wc -l <access.log)
  curl_under "calls=@net.send peer=127.0.0.1:$port nth=1,2 fault=reply:\"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n\r\nslow down\",length=auto" \
    --no-silent --no-progress-meter --retry 5 -w '%{http_code}' "$(url)"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'Will retry in 1 second' <<<"$output")" -eq 2 ]
  [[ $output == *"words"*"200"* ]]
  # the server saw the last request only
  [ $(($(wc -l <access.log) - before)) -eq 1 ]
  [ "$(faults | how_many '.fault == "reply" and .call != "recvfrom" and .call != "recv"')" -eq 2 ]
  # without --retry the reply is what the user sees, and the connection is used again for the second request
  curl_under "calls=@net.send peer=127.0.0.1:$port nth=1 fault=reply:\"HTTP/1.1 503 No\r\n\r\nbusy\",length=auto" \
    -w ' %{http_code} %{num_connects}\n' "$(url)" "$(url)"
  [ "$output" = "busy 503 1
words
 200 0" ] || { echo "$output" && return 1; }
}

@test "curl-and-python-report-names-that-are-not-resolved" {
  local name
  name=$(hostname)
  run clean curl -sS --max-time 5 "http://$name:$port/"
  [ "$status" -ne 6 ]
  curl_under "calls=getaddrinfo fault=error:EAI_AGAIN" --max-time 5 "http://$name:$port/"
  [ "$status" -eq 6 ] && [[ $output == *"Could not resolve host"* ]]
  local resolve='import socket
try:
    print(socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)[0][4][1])
except socket.gaierror as e:
    print({socket.EAI_AGAIN: "EAI_AGAIN", socket.EAI_NONAME: "EAI_NONAME", socket.EAI_FAIL: "EAI_FAIL"}[e.errno])'
  run fs run -q -s 1 --expect=any -r 'calls=getaddrinfo probability=0 fault=error:EAI_FAIL' -- /usr/bin/python3 -c "$resolve"
  [ "$output" = 80 ]
  local error
  for error in EAI_AGAIN EAI_NONAME EAI_FAIL; do
    run fs run -q -s 1 -r "calls=getaddrinfo peer=host:localhost fault=error:$error" -- /usr/bin/python3 -c "$resolve"
    [ "$output" = "$error" ]
  done
}

@test "a-peer-is-known-by-the-name-that-was-resolved" {
  serve_words
  local connect="import socket, sys
s = socket.create_connection((sys.argv[1], $port))
s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
try:
    print(len(s.recv(10)))
except ConnectionResetError:
    print('reset')"
  run fs run -q -s 1 -r 'calls=@net.recv peer=host:localhost fault=reset' -- /usr/bin/python3 -c "$connect" localhost
  [ "$output" = reset ]
  run fs run -q -s 1 --expect=any -r 'calls=@net.recv peer=host:elsewhere.example fault=reset' -- /usr/bin/python3 -c "$connect" localhost
  [ "$output" = 10 ]
}

# nginx in front of the web server, under rules; the calls that it makes to the server have the peer 127.0.0.1:$port.
serve_proxy() { # RULE...
  local rules=() rule
  for rule in "$@"; do rules+=(-r "$rule"); done
  front=$(free_port)
  cat >proxy.conf <<END
daemon off; master_process off; pid $place/proxy.pid; error_log $place/proxy.log info;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path tmp/f; proxy_temp_path tmp/g; fastcgi_temp_path tmp/h; uwsgi_temp_path tmp/i; scgi_temp_path tmp/j;
  upstream origin { server 127.0.0.1:$port max_fails=0; keepalive 4; }
  server {
    listen 127.0.0.1:$front;
    location / {
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_connect_timeout 1s; proxy_read_timeout 1s; proxy_next_upstream off;
    }
  }
}
END
  background proxy.out "$faultshim" run -q -s 1 --expect=any -o proxy.trace "${rules[@]}" -- /usr/sbin/nginx -p "$place" -c "$place/proxy.conf"
  wait_for 20 listens "$front"
}
# The status of N requests, one after the other.
ask() {
  local i
  for ((i = 0; i < $1; i++)); do
    clean curl -s -o /dev/null -w '%{http_code} ' --max-time 20 "http://127.0.0.1:$front/" || true
  done
}
end_proxy() {
  kill -TERM "$server"
  wait_for 20 gone "$server"
  fs verify -q proxy.trace
}

@test "nginx-answers-502-when-its-upstream-resets-and-goes-on" {
  serve_words
  serve_proxy "calls=@net.recv peer=127.0.0.1:$port nth=2 fault=reset"
  [ "$(ask 5)" = "200 502 200 200 200 " ]
  grep -q 'recv() failed (104: Connection reset by peer) while reading response header from upstream' proxy.log
  end_proxy
  [ "$(faults proxy.trace | how_many '.fault == "reset"')" -ge 1 ]
}

@test "nginx-answers-504-when-its-upstream-is-dead-and-goes-on" {
  serve_words
  serve_proxy "calls=@net.send peer=127.0.0.1:$port nth=2 fault=blackhole"
  [ "$(ask 4)" = "200 504 200 200 " ]
  grep -q 'upstream timed out (110: Connection timed out) while reading response header' proxy.log
  end_proxy
  serve_proxy "calls=connect peer=127.0.0.1:$port nth=1 fault=blackhole"
  [ "$(ask 3)" = "504 200 200 " ]
  end_proxy
}

@test "nginx-passes-on-what-is-replied-in-the-place-of-its-upstream" {
  serve_words
  serve_proxy "calls=@net.send peer=127.0.0.1:$port nth=2,4 fault=reply:\"HTTP/1.1 418 Teapot\r\n\r\nshort and stout\",length=auto"
  # over one connection that is kept alive
  [ "$(ask 6)" = "200 418 200 418 200 200 " ]
  end_proxy
  [ "$(faults proxy.trace | jq -r .resource | sort -u | wc -l)" -eq 1 ]
}

@test "nginx-waits-and-goes-on-when-it-is-out-of-descriptors" {
  serve_words
  serve_proxy 'calls=accept4 nth=3..4 fault=error:EMFILE'
  [ "$(ask 4)" = "200 200 200 200 " ]
  [ "$(grep -c 'accept4() failed (24: Too many open files)' proxy.log)" -eq 2 ]
  end_proxy
}

# A redis server without persistence, bare.
serve_redis() {
  background redis.log /usr/bin/redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$place"
  wait_for 20 pongs
}
pongs() {
  [ "$(clean timeout 20 /usr/bin/redis-cli -h 127.0.0.1 -p "$port" ping)" = PONG ]
}
redis_under() { # RULE, commands on stdin
  fs run -q -s 1 --expect=any -r "$1" -- /usr/bin/redis-cli -h 127.0.0.1 -p "$port" 2>&1
}

@test "redis-cli-says-what-is-replied-and-its-connection-goes-on" {
  serve_redis
  # its first request asks for the server's commands
  run redis_under 'calls=@net.send nth=3 fault=reply:"-LOADING Redis is loading the dataset in memory\r\n"' <<<$'set a 1\nget a\nget a'
  [ "$(grep -v '^$' <<<"$output")" = "OK
LOADING Redis is loading the dataset in memory
1" ] || { echo "$output" && return 1; }
}

@test "redis-cli-connects-anew-after-a-reset" {
  serve_redis
  local rule="calls=@net.recv peer=127.0.0.1:$port"
  run redis_under "$rule probability=0 fault=reset" <<<$'set a 1\nget a'
  [ "$output" = "OK
1" ]
  [ "$(decisions | jq -r .resource | sort -u | wc -l)" -eq 1 ]
  run redis_under "$rule nth=2 fault=reset" <<<$'set a 2\nget a\nget a'
  [ "$(tail -1 <<<"$output")" = 2 ]
  [ "$(faults | how_many '.fault == "reset"')" -ge 1 ]
  [ "$(decisions | jq -r .resource | sort -u | wc -l)" -eq 2 ]
}
