#!/usr/bin/env bats
# nginx, memcached and curl do their normal work under a rule on everything that never fires.

load ../common

# The server's command under the shim or bare, in the background: serve bare|shimmed COMMAND...
serve() {
  local how=$1
  shift
  if [ "$how" = bare ]; then
    background "$how.log" "$@"
  else
    background "$how.log" "$faultshim" run -q -s 1 -o "$how.trace" -r "$everything" -- "$@"
  fi
  wait_for 20 listens "$port"
}
stop() { # SIGNAL: faultshim passes it on
  kill -"$1" "$server"
  wait_for 20 gone "$server"
}

changed() { # two workers at the start, two after the change
  [ "$(grep -c 'start worker process ' error.log)" -ge 4 ]
}
@test "nginx-works-as-without-the-shim" {
  local how i
  port=$(free_port)
  mkdir root tmp
  echo '<p>words</p>' >root/index.html
  head -c 3000000 /dev/urandom >root/large
  cat >nginx.conf <<END
daemon off;
worker_processes 2;
pid $place/nginx.pid;
error_log $place/error.log notice;
$([ "$(id -u)" -eq 0 ] && echo 'user root;')
events { worker_connections 64; }
http {
  access_log $place/access.log;
  client_body_temp_path tmp/a; proxy_temp_path tmp/b; fastcgi_temp_path tmp/c; uwsgi_temp_path tmp/d; scgi_temp_path tmp/e;
  sendfile on;
  gzip on;
  gzip_types text/plain;
  server {
    listen 127.0.0.1:$port;
    root $place/root;
    location /none { return 418 "teapot\n"; }
    location /again { proxy_pass http://127.0.0.1:$port/; }
  }
}
END
  for how in bare shimmed; do
    serve $how /usr/sbin/nginx -p "$place" -c "$place/nginx.conf"
    {
      for ((i = 0; i < 20; i++)); do clean curl -sS "http://127.0.0.1:$port/"; done
      clean curl -sS "http://127.0.0.1:$port/none" "http://127.0.0.1:$port/missing" "http://127.0.0.1:$port/again"
      clean curl -sS -r 100-2000000 "http://127.0.0.1:$port/large" | sha256sum
      clean curl -sS "http://127.0.0.1:$port/large" | sha256sum
      clean curl -sS --compressed "http://127.0.0.1:$port/index.html"
    } >$how.out
    kill -HUP "$(cat nginx.pid)" # new workers
    wait_for 20 changed
    clean curl -sS "http://127.0.0.1:$port/" >>$how.out
    stop TERM
    rm error.log
  done
  diff bare.out shimmed.out
  fs verify -q shimmed.trace
  # the master, and workers before and after the change
  [ "$(fs log --json shimmed.trace | jq -r .process | sort -u | wc -l)" -ge 5 ]
}

@test "memcached-works-as-without-the-shim" {
  local how i
  for how in bare shimmed; do
    port=$(free_port)
    serve $how /usr/bin/memcached -l 127.0.0.1 -p "$port" -U 0 -t 4 -u root
    {
      exec 5<>"/dev/tcp/127.0.0.1/$port"
      for ((i = 0; i < 50; i++)); do
        printf 'set key%d 0 0 5\r\nvalue\r\nget key%d\r\n' $i $i >&5
        for ((line = 0; line < 4; line++)); do read -r -t 10 -u 5 text && echo "$text"; done
      done
      printf 'incr none 1\r\ndelete key3\r\nget key3\r\nquit\r\n' >&5
      cat <&5
      exec 5>&-
    } >$how.out
    stop TERM
  done
  diff bare.out shimmed.out
  [ "$(grep -c value bare.out)" -eq 50 ]
  fs verify -q shimmed.trace
}

@test "curl-works-as-without-the-shim" {
  port=$(free_port)
  mkdir root
  head -c 500000 /dev/urandom >root/file
  serve bare /usr/bin/python3 -B -m http.server --bind 127.0.0.1 --directory root "$port"
  clean curl -sS "http://127.0.0.1:$port/file" "http://localhost:$port/file" "file://$place/root/file" \
    "http://127.0.0.1:$port/none" >bare.out
  fs run -q -s 1 -r "$everything" -- /usr/bin/curl -sS "http://127.0.0.1:$port/file" "http://localhost:$port/file" "file://$place/root/file" \
    "http://127.0.0.1:$port/none" >shimmed.out
  cmp bare.out shimmed.out
  fs verify -q
  # and faults reach it
  run fs run -q -s 1 -r 'calls=connect fault=error:ECONNREFUSED' -- /usr/bin/curl -sS "http://127.0.0.1:$port/file"
  [ "$status" -eq 7 ]
  # curl answers "localhost" by itself
  run fs run -q -s 1 -r 'calls=getaddrinfo fault=error:EAI_NONAME' -- /usr/bin/python3 -c 'import socket; socket.getaddrinfo("localhost", 80)'
  [[ $output == *"Name or service not known"* ]]
  run fs run -q -s 1 -r 'calls=@net.recv peer=127.0.0.1:* nth=4 fault=error:ECONNRESET' -- /usr/bin/curl -sS -o got "http://127.0.0.1:$port/file"
  [ "$status" -eq 56 ]
}

@test "nginx-serves-every-byte-under-short-io-and-eintr" {
  port=$(free_port)
  mkdir root tmp
  head -c 3000000 /dev/urandom >root/large
  cat >nginx.conf <<END
daemon off;
pid $place/nginx.pid;
error_log $place/error.log;
$([ "$(id -u)" -eq 0 ] && echo 'user root;')
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path tmp/a; proxy_temp_path tmp/b; fastcgi_temp_path tmp/c; uwsgi_temp_path tmp/d; scgi_temp_path tmp/e;
  sendfile on;
  server { listen 127.0.0.1:$port; root $place/root; }
}
END
  background nginx.log "$faultshim" run --log card -s 3 -o nginx.trace -r 'calls=@net.send,@net.recv probability=40% fault=short' \
    -r 'calls=@net.send,@net.recv probability=10% fault=error:EINTR' -- /usr/sbin/nginx -p "$place" -c "$place/nginx.conf"
  wait_for 20 listens "$port"
  for ((i = 0; i < 5; i++)); do
    clean curl -sS "http://127.0.0.1:$port/large" | cmp - root/large
  done
  stop TERM
  [ "$(faults nginx.trace | how_many '.fault == "short" and .call == "sendfile"')" -ge 1 ]
  [ "$(faults nginx.trace | wc -l)" -gt 10 ]
  fs verify -q nginx.trace
}
