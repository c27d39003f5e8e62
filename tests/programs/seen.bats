#!/usr/bin/env bats
# Twenty programs that nobody here wrote: what strace sees of them is in the trace, thread by thread, call by call, in order. Both look at the
# very same run.

load ../common
load ../seen

# Every difference that there may be: which program, why (a reason of seen.py, which checks it for each single call: by the instruction
# pointer, by the flags of clone, by what the kernel answered), which call, how often at most, and what stands behind it.
explained() {
  cat <<'END'
# program   reason        call            most  why
*           loader        *               400   ld.so loads libraries after main began (dlopen, iconv, name services); no rule here names it as caller
*           vfork-child   execve          40    posix_spawn and vfork: the child has its parent's memory, so nothing is written down until it execs
*           vfork-child   *               200   what such a child does before: file actions, masks, its working directory
*           never-patched vfork           40    its door makes the call, and the child is named; there is nothing in it that may fail
*           never-patched clone           40    threads and spawned children: decided as pthread_create and posix_spawn
*           never-patched clone3          60    the same
*           leaving       *               40    the end of a thread: its stack and its arena go back after its last destructor, when we have left it too
*           at-symbol     getcwd          40    met at its symbol only: libc makes a success of what the kernel refuses
*           restart       *               10    the kernel makes the call again after a signal; the program makes it once
*           nested        *               10    a signal found the thread in the shim's code: calls of its handler pass and are counted only
gpg         refused       *               9000  gpg asks for and closes all descriptors up to its limit before it starts gpg-agent: EBADF
gpg         ours          *               10    one of those is the trace's
*           refused       close           60    closes descriptors that are not there: EBADF is the kernel's to give
*           refused       fcntl           60    asks about descriptors that are not there
*           refused       lseek           60    asks a pipe for its place: ESPIPE
*           refused       fadvise64       60    advice about a pipe: ESPIPE
*           refused       getsockname     10    asks a file for its address: ENOTSOCK
*           clock         clock_get*      200   clocks of the process and of threads, and resolutions: the vDSO makes a system call of it
END
}

