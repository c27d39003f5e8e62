#!/usr/bin/env bats
# git, bash, python3, node and java do their normal work under a rule on everything that never fires.

load ../common

# The same command bare and under the shim, each in an empty folder: what it says is the same, and the trace is as it should be.
same() { # COMMAND...
  local how
  for how in bare shimmed; do
    mkdir "$how.d"
    cd "$how.d"
    if [ $how = bare ]; then
      clean timeout 60 "$@" >../$how.out 2>&1
    else
      limit=120 fs run -q -s 1 -o ../shimmed.trace -r "$everything" -- "$@" >../$how.out 2>&1
    fi || { echo "$how: status $?" && cat ../$how.out && return 1; }
    cd ..
  done
  diff bare.out shimmed.out
  [ -s bare.out ]
  run fs verify -q shimmed.trace
  [ "$status" -eq 0 ] || { echo "verify: $output" && return 1; }
}

@test "git-works-as-without-the-shim" {
  cat >script <<'END'
set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1
git init -q -b main one
cd one
for i in 1 2 3 4 5 6 7 8; do
  seq $i 2000 >file$i
  git add file$i
  git commit -q -m "commit $i"
done
git log --format='%H %s'
git checkout -q -b side HEAD~3
echo side >file1
git commit -q -a -m side
git merge -q -m merge main
git gc -q
git fsck
cd ..
git clone -q one two
cd two
git log --oneline --graph --all | cat
git diff --stat HEAD~1 | cat
git grep -c 1999 | sort
END
  same /bin/bash "$place/script"
}

@test "bash-works-as-without-the-shim" {
  cat >script <<'END'
set -e -o pipefail
for i in 1 2 3 4 5; do echo "line $i"; done | sort -r | { while read -r a b; do echo "$b $a"; done; } | tee copy
cat <<<"here" >f; cat f f | wc -c
x=$(for i in a b c; do echo "$i"; done | tr a-c A-C | paste -sd,)
echo "$x"
coproc UP { while read -r l; do echo "${l^^}"; done; }
echo words >&"${UP[1]}"; read -r answer <&"${UP[0]}"; echo "$answer"
(exit 3) || echo "status $?"
trap 'echo caught' USR1; kill -USR1 $$
diff <(seq 1 5) <(seq 1 5) && echo same
sleep 0.05 & wait $!; echo waited
mkdir -p a/b/c; find a -type d | sort; rm -r a
printf '%s\n' {1..200} | awk '{ s += $1 } END { print s }'
END
  same /bin/bash "$place/script"
}

@test "python3-works-as-without-the-shim" {
  cat >script.py <<'END'
import hashlib, json, multiprocessing, os, random, socket, sqlite3, subprocess, tempfile, threading, time, zlib
def square(n):
    return n * n
if __name__ == "__main__":
    data = bytes(range(256)) * 5000
    with open("file", "wb") as f:
        f.write(data); f.flush(); os.fsync(f.fileno())
    with open("file", "rb") as f:
        print(hashlib.sha256(f.read()).hexdigest())
    print(len(zlib.compress(data)), json.dumps({"a": [1, 2.5, None]}))
    with tempfile.TemporaryDirectory() as d:
        db = sqlite3.connect(os.path.join(d, "db"))
        db.execute("create table t (n)"); db.executemany("insert into t values (?)", [(i,) for i in range(1000)]); db.commit()
        print(db.execute("select sum(n) from t").fetchone())
    server = socket.create_server(("127.0.0.1", 0))
    def serve():
        c, _ = server.accept()
        while True:
            part = c.recv(4096)
            if not part: break
            c.sendall(part.upper())
        c.close()
    t = threading.Thread(target=serve); t.start()
    with socket.create_connection(server.getsockname()) as c:
        c.sendall(b"words" * 1000); c.shutdown(socket.SHUT_WR)
        got = b""
        while part := c.recv(4096): got += part
    t.join(); print(len(got), got[:10])
    print(subprocess.run(["/bin/sh", "-c", "echo child; exit 4"], capture_output=True, env={}))
    with multiprocessing.Pool(3) as pool: print(pool.map(square, range(20)))
    random.seed(5); print([random.randrange(100) for _ in range(5)])
    start = time.monotonic(); time.sleep(0.05); print(time.monotonic() - start >= 0.05)
    lock = threading.Condition()
    with lock: print(lock.wait(0.01))
    print(os.urandom(8) != os.urandom(8), sorted(os.listdir(".")))
END
  same /usr/bin/python3 -B -I "$place/script.py"
}

