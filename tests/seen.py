#!/usr/bin/python3
"""Compares what strace saw of a run with what the trace of the same run says: thread by thread, call by call, in order.

    seen.py STRACE LOG TABLE [REASON/CALL[/MOST]]...

STRACE  prefix of the files of `strace -ff -i -y -o STRACE`, with mainmark.so preloaded
LOG     of `faultshim log --json --events`
TABLE   lines "call number over", made from calls.def: number is SYS_name or -1; over is the row that this one is made of, or -

Every system call of a row that a thread makes after main began must be in the trace, in the same order, none twice and none that
strace has not seen. Calls for which there is a reason to be seen by one side only are sorted out by a check of that reason (below), and counted.
Reasons that the command line does not allow, for that call and not more often than MOST, are differences too. CALL may be a glob. Where
"loader" is not named at all, the loader's calls must be in the trace like all others.

Prints a line "reason call count" for each reason met, then what differs; ends with 1 if anything does.
"""
import collections
import fnmatch
import functools
import glob
import json
import re
import struct
import subprocess
import sys

MARK = "syscall_0x7a11"
LOADER = "/lib64/ld-linux-x86-64.so.2"
# Reasons, each with its check:
REASONS = {
    "clock": "answered by the vDSO or not: the trace must have at least as many as strace, and their place does not count",
    "loader": "made by an instruction of ld.so: the instruction pointer is in its text",
    "vfork-child": "made by a child on its parent's memory, before it execs or exits: clone has CLONE_VM and not CLONE_THREAD, or it is vfork",
    "own": "made by an instruction that is neither libc's nor of another library of the system: the instruction pointer says so",
    "restart": "the kernel made the same call again, after a signal: rt_sigreturn brings the call's number back, or no handler ran",
    "refused": "the kernel found the descriptor or the pointer bad: EBADF or EFAULT, or the descriptor of a kind that never has this call",
    "untraced": "by a program that the shim is not in: it never mapped libfaultshim.so",
    "leaving": "a thread gives its memory back on its way out, after its last destructor: nothing but such calls comes before its exit",
    "at-symbol": "no site decides it, because libc makes a success of what the kernel refuses: met where the program asks for it itself",
    "nested": "by a signal handler that has interrupted the shim's own code: strace says where the signal found the thread",
    "ours": "about the descriptor that the shim keeps for the run's trace",
    "never-patched": "a row whose system call no door may stand before: clone, clone3, vfork, exit, exit_group, rt_sigreturn",
}
NEVER_PATCHED = {"clone", "clone3", "vfork", "exit", "rt_sigreturn"}
PROCESSES = {"fork", "vfork", "clone", "clone3", "execve", "execveat"}
# Three ways to the same.
FORKS = {"fork", "clone", "clone3"}
OWN_FILE = re.compile(r"^[0-9]+<[^>]*/seen/trace>")
AT_SYMBOL = {"getcwd", "times"}
LEAVING = {"madvise", "munmap", "mprotect", "futex", "rt_sigprocmask", "exit"}
CLOCKS = {"clock_gettime", "gettimeofday", "time", "clock_getres", "getcpu"}

LINE = re.compile(r"\[([0-9a-f?]{16})\] ([a-z0-9_]+)\((.*)$")
RESULT = re.compile(r"\) += (\?|-?[0-9]+|0x[0-9a-f]+)(?: ([A-Z][A-Z0-9]+))?(?: .*)?$")


class Module:
    """What stands where, of one program image."""

    def __init__(self):
        self.maps = []
        self.first = []
        self.shim = False
        self.tool = False  # the command itself, before it starts the program

    def add(self, start, size, path, offset=0):
        self.maps.append((start, start + size, path, start - offset))
        self.shim |= path.endswith("/libfaultshim.so")

    def of(self, pc):
        for start, end, path, _ in reversed(self.maps):
            if start <= pc < end:
                return path
        return LOADER if self.in_loader(pc) else ""

    def passed_on(self, pc):
        """The shim makes this call for the program: the instruction is that of the way through a syscall door."""
        for start, end, path, base in reversed(self.maps):
            if start <= pc < end and path.endswith("/libfaultshim.so"):
                return any(base + at < pc <= base + at + size for at, size in doors_of(path))
        return False

    def in_loader(self, pc):
        base = self.loader()
        return base is not None and base <= pc < base + loader_size()

    def loader(self):
        """Where ld.so is: its first calls tell, because every one stands behind one of its syscall instructions."""
        if not hasattr(self, "base"):
            found = None
            for pc in self.first:
                bases = {pc - at for at in loader_sites() if (pc - at) % 4096 == 0}
                found = bases if found is None else found & bases
            self.base = min(found) if found and len(found) == 1 else None
        return self.base


