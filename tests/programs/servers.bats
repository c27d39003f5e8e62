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

has_new_worker() { # LOG
  [ "$(grep -c 'New worker' "$1")" -ge 2 ]
}

# A master and its worker of four threads, which changes its root and its user where it may.
@test "haproxy-works-as-without-the-shim" {
  local how i back
  port=$(free_port)
  back=$(free_port)
  mkdir jail
  for how in bare shimmed; do
    cat >haproxy.cfg <<END
global
  nbthread 4
  stats socket $place/$how.sock mode 600
$([ "$(id -u)" -eq 0 ] && printf '  chroot %s/jail\n  user nobody\n  group nogroup\n' "$place")
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend front
  bind 127.0.0.1:$port
  http-response set-header X-Way through
  default_backend servers
backend servers
  balance roundrobin
  server one 127.0.0.1:$back check inter 200ms
  server two 127.0.0.1:$back check inter 200ms
listen origin
  bind 127.0.0.1:$back
  http-request return status 200 content-type text/plain lf-string "words %[path]\n"
END
    serve $how /usr/sbin/haproxy -W -db -f haproxy.cfg
    {
      for ((i = 0; i < 20; i++)); do clean curl -sS -i "http://127.0.0.1:$port/$i" "http://127.0.0.1:$port/again/$i"; done
      clean curl -s --parallel "http://127.0.0.1:$port/many/[1-40]" 2>/dev/null | sort
    } >$how.out 2>&1
    clean python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b"show stat\n")
print(s.makefile().read().count("UP"))' "$place/$how.sock" >>$how.out
    kill -USR2 "$(pgrep -o -g "$server" -x haproxy)" # a new worker
    wait_for 20 has_new_worker $how.log || { cat $how.log && return 1; }
    wait_for 20 clean curl -sSf -o after "http://127.0.0.1:$port/after"
    cat after >>$how.out
    stop TERM
  done
  diff bare.out shimmed.out
  [ "$(grep -c '^words' bare.out)" -eq 81 ] && [ "$(grep -ci '^x-way: through' bare.out)" -eq 40 ]
  fs verify -q shimmed.trace
  # the master and two workers; it is itself started anew, and what it had counted with it
  [ "$(fs log --json --events --faults shimmed.trace | jq -r 'select(.event == "process") | .pid' | sort -u | wc -l)" -eq 3 ]
}

# Each connection has a process of its own; before the client is known it is shut into an empty root, as another user, with few system
# calls left to it.
@test "sshd-works-as-without-the-shim" {
  local how i at
  needs_root "sshd gives its children another user and another root"
  mkdir -p /run/sshd # compiled in
  port=$(free_port)
  clean ssh-keygen -q -t ed25519 -N '' -f host
  clean ssh-keygen -q -t ed25519 -N '' -f key
  cp key.pub authorized
  head -c 2000000 /dev/urandom >file
  cat >sshd_config <<END
Port $port
ListenAddress 127.0.0.1
HostKey $place/host
AuthorizedKeysFile $place/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
END
  at=(-F none -p "$port" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
    -o IdentitiesOnly=yes -o KexAlgorithms=curve25519-sha256)
  for how in bare shimmed; do
    serve $how /usr/sbin/sshd -D -e -f "$place/sshd_config"
    {
      for ((i = 0; i < 3; i++)); do clean ssh "${at[@]}" -i key root@127.0.0.1 "echo words $i; id -u; exit $i" </dev/null || echo "status $?"; done
      clean ssh "${at[@]}" -i key root@127.0.0.1 'sha256sum; echo done' <file
      clean ssh "${at[@]}" -i key -tt root@127.0.0.1 'tty >/dev/null && echo terminal' </dev/null | tr -d '\r'
      printf 'cd %s\nget file got\nput got back\nbye\n' "$place" | clean sftp -b - "${at[@]/-p/-P}" -i key root@127.0.0.1 >/dev/null && cmp file back && echo same
      rm -f got back
      clean ssh "${at[@]}" -i host root@127.0.0.1 true </dev/null || echo refused
    } >$how.out 2>&1
    stop TERM
  done
  diff bare.out shimmed.out
  [ "$(grep -cE '^(words [012]|0|status [12]|done|terminal|same|.*Permission denied.*|refused)$' bare.out)" -eq 13 ] || { cat bare.out && return 1; }
  ! grep -iE 'sandbox|fatal|signal 31' shimmed.log
  fs verify -q shimmed.trace
  [ "$(fs log --json shimmed.trace | jq -r .process | sort -u | wc -l)" -ge 8 ]
}