# Program NAME by COMMAND: what is explained for it is allowed.
seen_by() { # NAME COMMAND...
  local name=$1 program reason call most allowed=()
  shift
  while read -r program reason call most _; do
    # shellcheck disable=SC2053  # a pattern
    if [[ $program != \#* && $name == $program ]]; then allowed+=("$reason/$call${most:+/$most}"); fi
  done < <(explained)
  seen "${allowed[@]}" -- "$@"
}

# The script on stdin, by bash, which is looked at too.
seen_script() { # NAME
  { echo "set -e -o pipefail" && cat; } >"../$1.sh"
  seen_by "$1" /bin/bash "../$1.sh"
}

# Waits, inside of a script, with calls of bash's own only.
# shellcheck disable=SC2016
waits='wait_for() { local i; for ((i = 0; i < 400; i++)); do if "$@" >/dev/null 2>&1; then return 0; fi; read -r -t 0.05 <> <(:) || true; done; return 1; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }'

@test "coreutils" {
  seen_script coreutils <<'END'
seq 20000 >numbers
cp numbers copy
cp -r --preserve=all . ../coreutils-copy
sort -r -n numbers >reversed
sort --parallel=2 -S 100k -T . numbers copy | uniq -c | tail -n 3
ls -la /etc /proc/self >listing
mkdir -p a/b/c; mv copy a/b; ln -s numbers link; ln numbers hard; chmod 600 numbers; touch -d 2020-01-01 numbers
dd if=numbers of=out bs=1000 conv=fsync status=none; truncate -s 100 out; sha256sum numbers out
head -c 1000000 /dev/zero | split -b 300000 - part.
cat part.* | wc -c; tac numbers | tail -n 1; stat numbers; df . ; du -s .; date +%Y >year; rm -r a part.* link
timeout 5 sleep 0.01; env true; nice true; mktemp -p .; tee copy <numbers >/dev/null; shuf -n 3 numbers; od -c out >octal
END
}
@test "git" {
  seen_script git <<'END'
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org GIT_CONFIG_NOSYSTEM=1
git init -q -b main one
cd one
for i in 1 2 3; do seq $i 2000 >file$i; git add file$i; git commit -q -m "commit $i"; done
git log --format='%H %s'
git checkout -q -b side HEAD~2; echo side >file1; git commit -q -a -m side; git merge -q -m merge main
git gc -q; git fsck
cd ..; git clone -q one two; cd two; git log --oneline --graph --all | cat; git grep -c 1999
END
}
@test "curl" {
  head -c 300000 /dev/zero >large
  seen_by curl /bin/sh -c "/usr/bin/curl -sS -o out file://$place/large && ! /usr/bin/curl -sS http://localhost:1/"
}
@test "sqlite3" {
  seen_script sqlite3 <<'END'
sqlite3 db 'pragma journal_mode=wal; create table t (id integer primary key, n, words);'
for i in 1 2 3; do
  sqlite3 db "begin; with recursive c(i) as (select 1 union all select i + 1 from c where i < 2000) insert into t (n, words) select i, 'words ' || i from c; commit;"
done
sqlite3 db 'pragma journal_mode=delete; create index i on t (n); delete from t where n % 3 = 0; vacuum; pragma integrity_check; select count(*), sum(n) from t;'
sqlite3 db .dump | sqlite3 again
END
}
@test "python3" {
  cat >script.py <<'END'
import os, socket, sqlite3, subprocess, tempfile, threading, time, select, mmap, shutil, random
data = bytes(range(256)) * 500
with open("file", "wb") as f:
    f.write(data); f.flush(); os.fsync(f.fileno())
with open("file", "r+b") as f, mmap.mmap(f.fileno(), 0) as m: m[0] = 7; m.flush()
def work(n):
    for i in range(20):
        with tempfile.TemporaryDirectory() as d:
            with open(os.path.join(d, "f"), "w") as f: f.write("words" * 1000)
            with open(os.path.join(d, "f")) as f: f.read()
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
server = socket.create_server(("127.0.0.1", 0))
def serve():
    c, _ = server.accept()
    while part := c.recv(4096): c.sendall(part.upper())
    c.close()
t = threading.Thread(target=serve); t.start()
with socket.create_connection(("localhost", server.getsockname()[1])) as c:
    c.sendall(b"words" * 1000); c.shutdown(socket.SHUT_WR)
    while c.recv(4096): pass
t.join()
print(subprocess.run(["/bin/sh", "-c", "echo child; exit 4"], capture_output=True))
os.system("exit 3"); print(os.popen("echo words").read())
pid = os.fork()
if pid == 0: open("child", "w").write("child"); os._exit(5)
print(os.waitpid(pid, 0)[1], socket.getaddrinfo("localhost", 80)[:1], os.listdir("."), shutil.disk_usage("."))
db = sqlite3.connect("db"); db.execute("create table t (n)"); db.executemany("insert into t values (?)", [(i,) for i in range(1000)]); db.commit()
time.sleep(0.01); os.urandom(8); select.select([], [], [], 0.01); shutil.copy("file", "copy"); os.remove("copy")
END
  seen_by python3 /usr/bin/python3 -B -I script.py
}
@test "redis-server" {
  port=$(free_port)
  { echo "port=$port" && echo "$waits" && cat <<'END'; } >../script
redis-server --port $port --bind 127.0.0.1 --save '' --appendonly yes --appendfsync always --dir . >log 2>&1 &
wait_for listens $port
for ((i = 1; i <= 60; i++)); do echo "set key$i value$i"; done | redis-cli -p $port >/dev/null
redis-cli -p $port bgrewriteaof
redis-cli -p $port get key7; redis-cli -p $port info persistence >/dev/null; redis-cli -p $port save
redis-cli -p $port shutdown
wait
END
  seen_script redis <../script
}
@test "nginx" {
  port=$(free_port)
  mkdir root
  head -c 500000 /dev/zero >root/large
  cat >nginx.conf <<END
daemon off; worker_processes 2; pid $place/nginx.pid; error_log $place/error.log notice;
$([ "$(id -u)" -eq 0 ] && echo 'user root;')
events { worker_connections 64; }
http { access_log $place/access.log; sendfile on; gzip on; gzip_types text/plain;
  client_body_temp_path tmp/a; proxy_temp_path tmp/b; fastcgi_temp_path tmp/c; uwsgi_temp_path tmp/d; scgi_temp_path tmp/e;
  server { listen 127.0.0.1:$port; root $place/root; location /again { proxy_pass http://127.0.0.1:$port/; } } }
END
  mkdir tmp
  { echo "port=$port" && echo "$waits" && cat <<'END'; } >../script
/usr/sbin/nginx -p . -c $PWD/nginx.conf & server=$!
wait_for listens $port
for i in 1 2 3; do curl -sS -o got http://127.0.0.1:$port/large; curl -sS -o got http://127.0.0.1:$port/again/large; done
kill -HUP $server; read -r -t 0.3 <> <(:) || true
kill -QUIT $server
wait $server
END
  seen_script nginx <../script
}
@test "bash" {
  seen_script bash <<'END'
for i in 1 2 3 4 5; do echo "line $i"; done | sort -r | { while read -r a b; do echo "$b $a"; done; } | tee copy
cat <<<"here" >f; cat f f | wc -c
x=$(for i in a b c; do echo "$i"; done | tr a-c A-C | paste -sd,); echo "$x"
coproc UP { while read -r l; do echo "${l^^}"; done; }
echo words >&"${UP[1]}"; read -r answer <&"${UP[0]}"; echo "$answer"
(exit 3) || echo "status $?"
trap 'echo caught' USR1; kill -USR1 $$
diff <(seq 1 5) <(seq 1 5) && echo same
sleep 0.05 & wait $!; echo waited
mkdir -p a/b/c; find a -type d; rm -r a; set -- *; exec 5<>f; read -r -u 5 l; exec 5>&-; cd /; ulimit -n 100; printf '%s\n' ~ "$PWD"
END
}
@test "tar" {
  seen_script tar <<'END'
mkdir -p d/e; seq 30000 >d/numbers; seq 100 >d/e/few; ln -s numbers d/link
tar -cf a.tar d; tar -czf a.tar.gz d; tar -tvf a.tar; mkdir out; tar -xzpf a.tar.gz -C out; tar -df a.tar; tar -rf a.tar /etc/passwd 2>&1
diff -r d out/d
END
}
@test "rsync" {
  seen_script rsync <<'END'
mkdir -p d/e; seq 30000 >d/numbers; seq 100 >d/e/few; ln -s numbers d/link
rsync -a d/ out; echo more >>d/numbers; touch -d 2020-01-01 d/e/few; rsync -a --checksum --no-whole-file --inplace --delete d/ out; diff -r d out
END
}
@test "gpg" {
  seen_script gpg <<'END'
export GNUPGHOME=$PWD/home; mkdir -m 700 home
gpg --batch --quiet --passphrase words --pinentry-mode loopback --quick-generate-key a@example.org ed25519 sign never
echo words >f
gpg --batch --passphrase words --pinentry-mode loopback -s f; gpg --verify f.gpg
gpg --batch --passphrase other --pinentry-mode loopback -c -o f.sym f; gpg --batch --passphrase other --pinentry-mode loopback -d f.sym
gpgconf --kill all
END
}
@test "vim" {
  seq 500 >f
  seen_by vim /usr/bin/vim -u NONE -es -c '%s/1/one/g' -c 'w! g' -c '!true' -c 'r!echo words' -c 'wq' f
}
@test "dpkg" {
  seen_script dpkg <<'END'
dpkg -l bash coreutils; dpkg -L bash >list; dpkg -S /bin/bash; dpkg --compare-versions 1 lt 2
mkdir -p p/DEBIAN p/usr/share/words; seq 1000 >p/usr/share/words/numbers
printf 'Package: words\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: words\n' >p/DEBIAN/control
dpkg-deb --root-owner-group -b p words.deb; dpkg-deb -c words.deb; dpkg-deb -I words.deb; dpkg-deb -x words.deb out; diff -r p/usr out/usr
END
}
@test "make-and-gcc" {
  cat >a.c <<'END'
#include <stdio.h>
int main(void) { return puts("words") < 0; }
END
  printf 'all: a b\n\t./a\nb: a.c\n\tgcc -O2 -g -pipe -o $@ $<\na: a.c\n\tgcc -c a.c\n\tgcc -o $@ a.o\n' >Makefile
  seen_by make /usr/bin/make -j2
}
@test "perl" {
  cat >script.pl <<'END'
use strict; use IO::Socket::INET; use File::Temp; use Time::HiRes 'sleep';
open my $f, '>', 'file' or die; print $f "line $_\n" for 1 .. 5000; close $f;
open $f, '<', 'file'; my @l = <$f>; close $f; print scalar(@l), "\n"; print `echo words`; system 'exit 3'; print $? >> 8, "\n";
my $pid = fork; if (!$pid) { open my $g, '>', 'child'; print $g "child\n"; exit 4 } waitpid $pid, 0; print $? >> 8, "\n";
my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1'); my $p = $s->sockport;
if (!fork) { my $c = IO::Socket::INET->new("127.0.0.1:$p"); print $c "words\n"; print scalar <$c>; exit 0 }
my $c = $s->accept; my $w = <$c>; print $c uc $w; close $c; wait; sleep 0.01; my ($t, $n) = File::Temp::tempfile(DIR => '.'); print $t "x"; close $t;
opendir my $d, '.'; my @e = sort readdir $d; print "@e\n"; rename 'file', 'other'; unlink 'other', 'child'; printf "%s\n", join ',', (stat '.')[2, 3]; open my $pipe, '|cat'; print $pipe "piped\n"; close $pipe;
END
  seen_by perl /usr/bin/perl script.pl
}
@test "node" {
  [ -x /usr/bin/node ] || skip "nodejs is not in this Debian"
  cat >script.js <<'END'
const fs = require('fs'), http = require('http'), { execFileSync } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) { parentPort.postMessage(6 * 7); return; }
fs.writeFileSync('file', Buffer.alloc(300000, 'words '));
console.log(fs.readFileSync('file').length, execFileSync('/bin/echo', ['child']).toString().trim());
new Worker(__filename).on('message', n => {
  const server = http.createServer((q, a) => fs.createReadStream('file').pipe(a)).listen(0, '127.0.0.1', () =>
    http.get({ host: '127.0.0.1', port: server.address().port, agent: false }, a => {
      let n = 0; a.on('data', d => n += d.length); a.on('end', () => { console.log('got', n); server.close(); }); }));
});
END
  seen_by node /usr/bin/node script.js
}
@test "java" {
  [ -x /usr/bin/java ] || skip "java is not in this Debian"
  local keytool
  keytool=$(dirname "$(readlink -f /usr/bin/java)")/keytool
  limit=200 seen_by java "$keytool" -genkeypair -alias one -keyalg EC -dname CN=one -storepass changeit -keystore store -validity 10000
}
@test "ssh-keygen" {
  seen_script ssh-keygen <<'END'
ssh-keygen -q -t ed25519 -N words -f key; ssh-keygen -l -f key.pub; ssh-keygen -p -P words -N '' -f key; ssh-keygen -y -f key
echo words | ssh-keygen -Y sign -q -f key -n file >signature; ssh-keygen -F none -f key.pub || true
END
}

@test "postgres" {
  local bin data as=()
  bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -n 1)
  port=$(free_port)
  reachable=$(mktemp -d /tmp/faultshim-test.XXXXXX)
  chmod 755 "$reachable"
  cp "$shim" "$victims/mainmark.so" "$reachable"
  environment+=(FAULTSHIM_LIBRARY="$reachable/libfaultshim.so")
  data=$reachable/data
  mkdir -m 700 "$data"
  if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$data"
    as=(/usr/sbin/runuser -u postgres --)
  fi
  { printf 'bin=%s data=%s port=%s as="%s"\n' "$bin" "$data" "$port" "${as[*]}" && echo "$waits" && cat <<'END'; } >../script
$as $bin/initdb -D $data/db -A trust -U postgres -N --no-locale -E UTF8 >/dev/null
$as $bin/postgres -D $data/db -k $data -p $port -c listen_addresses=127.0.0.1 -c max_parallel_workers=4 >log 2>&1 &
wait_for $bin/pg_isready -q -h 127.0.0.1 -p $port
$bin/psql -X -q -h 127.0.0.1 -p $port -U postgres -c 'create table t (id serial primary key, n int, words text)' \
  -c "insert into t (n, words) select i, repeat('words ' || i, 10) from generate_series(1, 3000) i" -c 'create index on t (n)' -c checkpoint \
  -c 'update t set n = -n where n % 3 = 0' -c 'vacuum analyze t' -c 'select count(*), sum(n) from t'
$bin/psql -X -q -h $data -p $port -U postgres -c 'select 6 * 7 as answer'
kill -INT $(head -n 1 $data/db/postmaster.pid)
wait
END
  limit=200 seen_script postgres <../script
}