@functools.lru_cache(None)
def loader_text():
    return open(LOADER, "rb").read()


@functools.lru_cache(None)
def loader_segments():
    data = loader_text()
    at, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    heads = [struct.unpack_from("<IIQQQQQQ", data, at + i * size) for i in range(count)]
    return [(h[1], h[2], h[3], h[5], h[6]) for h in heads if h[0] == 1]


@functools.lru_cache(None)
def loader_sites():
    data, sites = loader_text(), []
    for flags, offset, address, filesize, _ in loader_segments():
        if flags & 1:
            at = data.find(b"\x0f\x05", offset, offset + filesize)
            while at >= 0:
                sites.append(at - offset + address + 2)
                at = data.find(b"\x0f\x05", at + 1, offset + filesize)
    return sites


@functools.lru_cache(None)
def loader_size():
    return max(address + memsize for _, _, address, _, memsize in loader_segments())


@functools.lru_cache(None)
def doors_of(path):
    """Where fsh_site_entry is in that file: offset and size."""
    text = subprocess.run(["nm", "-S", path], capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in text.splitlines() if line.endswith(" fsh_site_entry")]
    segments = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout
    loads = [[int(w, 16) for w in line.split()[1:3]] for line in segments.splitlines() if line.split()[:1] == ["LOAD"]]
    out = []
    for at, size, *_ in found:
        at = int(at, 16)
        offset, address = max((load for load in loads if load[1] <= at), key=lambda load: load[1])
        out.append((at - address + offset, int(size, 16)))
    return out


class Entry:
    __slots__ = ("name", "pc", "args", "result", "error", "image", "reason", "optional", "line", "leaves", "nested")


class State:
    """Of a thread, where it begins."""

    def __init__(self, image, began, borrowed):
        self.image, self.began, self.borrowed = image, began, borrowed


def parse(line):
    m = LINE.match(line)
    if not m:
        return None
    e = Entry()
    e.pc = int(m[1], 16) if "?" not in m[1] else 0
    e.name, rest, e.line = m[2], m[3], line.rstrip("\n")
    r = RESULT.search(rest)
    e.args = rest[: r.start()] if r else rest
    e.result, e.error = (r[1], r[2] or "") if r else ("?", "")
    e.reason = e.optional = None
    e.leaves = e.nested = False
    return e


def arguments(text):
    """Splits at commas outside of brackets and strings."""
    out, depth, quoted, start, i = [], 0, False, 0, 0
    while i < len(text):
        c = text[i]
        if quoted:
            if c == "\\":
                i += 1
            elif c == '"':
                quoted = False
        elif c == '"':
            quoted = True
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth == 0:
            out.append(text[start:i].strip())
            start = i + 1
        i += 1
    out.append(text[start:].strip())
    return out


def shares_memory(e):
    if e.name == "vfork":
        return True
    return "CLONE_VM" in e.args and "CLONE_THREAD" not in e.args


def read_strace(prefix):
    """{tid: [Entry]} of what was called after main began, with the shim's own calls and the mark left out."""
    files = {int(name.rsplit(".", 1)[1]): name for name in glob.glob(glob.escape(prefix) + ".[0-9]*")}
    if not files:
        sys.exit("no files of strace")
    made, lines = {}, {}
    for tid, name in files.items():
        with open(name, errors="replace") as f:
            lines[tid] = f.readlines()
        for line in lines[tid]:
            if re.match(r"\[[0-9a-f]+\] (clone3?|fork|vfork)\(", line):
                e = parse(line)
                if e and e.result.isdigit() and int(e.result) > 0:
                    made[int(e.result)] = tid
    roots = [tid for tid in files if tid not in made]
    states = {tid: State(Module(), False, False) for tid in roots}
    calls, queue = {}, roots[:]
    while queue:
        tid = queue.pop(0)
        for child, state in follow(lines[tid], states[tid], calls.setdefault(tid, [])):
            if child in files:
                states[child] = state
                queue.append(child)
    return calls


