#!/usr/bin/env python3
"""Writes the folder of an exploration as `faultshim explore` would for a program that this file makes up: explored.py FOLDER [OPTION]...

The program has --points fault points; what a fault at one of them leads to, and what comes of it, follows from --program alone. An
exploration in parts (--shard 2/4) meets what such a part would meet, so that merging can be held against the exploration in one piece."""
import argparse
import hashlib
import json
import os
import random
import time


def digest(*words):
    return hashlib.sha256("|".join(map(str, words)).encode()).hexdigest()[:16]


def text(what):
    return json.dumps(what, separators=(",", ":")) + "\n"


parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--program", type=int, default=1)
parser.add_argument("--strategy", default="each-once")
parser.add_argument("--points", type=int, default=12)
parser.add_argument("--runs", type=int, default=100)
parser.add_argument("--shard", default="1/1")
parser.add_argument("--failing", type=int, default=10, help="one of so many runs fails; 0: none")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
index, count = map(int, options.shard.split("/"))


class Program:
    def __init__(self):
        # half of the points are on error paths: met only where something else has failed
        self.points = [digest("point", options.program, i) for i in range(options.points)]
        self.ordinary = self.points[: (options.points + 1) // 2]

    def describe(self, point, first):
        n = self.points.index(point)
        stack = [
            {"module": "libc.so.6", "offset": 4096},
            {"module": "prog", "offset": 16 * n, "function": f"step_{n}", "file": "/src/prog/main.c", "line": n + 1},
            {"module": "prog", "offset": 7, "function": "main", "file": "/src/prog/main.c", "line": 900},
        ]
        return {"point": point, "call": ("malloc", "read")[n % 2], "kind": ("none", "file")[n % 2], "stack": stack, "site": point,
                "rule": "rule", "first": first}

    def met(self, key):
        """Points behind a fault, in order."""
        r = random.Random(digest("met", options.program, key))
        return r.sample(self.points, r.randrange(len(self.points) // 2))

    def outcome(self, key, culprit):
        h = int(digest("outcome", options.program, key), 16)
        if not options.failing or h % options.failing:
            return None
        why, end, value = (("SIGSEGV", "signaled", 11), ("exit 3", "exited", 3), ("hang", "timeout", 0))[h // 7 % 3]
        return why, end, value, digest("finding", why, culprit)


class Folder:
    def __init__(self, path, program):
        self.path, self.program, self.known, self.findings = path, program, set(), {}
        os.makedirs(path)
        asked = {"version": "0.1.0", "command": ["./prog", "a b"], "cwd": "/src/prog", "profile": "[rule rule]\ncalls = malloc, read\n",
                 "strategy": options.strategy, "oracles": "a signal", "options": [], "seed": options.seed, "from": 1,
                 "to": options.runs if options.strategy == "random" else None, "timeout": 0,
                 "shard": index if count > 1 else None, "shards": count if count > 1 else None,
                 "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self.write("explore.json", asked)
        self.runs, self.points = open(f"{path}/runs.jsonl", "w"), open(f"{path}/points.jsonl", "w")

    def write(self, name, what):
        with open(f"{self.path}/{name}", "w") as out:
            out.write(text(what))

    def meet(self, points, key):
        for point in points:
            if point not in self.known:
                self.known.add(point)
                self.points.write(text(self.program.describe(point, key)))

    def run(self, key, n, points, reached, outcome, seed):
        self.meet(reached, key)
        self.meet(points, key)
        line = {"key": key, "n": n, "seed": seed, "end": "exited", "value": 0, "outcome": "ok", "why": None, "finding": None, "points": points}
        if outcome:
            line.update(outcome="failed", why=outcome[0], end=outcome[1], value=outcome[2], finding=outcome[3])
            self.find(outcome, key.split(":")[1] if len(key) > 20 else points[-1], key)
        if reached:
            line["reached"] = reached
        line.update(decisions=512, faults=len(points), ms=round(random.uniform(1, 9), 3))
        self.runs.write(text(line))

    def find(self, outcome, culprit, key):
        finding = self.findings.setdefault(outcome[3], {k: 0 for k in ("id", "why", "title", "stack", "call", "error", "runs")})
        finding["runs"] += 1
        if finding["runs"] > 1:
            return
        culprit = self.program.describe(culprit, key)
        finding.update(id=outcome[3], why=outcome[0], title=f"{outcome[0]} after {culprit['call']} = ENOMEM", stack=culprit["stack"],
                       call=culprit["call"], error="ENOMEM", first=key, replay=f"faultshim replay {self.path}/findings/{outcome[3]}/run.trace",
                       command=["./prog", "a b"])
        os.makedirs(f"{self.path}/findings/{outcome[3]}")
        for name in "run.trace", "output":
            with open(f"{self.path}/findings/{outcome[3]}/{name}", "w") as out:
                out.write(f"{name} of {key}\n")

    def close(self):
        self.runs.close()
        self.points.close()
        for name, finding in self.findings.items():
            self.write(f"findings/{name}/finding.json", finding)


def each_once(program, folder):
    folder.run("none", 0, [], program.ordinary, None, options.seed)
    leads, level, first_level, n = {p: [] for p in program.ordinary}, program.ordinary, True, 0
    known = set(level)
    while level:
        following = []
        for at, point in enumerate(level):
            for way in "once", "always":
                n += 1
                if first_level and at % count != index - 1:
                    continue
                key = f"{way}:{point}"
                reached = [p for p in program.met(key) if p not in known]
                # from then on others fail too, which does not tell what lies behind them
                others = [p for p in program.met("also" + key) if p != point and p not in leads[point]] if way == "always" else []
                reached = [p for p in reached if p not in others]
                folder.run(key, n, leads[point] + [point] + others, reached, program.outcome(key, point), options.seed)
                for p in reached:
                    if p not in leads:
                        leads[p] = leads[point] + [point]
                        following.append(p)
        known.update(following)
        level, first_level = following, False


def by_seed(program, folder):
    for seed in range(1, options.runs + 1):
        if seed % count != index - 1:
            continue
        key = f"seed:{seed}"
        points = program.met(key) or program.points[:1]
        folder.run(key, seed, points, [], program.outcome(key, points[-1]), seed)


made_up = Program()
written = Folder(options.folder, made_up)
(each_once if options.strategy == "each-once" else by_seed)(made_up, written)
written.close()
