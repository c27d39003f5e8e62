"""perfetto.py FILE: holds a file against the trace-event format ("Trace Event Format", Google), as far as faultshim writes it.

Prints what is wrong and ends with 1; else counts events by phase and category."""
import collections
import json
import math
import sys

NUMBER = (int, float)
# ph: what an event of that phase must have beside name, ph and pid
NEEDED = {"M": {"args": dict}, "i": {"ts": NUMBER, "tid": int, "s": str, "cat": str}, "X": {"ts": NUMBER, "dur": NUMBER, "tid": int, "cat": str},
          "C": {"ts": NUMBER, "args": dict, "cat": str}}
METADATA = {"process_name": "name", "thread_name": "name", "process_sort_index": "sort_index", "trace_end": None}


def no_constant(word):
    raise ValueError(f"{word} is no number of JSON")


def check(event):
    for key, kind in {"name": str, "ph": str, "pid": int, **NEEDED[event["ph"]]}.items():
        assert isinstance(event[key], kind) and not isinstance(event[key], bool), f"{key} is {event[key]!r}"
    for key in ("ts", "dur"):
        assert key not in event or (math.isfinite(event[key]) and event[key] >= 0), f"{key} is {event[key]!r}"
    if event["ph"] == "i":
        assert event["s"] in ("g", "p", "t"), f"scope {event['s']!r}"
    if event["ph"] == "C":
        assert all(isinstance(v, NUMBER) for v in event["args"].values()), "a counter counts"
    if event["ph"] == "M":
        assert event["name"] in METADATA and (METADATA[event["name"]] is None or METADATA[event["name"]] in event["args"]), "metadata"


def main(path):
    with open(path, encoding="utf-8") as file:
        trace = json.load(file, parse_constant=no_constant)
    assert trace["displayTimeUnit"] in ("ms", "ns")
    named, seen, counts = set(), set(), collections.Counter()
    for event in trace["traceEvents"]:
        try:
            check(event)
        except (AssertionError, KeyError) as wrong:
            sys.exit(f"{wrong!r} in {event}")
        if event["name"] == "process_name":
            named.add(event["pid"])
        elif event["name"] == "thread_name":
            named.add((event["pid"], event["tid"]))
        elif event["ph"] in "iX":
            seen |= {event["pid"], (event["pid"], event["tid"])}
        counts[event.get("cat", event["ph"])] += 1
    assert seen <= named, f"nobody named {seen - named}"
    print(" ".join(f"{name}={n}" for name, n in sorted(counts.items())))


main(sys.argv[1])