def follow(lines, state, calls):
    children, patched, last = [], "", ""
    restart = None  # the call that a signal interrupted
    nested = None  # where a handler began that interrupted the shim
    for line in lines:
        signal = re.match(r"\[([0-9a-f]{16})\] --- SIG", line)
        if signal and state.image.of(int(signal[1], 16)).endswith("/libfaultshim.so"):
            nested = len(calls)
        e = parse(line)
        if not e:
            continue
        last = e.name
        if e.name == MARK:
            state.began = True
            continue
        e.image = state.image
        if e.name == "execve" and e.result == "0" or e.name == "execveat" and e.result == "0":
            note(e, state, calls)
            state = State(Module(), False, False)
            state.image.tool = arguments(e.args)[0].endswith('/faultshim"')
            restart = None
            continue
        if len(state.image.first) < 12 and not state.image.maps:
            state.image.first.append(e.pc)
        if e.name == "mmap" and "PROT_EXEC" in e.args and e.error == "" and "<" in e.args:
            a = arguments(e.args)
            path = re.search(r"<(.*)>", a[4])
            if path:
                state.image.add(int(e.result, 16), int(a[1], 0), path[1], int(a[5], 0))
        if e.name == "mprotect" and "PROT_EXEC" in e.args and state.image.of(e.pc).endswith("/libfaultshim.so"):
            # doors are put in: text is made writable, instructions of it move to memory of the shim's own
            a = arguments(e.args)
            where = state.image.of(int(a[0], 16))
            if where:
                patched = where
            else:
                state.image.add(int(a[0], 16), int(a[1], 0), patched)
        if e.name == "rt_sigreturn" and nested is not None:
            for inner in calls[nested:]:
                inner.nested = True
            nested = None
        if e.name == "rt_sigreturn":
            # the number of the call comes back where it is to be made again, -1 EINTR or its result where not
            if restart and e.error:
                restart = None
            continue
        if e.name == "restart_syscall":
            restart = None
            continue
        again = restart and restart.name == e.name and restart.pc == e.pc
        if e.error.startswith("ERESTART"):
            if again:
                e.reason = "restart"
            restart = e
        elif again:
            e.reason = "restart"
            restart = None
        note(e, state, calls)
        if e.name in ("clone", "clone3", "fork", "vfork") and e.result.isdigit():
            thread = "CLONE_THREAD" in e.args
            borrowed = shares_memory(e) or (thread and state.borrowed)
            image = state.image
            if not thread and not borrowed:
                image = Module()
                image.maps, image.first, image.shim = list(state.image.maps), state.image.first, state.image.shim
                image.tool = state.image.tool
            children.append((int(e.result), State(image, state.began, borrowed)))
    if calls and last == "exit":
        for e in reversed(calls):
            if e.name not in LEAVING:
                break
            e.leaves = True
    return children


def note(e, state, calls):
    if not state.began:
        return
    e.image = state.image
    if state.borrowed and not e.reason:
        e.reason = "vfork-child"
    calls.append(e)


def classify(calls, rows, loader_is_left_out):
    for entries in calls.values():
        kept = []
        for e in entries:
            if e.name in FORKS:
                e.name = "fork" if "CLONE_VM" not in e.args else e.name
            if e.name not in rows or e.image.tool:
                continue
            where = e.image.of(e.pc)
            if where.endswith("/libfaultshim.so"):
                # what makes processes and programs goes through doors that make the call themselves
                if e.name not in PROCESSES and not e.image.passed_on(e.pc):
                    continue
            elif where.endswith("/mainmark.so"):
                continue
            if e.reason is None:
                if not e.image.shim:
                    e.reason = "untraced"
                elif e.name in CLOCKS:
                    e.reason = "clock"
                elif e.name in NEVER_PATCHED:
                    e.reason = "never-patched"
                elif where == LOADER and loader_is_left_out:
                    e.reason = "loader"
                elif where != LOADER and not where.startswith(("/usr/lib/", "/lib/")) and not where.endswith("/libfaultshim.so"):
                    e.reason = "own"
                elif e.error in ("EBADF", "EFAULT", "ESPIPE", "ENOTSOCK"):
                    e.optional = "refused"
                elif e.name in AT_SYMBOL:
                    e.optional = "at-symbol"
                elif e.nested:
                    e.optional = "nested"
                elif OWN_FILE.search(e.args):
                    e.optional = "ours"
                elif e.leaves:
                    e.optional = "leaving"
            kept.append(e)
        entries[:] = kept