@test "node-works-as-without-the-shim" {
  [ -x /usr/bin/node ] || skip "nodejs is not in this Debian"
  cat >script.js <<'END'
const fs = require('fs'), http = require('http'), crypto = require('crypto'), { execFileSync } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) { parentPort.postMessage(6 * 7); return; }
fs.writeFileSync('file', Buffer.alloc(300000, 'words '));
console.log(crypto.createHash('sha256').update(fs.readFileSync('file')).digest('hex'));
console.log(execFileSync('/bin/echo', ['child']).toString().trim());
new Worker(__filename).on('message', n => {
  console.log('worker', n);
  const server = http.createServer((q, a) => fs.createReadStream('file').pipe(a)).listen(0, '127.0.0.1', () =>
    http.get({ host: '127.0.0.1', port: server.address().port, agent: false }, a => {
      let n = 0;
      a.on('data', d => n += d.length);
      a.on('end', () => { console.log('got', a.statusCode, n); server.close(); });
    }));
});
setTimeout(() => console.log('timer'), 700);
END
  same /usr/bin/node "$place/script.js"
}

# keytool is a program in Java that every Java has: files, cryptography, threads, a heap of its own.
@test "java-works-as-without-the-shim" {
  [ -x /usr/bin/java ] || skip "java is not in this Debian"
  local keytool
  keytool=$(dirname "$(readlink -f /usr/bin/java)")/keytool
  clean "$keytool" -genkeypair -alias one -keyalg RSA -dname CN=one -storepass changeit -keystore "$place/store" -validity 10000 >/dev/null 2>&1
  cat >script <<END
set -e
'$keytool' -list -keystore '$place/store' -storepass changeit
'$keytool' -exportcert -rfc -alias one -keystore '$place/store' -storepass changeit >one.pem 2>/dev/null
'$keytool' -importcert -noprompt -alias two -file one.pem -keystore other -storepass changeit 2>&1
'$keytool' -printcert -file one.pem
'$keytool' -list -v -keystore other -storepass changeit | grep -v '^Creation date'
'${keytool%/*}/java' -XX:+UseParallelGC -Xmx64m -version 2>&1
END
  same /bin/bash "$place/script"
}

# They make good what is short or interrupted, as they should: the same outcome in spite of the faults.
@test "git-and-python3-bear-short-io-and-eintr" {
  cat >script <<'END'
set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1
git init -q -b main one
cd one
for i in 1 2 3 4 5; do
  seq $i 20000 >file$i
  git add file$i
  git commit -q -m "commit $i"
done
git log --format='%H %s'
git fsck
cd ..
/usr/bin/python3 -B -I -c '
import os, hashlib
with open("file", "wb", buffering=0) as f:
    data = memoryview(bytes(range(256)) * 4000)
    while data:
        data = data[f.write(data):]
print(hashlib.sha256(open("file", "rb").read()).hexdigest())'
END
  mkdir bare.d faulted.d
  (cd bare.d && clean timeout 60 /bin/bash "$place/script") >bare.out
  (cd faulted.d && fs run --log ../card -q -s 5 -o ../faulted.trace -r 'calls=@file.read,@file.write probability=20% fault=short' \
    -r 'calls=@file.read,@file.write except=*truncate* probability=10% fault=error:EINTR' -- /bin/bash "$place/script") >faulted.out
  diff bare.out faulted.out
  [ "$(faults faulted.trace | wc -l)" -gt 100 ]
  fs verify -q faulted.trace
}