def read_log(path, rows_of):
    """{tid: [(system call, call, size)]}, {tid: name}"""
    tids, decisions, names = {}, collections.defaultdict(list), {}
    clocks = collections.Counter()
    with open(path) as f:
        for line in f:
            d = json.loads(line)
            who = d["process"], d["thread"]
            if d.get("event") == "thread":
                tids.setdefault(who, d["tid"])
                names[d["tid"]] = "/".join(who)
            if "call" not in d:
                continue
            number, over = rows_of[d["call"]]
            if number in FORKS:
                number = "fork"
            if number in CLOCKS:
                clocks[who] += 1
            elif number:
                decisions[who].append((number, d["call"], d["size"], d.get("resource")))
            elif over != "-":
                decisions[who].append((over, d["call"], d["size"], d.get("resource")))
    return {tids[who]: list_ for who, list_ in decisions.items()}, names, {tids[who]: n for who, n in clocks.items()}


SIZE_AT = {"read": 2, "write": 2, "pread64": 2, "pwrite64": 2, "sendto": 2, "recvfrom": 2, "getrandom": 1}


def same(e, d):
    if e.name != d[0]:
        return False
    at = SIZE_AT.get(e.name)
    if at is not None:
        a = arguments(e.args)
        if at < len(a) and a[at].isdigit() and int(a[at]) != d[2]:
            return False
    return True


def align(entries, decisions):
    """Which optional entries are left out for the two to be the same; None and the place where they part if there is no way."""
    ways = {0: ()}
    for i, e in enumerate(entries):
        after = {}
        for j, skipped in ways.items():
            if j < len(decisions) and same(e, decisions[j]):
                after.setdefault(j + 1, skipped)
            if e.optional:
                after.setdefault(j, skipped + (i,))
        if not after:
            return None, i, max(ways)
        ways = after
    if len(decisions) in ways:
        return ways[len(decisions)], 0, 0
    return None, len(entries), max(ways)


def show(tid, name, entries, decisions, i, j):
    print(f"thread {name} ({tid}): after {i} calls of strace's {len(entries)} and {j} of the trace's {len(decisions)}")
    for e in entries[max(0, i - 4) : i]:
        print(f"    both     {e.line[:150]}")
    for e in entries[i : i + 6]:
        print(f"    strace   {e.line[:150]}   in {e.image.of(e.pc)}")
    for d in decisions[j : j + 6]:
        print(f"    trace    {d[1]} {d[3]} {d[2]}")


def main(argv):
    prefix, log, table = argv[1:4]
    allowed = [a.split("/") for a in argv[4:]]
    rows_of = {}
    with open(table) as f:
        for line in f:
            name, number, over = line.split()
            rows_of[name] = (number[4:] if number.startswith("SYS_") else "", over)
    # a second row of one system call, which its arguments tell apart
    if "fcntl_lock" in rows_of:
        rows_of["fcntl_lock"] = ("fcntl", "-")
    for name, (number, over) in list(rows_of.items()):
        if over != "-":
            rows_of[name] = (number, rows_of[over][0] or over)
    rows = {number for number, _ in rows_of.values() if number}
    calls = read_strace(prefix)
    classify(calls, rows, any(a[0] in ("loader", "*") for a in allowed))
    decisions, names, clocks = read_log(log, rows_of)
    reasons, bad, total = collections.Counter(), 0, collections.Counter()
    for tid in sorted(set(calls) | set(decisions)):
        entries, ours = calls.get(tid, []), decisions.get(tid, [])
        for e in entries:
            if e.reason:
                reasons[e.reason, e.name] += 1
        if sum(e.reason == "clock" for e in entries) > clocks.get(tid, 0):
            print(f"thread {names.get(tid, '?')} ({tid}): more clock reads by strace than in the trace")
            bad += 1
        entries = [e for e in entries if not e.reason]
        skipped, i, j = align(entries, ours)
        if skipped is None:
            bad += 1
            if bad <= 10:
                show(tid, names.get(tid, "?"), entries, ours, i, j)
            left = collections.Counter(e.name for e in entries)
            left.subtract(d[0] for d in ours)
            print("    strace less trace: " + " ".join(f"{k}:{n:+d}" for k, n in sorted(left.items()) if n))
            continue
        for k in skipped:
            reasons[entries[k].optional, entries[k].name] += 1
        total.update(d[0] for d in ours)
    print(f"both {sum(total.values())} calls of {len(total)} kinds in {len(decisions)} threads")
    for (reason, name), n in sorted(reasons.items()):
        limits = [a for a in allowed if reason == a[0] and fnmatch.fnmatch(name, a[1])]
        ok = any(len(a) < 3 or n <= int(a[2]) for a in limits)
        print(f"{reason} {name} {n}" + ("" if ok else "   is not allowed here"))
        bad += not ok
    return 1 if bad or not total else 0


sys.exit(main(sys.argv))
