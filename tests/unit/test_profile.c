/* The profile's parser: what values mean, and one table of wrong lines, each with the place and the words of its error. */
#include <math.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>

#include "engine_test.h"

#define SESSION(lines)            "[faultshim]\n" lines
#define RULE(lines)               "[rule a]\ncalls = write\nfault = error EIO\n" lines
#define PHASE(lines)              RULE("phase = p\n") "[phase p]\n" lines
#define FAULT(value)              "[rule a]\ncalls = write, nanosleep\nfault = " value
#define CALLS(value)              "[rule a]\nfault = delay 1ms\ncalls = " value
#define BARE(calls, fault, lines) "[rule a]\ncalls = " calls "\nfault = " fault "\n" lines

static const struct {
    const char *text;
    unsigned line;
    const char *piece;
} wrong[] = {
    /* lines and sections */
    {"seed = 1\n", 1, "'seed' stands before any section; write [faultshim] or [rule NAME]"},
    {"[faultshim\n", 1, "a section header has no ']'"},
    {"[]\n", 1, "unknown section ''"},
    {"[faultshin]\n", 1, "unknown section 'faultshin'; did you mean 'faultshim'?"},
    {"\n\n[rules a]\n", 3, "unknown section 'rules'; did you mean 'rule'?"},
    {"[zebra]\n", 1, "unknown section 'zebra'; write [faultshim] or [rule NAME]"},
    {"[faultshim extra]\n", 1, "[faultshim] takes no name, and 'extra' stands there"},
    {"[faultshim]\n[faultshim]\n", 2, "[faultshim] was opened before"},
    {"[rule]\n", 1, "a rule has no name; write [rule NAME]"},
    {"[rule   ]\n", 1, "a rule has no name"},
    {"[rule a b]\n", 1, "rule name 'a b' has a character that names can't have"},
    {"[rule a,b]\n", 1, "write letters, digits and -_.:+/@"},
    {"[rule a] calls = write\n", 1, "'calls = write' stands after the ']'"},
    {"[rule 0123456789012345678901234567890123456789012345]\n", 1, "is longer than 49 bytes; write a shorter one"},
    {"[partition x]\n", 1, "[partition] is not yet supported"},
    {"[phase]\n", 1, "a phase has no name; write [phase NAME]"},
    {"[phase a b]\n", 1, "phase name 'a b' has a character that names can't have"},
    {PHASE("") "[phase p]\n", 6, "phase p was defined already at p.ini:5"},
    {"[phase p]\nto = 5s\n", 1, "phase p has no rules; write phase = p in one, or leave it out"},
    {PHASE("from = soon\n"), 6, "from 'soon' is no time"},
    {PHASE("from = 10\n"), 6, "from '10' has no unit"},
    {PHASE("from = 1.5 ops\n"), 6, "from '1.5' is no whole number"},
    {PHASE("from = 1s\nto = 10 ops\n"), 7, "to counts in operations, and a line above in time"},
    {PHASE("from = 10s 10s\n"), 6, "from ends with '10s', which means nothing there"},
    {PHASE("from = 10s\nto = 10s\n"), 5, "phase p ends before it begins; write to behind from"},
    {PHASE("every = 10s\n"), 6, "every does not say for how long; write both, as in every = 10s for 2s"},
    {PHASE("every = 2s for 2s\n"), 6, "every has no pause between its bursts"},
    {PHASE("every = 2s for 0\n"), 6, "every has a length of 0"},
    {PHASE("intensity = 0%\n"), 6, "intensity 0% turns the rules off for good"},
    {PHASE("intensity = 120%\n"), 6, "intensity '120%' is above 100%"},
    {PHASE("intensity = 0%..100%\n"), 5, "phase p has a ramp without an end; write to, or every"},
    {PHASE("on = rule zebra fired\n"), 6, "unknown rule 'zebra'; write the name of a [rule NAME] section"},
    {PHASE("on = rule a\n"), 6, "on 'rule a' is unclear; write rule NAME fired, or mark TEXT"},
    {PHASE("on = mark x for 2s\n"), 6, "on ends with 'for 2s', which means nothing there"},
    {PHASE("on = mark 0123456789012345678901234567890123456789012345678\n"), 6, "is longer than 48 bytes"},
    {PHASE("phase = p\n"), 6, "phase is a rule's key; write it under [rule NAME]"},
    {"[partition p]\n", 1, "[partition] is not yet supported"},
    {"[node n1]\n", 1, "[node] is not yet supported"},
    {SESSION("just words\n"), 2, "'just words' is no KEY = VALUE"},
    {SESSION("seed ; = 4\n"), 2, "'seed ; = 4' is no KEY = VALUE"},
    {SESSION("= 4\n"), 2, "a line begins with its '='; write KEY = VALUE"},
    {RULE("\n\n[rule a]\ncalls = read\nfault = short\n"), 6, "rule a was defined already at p.ini:1; give this one another name"},
    {"[rule a]\nfault = short\n", 1, "rule a has no calls; write calls = NAMES"},
    {"[rule a]\ncalls = read\n", 1, "rule a has no fault; write fault = KIND"},
    {"; comment\n[rule a]\n[rule b]\n", 2, "rule a has no calls"},

    /* keys */
    {SESSION("sed = 4\n"), 2, "unknown key 'sed'; did you mean 'seed'?"},
    {SESSION("zebra = 4\n"), 2, "unknown key 'zebra'; write one that 'faultshim list keys' names"},
    {SESSION("seed =\n"), 2, "seed has no value; write one after the '='"},
    {SESSION("seed = ; forty-two\n"), 2, "seed has no value (a ';' after a blank starts a comment)"},
    {SESSION("seed = 1\n\nseed = 2\n"), 4, "seed was given already at p.ini:2; write it once"},
    {SESSION("calls = write\n"), 2, "calls is a rule's key; write it under [rule NAME]"},
    {SESSION("node = n1\n"), 2, "node is not yet supported; leave it out"},
    {SESSION("record = times\n"), 2, "record has no 'times'; did you mean 'time'?"},
    {SESSION("record = everything\n"), 2, "record has no 'everything'; write time, random or environment"},
    {SESSION("trace = faults\nrecord = time, random\n"), 3,
     "record is for replays, and they need every decision; write trace = all"},
    {RULE("seed = 4\n"), 4, "seed is a key of the whole run; write it under [faultshim]"},
    {RULE("probabilty = 4%\n"), 4, "unknown key 'probabilty'; did you mean 'probability'?"},
    {RULE("Probability = 4%\n"), 4, "unknown key 'Probability'; did you mean 'probability'?"},
    {RULE("prob = 4%\n"), 4, "did you mean 'probability'?"},
    {RULE("from = 10s\n"), 4, "from is a phase's key; write it under [phase NAME]"},
    {RULE("phase = outage\n"), 1, "unknown phase 'outage'; write a [phase NAME] section for it"},
    {RULE("on = rule zebra fired\n"), 4, "unknown rule 'zebra'; write the name of a [rule NAME] section"},
    {RULE("on = rule a fired\n"), 4, "rule a waits for itself and never fires"},
    {RULE("on = tuesday\n"), 4, "on 'tuesday' is unclear; write rule NAME fired, or mark TEXT"},
    {RULE("on = mark x raises 5%\n"), 4, "on does not say what it raises the probability to"},
    {RULE("on = mark x raises to 0%\n"), 4, "on raises by nothing; write a share above 0%"},
    {RULE("on = mark x raises to 110%\n"), 4, "on: '110%' is above 100%"},
    {RULE("on = mark x for 0\n"), 4, "on lasts for 0; write more, or leave for out"},
    {RULE("on = mark x forever\n"), 4, "on goes on with 'forever'; write raises to SHARE"},
    {RULE("on = mark 'x\n"), 4, "is unclear"},
    {RULE("stack = main\ndepth = 0\n"), 5, "depth '0' is out of bounds; write 1..32"},
    {RULE("stack = main\ndepth = 33\n"), 5, "depth '33' is out of bounds"},
    {RULE("depth = 3\n"), 1, "has depth, and neither stack nor not-stack"},
    {RULE("stack = [a\n"), 4, "stack '[a' has a '[' that is never closed"},
    {RULE("probability = 1%\nprobability = 2%\n"), 5, "probability was given already at p.ini:4"},
    {RULE("path =\n"), 4, "path has no value; write one after the '='"},

    /* values of [faultshim] */
    {SESSION("seed = forty-two\n"), 2, "seed 'forty-two' is no seed; write a number below 2^64"},
    {SESSION("seed = 18446744073709551616\n"), 2, "write a number below 2^64, as in 42 or 0x2a"},
    {SESSION("seed = 0x\n"), 2, "seed '0x' is no seed"},
    {SESSION("seed = 0x10000000000000000\n"), 2, "is no seed"},
    {SESSION("seed = -1\n"), 2, "seed '-1' is no seed"},
    {SESSION("trace = al\n"), 2, "trace has no 'al'; did you mean 'all'?"},
    {SESSION("trace = everything\n"), 2, "trace has no 'everything'; write all, faults or off"},
    {SESSION("trace-limit = 1TB\n"), 2, "trace-limit '1TB' has an unknown unit; write B, KB, MB"},
    {SESSION("clock = virtual\n"), 2, "clock = virtual is not yet supported; write real"},
    {SESSION("clock = unreal\n"), 2, "clock has no 'unreal'; did you mean 'real'?"},
    {SESSION("children = ignore\n"), 2, "children has no 'ignore'; write follow or skip"},
    {SESSION("doors = walls\n"), 2, "doors has no 'walls'; write auto, symbols or sites"},
    {SESSION("doors-in = libc, go\n"), 2, "doors-in has no 'go'"},
    {SESSION("doors-in = ld\n"), 2, "doors-in leaves libc out"},
    {SESSION("doors = symbol\n"), 2, "did you mean 'symbols'?"},
    {SESSION("output = all\n"), 2, "output has no 'all'; write leave or keep"},
    {SESSION("stacks = some\n"), 2, "stacks has no 'some'; write off, faults or all"},
    {SESSION("io_uring = refused\n"), 2, "io_uring has no 'refused'; did you mean 'refuse'?"},
    {SESSION("headstart = soon\n"), 2, "headstart 'soon' is unknown; write a time as in 100ms, or 'N calls', or listen"},
    {SESSION("headstart = 5 faults\n"), 2, "headstart '5 faults' is unknown"},
    {SESSION("headstart = 100\n"), 2, "headstart '100' has no unit; write ns, us, ms, s, m or h"},
    {SESSION("headstart = x calls\n"), 2, "headstart 'x' is no whole number"},

    /* calls */
    {CALLS("wrte\n"), 3, "unknown call 'wrte'; did you mean 'write'?"},
    {CALLS("write, fsnyc\n"), 3, "unknown call 'fsnyc'; did you mean 'fsync'?"},
    {CALLS("frobnicate_everything\n"), 3, "unknown call 'frobnicate_everything'; write one that 'faultshim list calls' names"},
    {CALLS("@fil\n"), 3, "unknown family '@fil'; did you mean '@file'?"},
    {CALLS("@file.wirte\n"), 3, "unknown family '@file.wirte'; did you mean '@file.write'?"},
    {CALLS("@\n"), 3, "unknown family '@'"},
    {CALLS("@file.\n"), 3, "unknown family '@file.'"},
    {CALLS("xyz*\n"), 3, "calls 'xyz*' matches no call; write a pattern on names"},
    {CALLS(",\n"), 3, "calls names no call; write names or @family.class"},
    {CALLS("@file\nexcept = nothing\n"), 4, "unknown call 'nothing'"},
    {CALLS("write\nexcept = writ?\n"), 3, "rule a can match no call: except leaves nothing of calls"},

    /* filters */
    {RULE("path = logs/*.txt\n"), 4, "path 'logs/*.txt' matches no absolute path; begin it with / or with **/"},
    {RULE("path = /tmp/[ab\n"), 4, "path '/tmp/[ab' has a '[' that is never closed"},
    {RULE("path = \"/tmp/a b\n"), 4, "a quote in path is never closed; close it"},
    {RULE("path = \"/tmp/a ; b\"\n"), 4, "a ';' after a blank starts a comment, even between quotes"},
    {RULE("path = \"\"\n"), 4, "path has an empty pattern"},
    {RULE("not-path = ./x\n"), 4, "not-path './x' matches no absolute path"},
    {RULE("fd = one\n"), 4, "fd 'one' is no whole number; write digits only"},
    {RULE("fd = 2..1\n"), 4, "fd '2..1' ends before it begins; write the smaller value first"},
    {RULE("fd = 3000000000\n"), 4, "fd '3000000000' is above any descriptor"},
    {RULE("fd = -1\n"), 4, "fd '-1' is no whole number"},
    {RULE("fd = 1..\n"), 4, "fd '' is no whole number"},
    {RULE("peer = 10.0.0.7\n"), 4, "peer '10.0.0.7' has no port; write ADDRESS:PORT"},
    {RULE("peer = 10.0.0.7:\n"), 4, "peer '10.0.0.7:' has no port after its ':'; write one, or *"},
    {RULE("peer = *:70000\n"), 4, "peer '*:70000' has no such port; write 1..65535, or *"},
    {RULE("peer = ::1:80\n"), 4, "write an IPv6 address in brackets, as in [::1]:*"},
    {RULE("peer = [::1]\n"), 4, "peer '[::1]' has no port"},
    {RULE("peer = [::1:80\n"), 4, "has a '[' that is never closed"},
    {RULE("peer = node:n2\n"), 4, "peer 'node:n2' is not yet supported"},
    {RULE("peer = host:\n"), 4, "peer 'host:' names nothing; write host:NAME or unix:PATH"},
    {RULE("local = host:db\n"), 4, "local 'host:db' names a host, and this end has none"},
    {RULE("size = big\n"), 4, "size 'big' is no size; write bytes or a number with KB"},
    {RULE("size = 4kb\n"), 4, "size '4kb' has an unknown unit"},
    {RULE("size = 8KiB..4KiB\n"), 4, "size '8KiB..4KiB' ends before it begins"},
    {RULE("size = ..\n"), 4, "size '..' has no ends; write N..M, N.. or ..M"},
    {RULE("size = 1.5\n"), 4, "size '1.5' is no whole number of bytes"},
    {RULE("size = 99999999999GiB\n"), 4, "is too large; write a size below 2^63"},
    {RULE("size = 99999999999999999999\n"), 4, "is too large; write a size below 2^63"},
    {BARE("malloc", "error ENOMEM", "path = /x\n"), 2,
     "rule a can match no call: path is given, and none of its calls acts on a path"},
    {BARE("malloc", "error ENOMEM", "peer = *:80\n"), 2, "peer is given, and none of its calls has a peer"},
    {BARE("getaddrinfo", "error EAI_FAIL", "peer = *:80\n"), 2, "(getaddrinfo takes host:NAME)"},
    {BARE("open", "error EIO", "fd = 5\n"), 2, "fd is given, and none of its calls is made on a descriptor"},
    {BARE("fsync", "error EIO", "size = 5\n"), 2, "size is given, and none of its calls has a size"},
    {BARE("@file", "error EIO", "local = *:80\n"), 2, "local is given, and none of its calls has a local address"},

    /* when */
    {RULE("probability = 101%\n"), 4, "probability '101%' is above 100%; write 0%..100%, or a fraction from 0 to 1"},
    {RULE("probability = 1.5\n"), 4, "probability '1.5' is above 100%"},
    {RULE("probability = 2 %\n"), 4, "probability '2 %' is no share; write a percentage or a fraction, as in 2% or 0.02"},
    {RULE("probability = -2%\n"), 4, "probability '-2%' is no share"},
    {RULE("probability = often\n"), 4, "probability 'often' is no share"},
    {RULE("probability = 1e-6\n"), 4, "probability '1e-6' is no share"},
    {RULE("probability = 0.\n"), 4, "probability '0.' is no share"},
    {RULE("probability = 0.0000000000000000001\n"), 4, "has too many digits"},
    {RULE("active = 2\n"), 4, "active '2' is above 100%"},
    {RULE("nth = 0\n"), 4, "nth counts from 1; write 1 for the first"},
    {RULE("nth = first\n"), 4, "nth 'first' is no whole number"},
    {RULE("nth = 10..5\n"), 4, "nth '10..5' ends before it begins"},
    {RULE("nth = 5..10+0\n"), 4, "nth '5..10+0' has a step of 0; write 1 or more after the '+'"},
    {RULE("nth = 5..10+\n"), 4, "step of nth '' is no whole number"},
    {RULE("nth = ,\n"), 4, "nth names no number"},
    {RULE("nth = 3, 18446744073709551616\n"), 4, "nth '18446744073709551616' is too large; write a number below 2^64"},
    {RULE("nth = 3\ndraw = 0xg\n"), 5, "draw '0xg' is no word"},
    {RULE("nth = 3\ndraw = ,\n"), 5, "draw names no word"},
    {RULE("interval = 0\n"), 4, "interval 0 is no distance; write 1 or more"},
    {RULE("skip = -1\n"), 4, "skip '-1' is no whole number"},
    {RULE("times = 0\n"), 4, "times 0 never fires; write 1 or more, or enabled = no"},
    {RULE("times = 5x\n"), 4, "times '5x' is no whole number"},
    {RULE("space = 4 KiB\n"), 4, "space '4 KiB' has an unknown unit"},
    {RULE("sticky = yes\n"), 4, "sticky has no 'yes'; write no, resource or rule"},
    {RULE("key = threads\n"), 4, "key has no 'threads'; did you mean 'thread'?"},
    {RULE("continue = true\n"), 4, "continue has no 'true'; write yes or no"},
    {RULE("enabled = ye\n"), 4, "enabled has no 'ye'; did you mean 'yes'?"},
    {RULE("message = \"never closed\n"), 4, "a quote in message is never closed"},
    {RULE("message = \"one\" two\n"), 4, "message goes on after its closing quote"},
    {BARE("malloc", "error ENOMEM", "key = resource\n"), 1, "rule a counts by resource, and none of its calls has one"},

    /* faults */
    {FAULT("eror EIO\n"), 3, "unknown fault 'eror'; did you mean 'error'?"},
    {FAULT("explode\n"), 3, "unknown fault 'explode'; write one that 'faultshim list faults' names"},
    {FAULT("power-loss\n"), 3, "fault 'power-loss' is not yet supported"},
    {FAULT("latency 5ms\n"), 3, "fault 'latency' is not yet supported"},
    {FAULT("error:EIO\n"), 3, "fault 'error:EIO' has a ':'; in a profile write a blank instead"},
    {FAULT(",\n"), 3, "fault names no kind"},
    {FAULT("error\n"), 3, "error names no error; write one or more, as in error EIO"},
    {FAULT("error-after\n"), 3, "error-after names no error"},
    {FAULT("error EOI\n"), 3, "unknown error 'EOI'; did you mean 'EIO'?"},
    {FAULT("error eio\n"), 3, "unknown error 'eio'; did you mean 'EIO'?"},
    {FAULT("error 5\n"), 3, "'5' is a number, and numbers differ between machines; write the error's name"},
    {FAULT("error EIO EIO\n"), 3, "EIO names the same error as one before it; write each once"},
    {FAULT("error EIO when=after\n"), 3, "error takes no 'when=after'; write fault = error ERRNO..."},
    {FAULT("error EIO weight=0\n"), 3, "weight 0 is out of bounds; write 1..1000000"},
    {FAULT("error EIO weight=x\n"), 3, "weight 'x' is no whole number"},
    {FAULT("error EIO weight=1000001\n"), 3, "weight 1000001 is out of bounds"},
    {FAULT("short 5\n"), 3, "short takes no '5'; write fault = short"},
    {FAULT("lost now\n"), 3, "lost takes no 'now'; write fault = lost"},
    {FAULT("delay\n"), 3, "delay has no duration; write one, as in delay 5ms"},
    {FAULT("delay 5\n"), 3, "duration '5' has no unit; write ns, us, ms, s, m or h"},
    {FAULT("delay 5 ms\n"), 3, "duration '5' has no unit"},
    {FAULT("delay 5sec\n"), 3, "duration '5sec' has an unknown unit"},
    {FAULT("delay soon\n"), 3, "duration 'soon' is no time; write a number with ns, us, ms, s, m or h"},
    {FAULT("delay 0ms\n"), 3, "a delay of 0 does nothing"},
    {FAULT("delay 50ms..5ms\n"), 3, "duration '50ms..5ms' ends before it begins"},
    {FAULT("delay 5ms 6ms\n"), 3, "delay has two durations, and '6ms' is the second"},
    {FAULT("delay 1000000h\n"), 3, "is too large; write a time below 100 years"},
    {FAULT("delay 0.5ns\n"), 3, "is finer than a nanosecond"},
    {FAULT("delay 5ms±\n"), 3, "delay has nothing after its ±; write a time"},
    {FAULT("delay 5ms±2\n"), 3, "jitter '2' has no unit"},
    {FAULT("delay ±2ms\n"), 3, "delay has a jitter before its duration"},
    {FAULT("delay 5ms±2ms±2ms\n"), 3, "jitter '2ms±2ms' has an unknown unit"},
    {FAULT("delay 5ms ±2ms ±2ms\n"), 3, "delay has two jitters"},
    {FAULT("delay 5ms when=during\n"), 3, "when has no 'during'; write when=before or when=after"},
    {FAULT("delay 5ms dist=normal\n"), 3, "dist=normal needs a range, or a duration with"},
    {FAULT("delay 5ms..9ms±1ms dist=normal\n"), 3, "dist=normal needs a range, or a duration with"},
    {FAULT("delay 5ms dist=pareto\n"), 3, "dist=pareto needs a range that begins above 0"},
    {FAULT("delay 0..5ms dist=log-uniform\n"), 3, "dist=log-uniform needs a range that begins above 0"},
    {FAULT("delay 5ms..9ms dist=poisson\n"), 3, "dist has no 'poisson'; write uniform"},
    {FAULT("delay 5ms spike=20\n"), 3, "spike '20' has no factor"},
    {FAULT("delay 5ms spike=1%x1\n"), 3, "a spike by less than 2 is none"},
    {FAULT("delay 5ms spike=200%x2\n"), 3, "share '200%' is above 100%"},
    {FAULT("delay 50h spike=1%x99999999\n"), 3, "a spike above 100 years"},
    {FAULT("stall max=0\n"), 3, "max=0 holds nothing"},
    {FAULT("stall 5ms\n"), 3, "'5ms' is a number, and numbers differ"},
    {FAULT("stall ECONNRESTE\n"), 3, "did you mean 'ECONNRESET'?"},
    {FAULT("signal\n"), 3, "signal has no name"},
    {FAULT("signal KILL\n"), 3, "write fault = crash"},
    {FAULT("signal STOP\n"), 3, "write fault = pause"},
    {FAULT("signal NOISE\n"), 3, "there is no signal 'NOISE'"},
    {FAULT("signal USR1 USR2\n"), 3, "signal has two names"},
    {FAULT("pause\n"), 3, "pause has no duration"},
    {FAULT("pause 0\n"), 3, "a pause of 0 does nothing"},
    {FAULT("cpu 5ms 6ms\n"), 3, "cpu has two durations"},
    {FAULT("cpu for=5ms\n"), 3, "cpu takes no 'for=5ms'"},
    {FAULT("memory for=5s\n"), 3, "memory has no size"},
    {FAULT("memory 5ms\n"), 3, "has an unknown unit"},
    {FAULT("memory 4KiB for=0\n"), 3, "for=0 gives the memory back at once"},
    {FAULT("yield 9us..2us\n"), 3, "ends before it begins"},
    {FAULT("delay 5ms foo=1\n"), 3, "delay takes no 'foo=1'; write fault = delay DURATION"},
    {FAULT("crash sometime\n"), 3, "crash takes no 'sometime'; write fault = crash [before|after|during]"},
    {FAULT("crash signal=HUP\n"), 3, "crash has no signal 'HUP'; write KILL, ABRT, SEGV or TERM"},
    {FAULT("crash exit=256\n"), 3, "'256' is no exit status; write exit=0..255"},
    {FAULT("crash exit=1 signal=KILL\n"), 3, "crash has a signal and an exit status; write one of them"},
    {FAULT("crash signal=KILL signal=TERM\n"), 3, "crash has two signals"},
    {FAULT("corrupt at-rest transient\n"), 3, "corrupt is told twice where"},
    {FAULT("corrupt at-rest replace=\"a\"->\"b\"\n"), 3, "replace acts on what is read or written, not at-rest"},
    {FAULT("corrupt replace=a->b\n"), 3, "replace has no quotes"},
    {FAULT("corrupt replace=\"a\"\n"), 3, "replace has no '->'"},
    {FAULT("corrupt replace=\"a\"->\"b\n"), 3, "a quote in replace is never closed"},
    {FAULT("corrupt replace=\"a\"->\"\"\n"), 3, "replace needs a text on both sides"},
    {FAULT("corrupt replace=\"\\q\"->\"b\"\n"), 3, "a backslash in replace"},
    {FAULT("corrupt bits=1 replace=\"a\"->\"b\"\n"), 3, "corrupt is told twice how"},
    {"[rule a]\ncalls = pread\nfault = corrupt replace=\"a\"->\"bb\"\n", 3, "corrupt can't act on pread"},
    {FAULT("quota\n"), 3, "quota has no size"},
    {FAULT("quota 5MB 6MB\n"), 3, "quota has two sizes"},
    {FAULT("quota 5MB EIO\n"), 3, "quota takes no 'EIO'"},
    {FAULT("quota lots\n"), 3, "quota takes no 'lots'"},
    {"[rule a]\ncalls = write\nfault = quota 5MB\nfault = error EIO\n", 3, "quota goes by what happened before"},
    {"[rule a]\ncalls = write\nspace = 9\nfault = quota 5MB\n", 4, "quota keeps an account of its own"},
    {"[rule a]\ncalls = read\nsticky = rule\nfault = bad-sector\n", 4, "bad-sector stays by itself until it is mended"},
    {"[rule a]\ncalls = fsync\nsticky = resource\nfault = fsync-fail\n", 4, "fsync-fail stays by itself until it is mended"},
    {"[rule a]\ncalls = read\nfault = quota 5MB\n", 3, "quota can't act on read"},
    {"[rule a]\ncalls = write\nfault = bad-sector\n", 3, "bad-sector can't act on write"},
    {"[rule a]\ncalls = sync\nfault = fsync-fail\n", 3, "fsync-fail can't act on sync"},
    {"[rule a]\ncalls = mmap\nfault = budget 5MB\n", 3, "budget can't act on mmap"},
    {"[rule a]\ncalls = malloc\nfault = budget\n", 3, "budget has no size"},
    {"[rule a]\ncalls = malloc\nfault = budget 5MB EIO\n", 3, "budget takes no 'EIO'"},
    {"[rule a]\ncalls = open\nfault = descriptors\n", 3, "descriptors has no number"},
    {"[rule a]\ncalls = open\nfault = descriptors 2\n", 3, "descriptors 2 is out of bounds"},
    {"[rule a]\ncalls = open\nfault = descriptors 20 30\n", 3, "descriptors has two numbers"},
    {"[rule a]\ncalls = read\nfault = descriptors 20\n", 3, "descriptors can't act on read"},
    {"[rule a]\ncalls = malloc\nfault = once-per-stack EIO\n", 3, "malloc never returns EIO"},
    {"[rule a]\ncalls = malloc\nfault = once-per-stack file=\n", 3, "file= names no file"},
    {"[rule a]\ncalls = waitpid\nfault = exit-status\n", 3, "exit-status has no number"},
    {"[rule a]\ncalls = waitpid\nfault = exit-status 256\n", 3, "'256' is no exit status"},
    {"[rule a]\ncalls = waitpid\nfault = exit-status 1 2\n", 3, "exit-status has two numbers"},
    {"[rule a]\ncalls = read\nfault = exit-status 1\n", 3, "exit-status can't act on read"},
    {"[rule a]\ncalls = uname\nfault = replace\n", 3, "replace names no field"},
    {"[rule a]\ncalls = uname\nfault = replace machine=a machine=b\n", 3, "replace has two texts for machine"},
    {"[rule a]\ncalls = uname\nfault = replace vendor=b\n", 3, "replace takes no 'vendor=b'"},
    {"[rule a]\ncalls = gethostname\nfault = replace machine=b\n", 3, "replace can't act on gethostname"},
    {"[rule a]\ncalls = uname\nfault = replace release="
     "0123456789012345678901234567890123456789012345678901234567890123456789\n",
     3, "release is longer than 64 bytes"},
    {FAULT("torn sector=0\n"), 3, "a sector of 0 bytes is out of bounds"},
    {FAULT("torn then=stop\n"), 3, "then has no 'stop'; write then=crash"},
    {FAULT("torn often\n"), 3, "torn takes no 'often'"},
    {FAULT("misdirect\n"), 3, "misdirect is not told where to"},
    {FAULT("misdirect by=4KiB to=*.log\n"), 3, "misdirect is told twice where to"},
    {FAULT("misdirect to=\n"), 3, "to= names no file"},
    {FAULT("misdirect by=0\n"), 3, "a misdirect of 0 does nothing"},
    {FAULT("twice again\n"), 3, "twice takes no 'again'"},
    {"[rule a]\ncalls = pwrite\nfault = twice\n", 3, "twice can't act on pwrite"},
    {"[rule a]\ncalls = read\nfault = seeded\n", 3, "seeded can't act on read"},
    {"[rule a]\ncalls = malloc\nfault = fill byte=256\n", 3, "'256' is no byte"},
    {"[rule a]\ncalls = calloc\nfault = fill\n", 3, "fill can't act on calloc"},
    {"[rule a]\ncalls = read\nfault = corrupt at-rest\n", 3, "corrupt at-rest damages files for good"},
    {"[rule a]\ncalls = mremap\nfault = corrupt at-rest\n", 3, "corrupt at-rest can't act on mremap"},
    {FAULT("corrupt bits=0\n"), 3, "bits=0 changes nothing; write 1 or more"},
    {FAULT("corrupt bits=many\n"), 3, "bits 'many' is no whole number"},
    {FAULT("corrupt bits=1 zero\n"), 3, "corrupt is told twice how"},
    {FAULT("corrupt stored transient\n"), 3, "corrupt is told twice where"},
    {FAULT("corrupt everything\n"), 3, "corrupt takes no 'everything'; write fault = corrupt [transient|stored|at-rest]"},
    {FAULT("early 150%\n"), 3, "share '150%' is above 100%"},
    {FAULT("early 50%..10%\n"), 3, "share '50%..10%' ends before it begins"},
    {FAULT("early 10% 20%\n"), 3, "early has two shares, and '20%' is the second; write one, or a range as in 10%..50%"},

    /* faults and calls together */
    {BARE("write", "error ECONNREFUSED EAI_AGAIN", ""), 3, "EAI_AGAIN comes from getaddrinfo only, and write never returns it"},
    {BARE("getaddrinfo", "error EIO", ""), 3, "getaddrinfo never returns EIO"},
    {BARE("connect", "short", ""), 3, "short can't act on connect, which rule a names"},
    {BARE("fsync", "error EPIPE", ""), 3,
     "fsync never returns EPIPE; write an error that its manual page allows, or any-errno = yes"},
    {BARE("write fsync", "error EPIPE", ""), 3, "fsync never returns EPIPE"},
    {BARE("@file.sync", "error ECONNRESET", ""), 3, "@file.sync never returns ECONNRESET"},
    {BARE("@file.sync @file.meta", "error EIO ECONNRESET", ""), 3, "any call of this rule never returns ECONNRESET"},
    {BARE("@file.sync", "short", ""), 3, "short fits none of the calls of rule a"},
    {BARE("@memory", "early", ""), 3, "early fits none of the calls of rule a"},
    {BARE("free", "delay 1ms", ""), 2, "free is only observed, no fault fits it"},
    {BARE("fsync", "crash during", ""), 3, "crash during can't act on fsync"},
    {BARE("read", "corrupt stored", ""), 3, "corrupt stored can't act on read"},
    {BARE("write", "corrupt transient", ""), 3, "corrupt transient can't act on write"},
    {BARE("malloc", "error-after ENOMEM", ""), 3, "error-after can't act on malloc"},
    {BARE("sync", "error EIO", ""), 3, "error can't act on sync"},
    {BARE("getaddrinfo", "error EIO", "any-errno = yes\n"), 3, "getaddrinfo never returns EIO"},
    {BARE("write", "error EAI_FAIL", "any-errno = yes\n"), 3, "EAI_FAIL comes from getaddrinfo only"},
};

static void wrong_lines_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char place[40];
        int result;
        struct loaded *loaded = try_load(wrong[i].text, strlen(wrong[i].text), 1, &result);
        const char *said = loaded->error.text;
        snprintf(place, sizeof place, "p.ini:%u: ", wrong[i].line);
        if (result != -EINVAL)
            fail_msg("accepted (%d): %s", result, wrong[i].text);
        if (strncmp(said, place, strlen(place)) != 0 || !strstr(said, wrong[i].piece))
            fail_msg("'%s'\n  said '%s'\n  not  '%s%s'", wrong[i].text, said, place, wrong[i].piece);
        if (!strstr(said, "; "))
            fail_msg("'%s' does not say what to write instead", said);
        unload(loaded);
    }
}

static int parse_bytes(const char *text, size_t len, struct fsh_error *error) {
    int result;
    struct loaded *loaded = try_load(text, len, 1, &result);
    *error = loaded->error;
    unload(loaded);
    return result;
}

static void nul_bytes_are_refused(void **state) {
    static const char text[] = "[faultshim]\nseed = 4\0 2\n";
    struct fsh_error error;
    (void)state;
    assert_int_equal(parse_bytes(text, sizeof text - 1, &error), -EINVAL);
    assert_string_equal(error.text, "p.ini:2: a line holds a NUL byte; write text");
}

static char *long_line(const char *before, size_t len) {
    size_t n = strlen(before);
    char *text = test_malloc(n + len + 2);
    memcpy(text, before, n);
    memset(text + n, 'x', len);
    memcpy(text + n + len, "\n", 2);
    return text;
}

static void long_lines_are_read_whole_or_refused(void **state) {
    static const char before[] = RULE("message = ");
    struct fsh_error error;
    (void)state;
    char *text = long_line(before, FSH_LINE_MAX - strlen("message = "));
    struct loaded *loaded = load(text);
    assert_int_equal(strlen(loaded->profile.rules[0].message), FSH_LINE_MAX - strlen("message = "));
    unload(loaded);
    test_free(text);
    text = long_line(before, FSH_LINE_MAX - strlen("message = ") + 1);
    assert_int_equal(parse_bytes(text, strlen(text), &error), -EINVAL);
    assert_non_null(strstr(error.text, "p.ini:4: a line is longer than 4096 bytes; split it"));
    test_free(text);
}

static void long_words_leave_room_for_the_advice(void **state) {
    struct fsh_error error;
    (void)state;
    char *text = long_line("[rule a]\ncalls = ", 4000);
    assert_int_equal(parse_bytes(text, strlen(text), &error), -EINVAL);
    assert_non_null(strstr(error.text, "xxx...'; write one that"));
    test_free(text);
}

static void too_long_profiles_are_refused(void **state) {
    struct fsh_error error;
    char *text = test_malloc(FSH_PROFILE_MAX + 1);
    (void)state;
    memset(text, '\n', FSH_PROFILE_MAX + 1);
    assert_int_equal(parse_bytes(text, FSH_PROFILE_MAX + 1, &error), -EINVAL);
    assert_non_null(strstr(error.text, "longer than 1048576 bytes"));
    assert_int_equal(parse_bytes(text, FSH_PROFILE_MAX, &error), 0);
    test_free(text);
}

static void control_characters_do_not_reach_the_terminal(void **state) {
    static const char text[] = "[faultshim]\n\x1b[31m = 4\n";
    struct fsh_error error;
    (void)state;
    assert_int_equal(parse_bytes(text, sizeof text - 1, &error), -EINVAL);
    assert_null(strchr(error.text, '\x1b'));
}

static void limits_are_named(void **state) {
    char *text = test_malloc(200000);
    struct fsh_error error;
    size_t n = 0;
    (void)state;
    for (unsigned i = 0; i <= FSH_RULES_MAX; i++)
        n += (size_t)sprintf(text + n, "[rule r%u]\ncalls=%s\nfault=delay 1ms\n", i, fsh_calls[i % 10].name);
    assert_int_equal(parse_bytes(text, n, &error), -EINVAL);
    assert_string_equal(error.text, "p.ini:3073: there are more than 1024 rules; write fewer, or two profiles");

    n = (size_t)sprintf(text, "[rule a]\ncalls = fsync\n");
    for (unsigned i = 0; i <= FSH_FAULTS_MAX; i++)
        n += (size_t)sprintf(text + n, "fault = error EIO\n");
    assert_int_equal(parse_bytes(text, n, &error), -EINVAL);
    assert_string_equal(error.text, "p.ini:35: fault has more than 32 entries; write another rule");

    n = 0;
    for (unsigned i = 0; i <= FSH_CANDIDATES_MAX; i++)
        n += (size_t)sprintf(text + n, "[rule r%u]\ncalls=fsync\nfault=delay 1ms\nactive=1%%\n", i);
    assert_int_equal(parse_bytes(text, n, &error), -EINVAL);
    assert_string_equal(error.text, "p.ini:258: more than 64 rules consider fsync; write fewer, or choose calls more narrowly");
    test_free(text);
}

static void options(void **state) {
    struct loaded *loaded = load(
        "; a comment\n# another\n[faultshim]\nseed = 0x2A ; answer\ntrace: faults\ntrace-limit=2GiB\n"
        "  clock = real\n\tchildren = skip\nheadstart = 1.5s\ndoors = symbols\nio_uring = allow\nstacks = all\noutput = keep\n");
    const struct fsh_options *o = &loaded->profile.options;
    (void)state;
    assert_true(o->has_seed);
    assert_int_equal(o->seed, 42);
    assert_int_equal(o->trace, TRACE_FAULTS);
    assert_int_equal(o->trace_limit, UINT64_C(2) << 30);
    assert_int_equal(o->children, CHILDREN_SKIP);
    assert_int_equal(o->headstart, HEADSTART_TIME);
    assert_int_equal(o->headstart_amount, 1500000000);
    assert_int_equal(o->doors, DOORS_SYMBOLS);
    assert_int_equal(o->io_uring, IO_URING_ALLOW);
    assert_int_equal(o->stacks, STACKS_ALL);
    assert_int_equal(o->output, OUTPUT_KEEP);
    unload(loaded);
}

static void defaults(void **state) {
    struct loaded *loaded = load("");
    (void)state;
    assert_false(loaded->profile.options.has_seed);
    assert_int_equal(loaded->profile.options.trace, TRACE_ALL);
    assert_int_equal(loaded->profile.options.trace_limit, 1 << 30);
    assert_int_equal(loaded->profile.n_rules, 0);
    unload(loaded);
    loaded = load(RULE(""));
    const struct fsh_rule *rule = loaded->profile.rules;
    assert_true(rule->enabled && rule->probability.always && rule->active.always && rule->in_run);
    assert_int_equal(rule->key, KEY_DEFAULT);
    assert_string_equal(rule->name, "a");
    assert_string_equal(rule->file, "p.ini");
    assert_int_equal(rule->line, 1);
    unload(loaded);
}

static void headstart_by_calls_and_listen(void **state) {
    struct loaded *loaded = load(SESSION("headstart = 100 calls\n"));
    (void)state;
    assert_int_equal(loaded->profile.options.headstart, HEADSTART_CALLS);
    assert_int_equal(loaded->profile.options.headstart_amount, 100);
    unload(loaded);
    loaded = load(SESSION("headstart = listen\n"));
    assert_int_equal(loaded->profile.options.headstart, HEADSTART_LISTEN);
    unload(loaded);
}

static void every_key_of_a_rule(void **state) {
    struct loaded *loaded = load("[rule wal.fails]\ncalls = pwrite*, @net.send\ncalls = read\nexcept = pwritev2 pwritev\n"
                                 "path = /var/*.wal \"/my files/**\"\npath = *.db\nnot-path = /var/tmp/**\nfd = 5, 7..9\n"
                                 "caller = libc.so.6 */sqlite*\nprocess = redis-server 1.2\nthread = 0\nsize = 4KiB..1.5MB\n"
                                 "probability = 2.5%\nnth = 7,10..20+5, 100+\ninterval = 3\nskip = 10\ntimes = 5\nspace = 10MB\n"
                                 "active = 0.5\nsticky = resource\nkey = resource\nfault = error EIO\n"
                                 "continue = yes\nmessage = 'hello world'\nenabled = no\n");
    const struct fsh_rule *r = loaded->profile.rules;
    (void)state;
    assert_string_equal(r->name, "wal.fails");
    assert_int_equal(r->n_calls, 3);
    assert_true(r->calls[2].exact && !r->calls[0].exact);
    assert_int_equal(r->calls[2].line, 3);
    assert_string_equal(r->calls[0].text, "pwrite*");
    assert_int_equal(r->n_except, 2);
    assert_int_equal(r->path.n, 3);
    assert_string_equal(r->path.v[1], "/my files/**");
    assert_int_equal(r->not_path.n, 1);
    assert_int_equal(r->fd.n, 2);
    assert_int_equal(r->fd.v[1].lo, 7);
    assert_int_equal(r->fd.v[1].hi, 9);
    assert_int_equal(r->caller.n, 2);
    assert_int_equal(r->process.n, 2);
    assert_true(r->has_size && r->size.lo == 4096 && r->size.hi == 1500000);
    assert_int_equal(r->probability.threshold, (uint64_t)(((unsigned __int128)1 << 64) / 40));
    assert_true(fabs((double)r->probability.threshold / 0x1p64 - 0.025) < 1e-15);
    assert_int_equal(r->nth.n, 3);
    assert_true(r->nth.v[0].first == 7 && r->nth.v[0].last == 7 && r->nth.v[0].step == 1);
    assert_true(r->nth.v[1].first == 10 && r->nth.v[1].last == 20 && r->nth.v[1].step == 5);
    assert_true(r->nth.v[2].first == 100 && r->nth.v[2].last == UINT64_MAX);
    assert_true(r->has_interval && r->interval == 3 && r->has_skip && r->skip == 10);
    assert_true(r->has_times && r->times == 5 && r->has_space && r->space == 10000000);
    assert_int_equal(r->sticky, STICKY_RESOURCE);
    assert_int_equal(r->key, KEY_RESOURCE);
    assert_true(r->cont && !r->enabled && !r->in_run);
    assert_string_equal(r->message, "hello world");
    unload(loaded);
}

static struct fsh_range size_of(const char *value) {
    char text[200];
    snprintf(text, sizeof text, RULE("size = %s\n"), value);
    struct loaded *loaded = load(text);
    struct fsh_range size = loaded->profile.rules[0].size;
    unload(loaded);
    return size;
}

static void sizes(void **state) {
    static const struct {
        const char *value;
        uint64_t lo, hi;
    } cases[] = {{"512", 512, 512},
                 {"0", 0, 0},
                 {"1B", 1, 1},
                 {"1KB", 1000, 1000},
                 {"1KiB", 1024, 1024},
                 {"1.5KiB", 1536, 1536},
                 {"3MB", 3000000, 3000000},
                 {"1MiB..", 1 << 20, UINT64_MAX},
                 {"..1GiB", 0, 1u << 30},
                 {"2..3", 2, 3},
                 {"2 .. 3", 2, 3},
                 {"1GB", 1000000000, 1000000000}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fsh_range size = size_of(cases[i].value);
        if (size.lo != cases[i].lo || size.hi != cases[i].hi)
            fail_msg("size %s is not right", cases[i].value);
    }
}

static void shares(void **state) {
    static const struct {
        const char *value;
        uint64_t threshold;
    } cases[] = {{"0%", 0},
                 {"0", 0},
                 {"50%", UINT64_C(1) << 63},
                 {"0.5", UINT64_C(1) << 63},
                 {".5", UINT64_C(1) << 63},
                 {"25.0%", UINT64_C(1) << 62},
                 {"100%", UINT64_MAX},
                 {"1", UINT64_MAX},
                 {"1.000", UINT64_MAX},
                 {"2%", UINT64_C(368934881474191032)},
                 {"0.02", UINT64_C(368934881474191032)},
                 {"0.0000000001%", UINT64_C(18446744)}};
    char text[200];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, RULE("probability = %s\n"), cases[i].value);
        struct loaded *loaded = load(text);
        if (loaded->profile.rules[0].probability.threshold != cases[i].threshold ||
            loaded->profile.rules[0].probability.always != (cases[i].threshold == UINT64_MAX))
            fail_msg("share %s is not right", cases[i].value);
        unload(loaded);
    }
}

static struct loaded *fault(const char *calls, const char *value) {
    char text[300];
    snprintf(text, sizeof text, "[rule a]\ncalls = %s\nfault = %s\n", calls, value);
    return load(text);
}

static void delays(void **state) {
    static const struct {
        const char *value;
        uint64_t lo, hi, jitter;
        unsigned when;
    } cases[] = {
        {"delay 5ms", 5000000, 5000000, 0, WHEN_BEFORE},
        {"delay 250us..1.5s when=after", 250000, 1500000000, 0, WHEN_AFTER},
        {"delay 5ms±2ms", 5000000, 5000000, 2000000, WHEN_BEFORE},
        {"delay 5ms+-2ms", 5000000, 5000000, 2000000, WHEN_BEFORE},
        {"delay 5ms ± 2ms", 5000000, 5000000, 2000000, WHEN_BEFORE},
        {"delay 5ms +-2ms when=before", 5000000, 5000000, 2000000, WHEN_BEFORE},
        {"delay 0..2m", 0, UINT64_C(120000000000), 0, WHEN_BEFORE},
        {"delay 1h weight=3", UINT64_C(3600000000000), UINT64_C(3600000000000), 0, WHEN_BEFORE},
        {"delay 7ns", 7, 7, 0, WHEN_BEFORE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct loaded *loaded = fault("fsync", cases[i].value);
        const struct fsh_fault_spec *spec = loaded->profile.rules[0].faults;
        if (spec->kind != FAULT_DELAY || spec->amount.lo != cases[i].lo || spec->amount.hi != cases[i].hi ||
            spec->jitter != cases[i].jitter || spec->when != cases[i].when)
            fail_msg("%s is not right", cases[i].value);
        unload(loaded);
    }
}

static void errors(void **state) {
    struct loaded *loaded = fault("write", "error EIO, ENOSPC EINTR weight=7");
    const struct fsh_fault_spec *spec = loaded->profile.rules[0].faults;
    (void)state;
    assert_int_equal(spec->n_errnos, 3);
    assert_int_equal(spec->errnos[0], EIO);
    assert_int_equal(spec->errnos[2], EINTR);
    assert_int_equal(spec->weight, 7);
    assert_int_equal(spec->line, 3);
    unload(loaded);
    loaded = fault("getaddrinfo", "error EAI_AGAIN");
    assert_int_equal(loaded->profile.rules[0].faults[0].errnos[0], EAI_AGAIN);
    unload(loaded);
    loaded = fault("connect", "error timeout connection_refused");
    assert_int_equal(loaded->profile.rules[0].faults[0].errnos[0], ETIMEDOUT);
    unload(loaded);
}

static void crashes(void **state) {
    struct loaded *loaded = fault("write", "crash");
    const struct fsh_fault_spec *spec = loaded->profile.rules[0].faults;
    (void)state;
    assert_true(spec->when == WHEN_BEFORE && spec->signal == SIGKILL && !spec->exits && !spec->tree);
    unload(loaded);
    loaded = fault("write", "crash during signal=SIGSEGV tree");
    spec = loaded->profile.rules[0].faults;
    assert_true(spec->when == WHEN_DURING && spec->signal == SIGSEGV && spec->tree);
    unload(loaded);
    loaded = fault("write", "crash after exit=0");
    spec = loaded->profile.rules[0].faults;
    assert_true(spec->when == WHEN_AFTER && spec->exits && spec->status == 0);
    unload(loaded);
}

static void corruption(void **state) {
    struct loaded *loaded = fault("read write", "corrupt");
    const struct fsh_fault_spec *spec = loaded->profile.rules[0].faults;
    (void)state;
    assert_true(spec->how == CORRUPT_BITS && spec->where == CORRUPT_EITHER && spec->amount.lo == 1 && spec->amount.hi == 1);
    unload(loaded);
    loaded = fault("write", "corrupt stored bytes=1KiB..2KiB");
    spec = loaded->profile.rules[0].faults;
    assert_true(spec->how == CORRUPT_BYTES && spec->where == CORRUPT_STORED && spec->amount.lo == 1024 && spec->amount.hi == 2048);
    unload(loaded);
    loaded = fault("read", "corrupt junk transient");
    assert_int_equal(loaded->profile.rules[0].faults[0].how, CORRUPT_JUNK);
    unload(loaded);
}

static void early_shares(void **state) {
    struct loaded *loaded = fault("@time.sleep", "early");
    const struct fsh_fault_spec *spec = loaded->profile.rules[0].faults;
    (void)state;
    assert_true(spec->amount.lo == 0 && spec->amount.hi == UINT64_C(1) << 32);
    unload(loaded);
    loaded = fault("@time.sleep", "early 25%..50%");
    spec = loaded->profile.rules[0].faults;
    assert_true(spec->amount.lo == 1u << 30 && spec->amount.hi == 1u << 31);
    unload(loaded);
    loaded = fault("@time.sleep", "early 0%");
    spec = loaded->profile.rules[0].faults;
    assert_true(spec->amount.lo == 0 && spec->amount.hi == 0);
    unload(loaded);
}

static void addresses_in_brackets_are_no_classes(void **state) {
    struct loaded *loaded =
        load("[rule a]\ncalls = @net.recv\nfault = delay 1ms\npeer = [::1]:*, 10.0.0.[12]:80 unix:/run/*.sock\n");
    const struct fsh_texts *peer = &loaded->profile.rules[0].peer;
    (void)state;
    assert_int_equal(peer->n, 3);
    assert_true(fsh_glob(peer->v[0], "[::1]:6379", true));
    assert_false(fsh_glob(peer->v[0], "[::2]:6379", true));
    assert_true(fsh_glob(peer->v[1], "10.0.0.2:80", true));
    assert_true(fsh_glob(peer->v[2], "unix:/run/a.sock", true));
    unload(loaded);
}

static void sources_have_lines_of_their_own(void **state) {
    struct fsh_error error;
    static const char bad[] = "[faultshim]\nseed = 1\n;@source -r 1\n[rule r1]\ncalls = fsync\nfault = error EOI\n";
    static const char leak[] = "[faultshim]\n;@source two.ini\nseed = 1\n";
    static const char twice[] = "[faultshim]\nseed = 1\n;@source two.ini\n[faultshim]\nseed = 2\n";
    static const char same[] = RULE("") ";@source two.ini\n\n[rule a]\n";
    (void)state;
    assert_int_equal(parse_bytes(bad, strlen(bad), &error), -EINVAL);
    assert_string_equal(error.text, "-r 1:3: unknown error 'EOI'; did you mean 'EIO'?");
    assert_int_equal(parse_bytes(leak, strlen(leak), &error), -EINVAL);
    assert_non_null(strstr(error.text, "two.ini:1: 'seed' stands before any section"));
    assert_int_equal(parse_bytes(twice, strlen(twice), &error), -EINVAL);
    assert_non_null(strstr(error.text, "two.ini:2: seed was given already at p.ini:2"));
    assert_int_equal(parse_bytes(same, strlen(same), &error), -EINVAL);
    assert_non_null(strstr(error.text, "two.ini:2: rule a was defined already at p.ini:1"));
    struct loaded *loaded = load(";@source one.ini\n\n" RULE("") ";@source two.ini\n[rule b]\ncalls = read\nfault = short\n");
    assert_string_equal(loaded->profile.rules[0].file, "one.ini");
    assert_int_equal(loaded->profile.rules[0].line, 2);
    assert_string_equal(loaded->profile.rules[1].file, "two.ini");
    assert_int_equal(loaded->profile.rules[1].line, 1);
    unload(loaded);
}

static void other_ways_to_end_a_line(void **state) {
    struct loaded *loaded =
        load("\xef\xbb\xbf[rule a]\r\ncalls = write\r\n   fault = error EIO\r\n;@source b\n\xef\xbb\xbf[rule b]\n"
             "calls = read\nfault = short");
    (void)state;
    assert_int_equal(loaded->profile.n_rules, 2);
    unload(loaded);
}

static void same_text_same_profile_from_any_chunk(void **state) {
    /* The text need not end in NUL: nothing past its length is read. */
    static const char text[] = RULE("probability = 5%\n");
    char *exact = malloc(strlen(text));
    int result;
    (void)state;
    memcpy(exact, text, strlen(text));
    struct loaded *loaded = try_load(exact, strlen(text), 1, &result);
    assert_int_equal(result, 0);
    free(exact);
    assert_string_equal(loaded->profile.rules[0].calls[0].text, "write"); /* all strings are copies */
    unload(loaded);
}

static void one_liners(void **state) {
    static const struct {
        const char *line, *section;
    } cases[] = {
        {"calls=@file.sync fault=error:EIO probability=2%", "[rule r1]\ncalls = @file.sync\nfault = error EIO\nprobability = 2%\n"},
        {"calls=write fault=error:EIO,ENOSPC,weight=2", "[rule r1]\ncalls = write\nfault = error EIO,ENOSPC,weight=2\n"},
        {"calls=write fault=short fault=delay:5ms±2ms", "[rule r1]\ncalls = write\nfault = short\nfault = delay 5ms±2ms\n"},
        {"calls=fsync fault=error EIO nth=3", "[rule r1]\ncalls = fsync\nfault = error EIO\nnth = 3\n"},
        {"calls=write fault=crash during signal=TERM", "[rule r1]\ncalls = write\nfault = crash during signal=TERM\n"},
        {"calls=write fault='delay 5ms' message=\"a b\"", "[rule r1]\ncalls = write\nfault = delay 5ms\nmessage = \"a b\"\n"},
        {"calls=@net.recv peer=*:443 fault=delay:5ms", "[rule r1]\ncalls = @net.recv\npeer = *:443\nfault = delay 5ms\n"},
        {"  calls=read\tfault=short  ", "[rule r1]\ncalls = read\nfault = short\n"},
    };
    char out[500];
    struct fsh_error error;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fsh_profile_one_liner(out, sizeof out, cases[i].line, "r1", &error), strlen(cases[i].section));
        assert_string_equal(out, cases[i].section);
        unload(load(out));
    }
}

static void wrong_one_liners(void **state) {
    static const struct {
        const char *line, *piece;
    } cases[] = {
        {"", "r1:1: the rule is empty; write KEY=VALUE"},
        {"write", "'write' is no KEY=VALUE"},
        {"=write", "'=write' is no KEY=VALUE"},
        {"calls=write message=\"a b", "is never closed"},
        {"calls=write ;comment", "has a ';' where a profile would begin a comment"},
        {"calls=write\nfault=short", "the rule has several lines"},
    };
    char out[500];
    struct fsh_error error;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fsh_profile_one_liner(out, sizeof out, cases[i].line, "r1", &error), -EINVAL);
        if (!strstr(error.text, cases[i].piece))
            fail_msg("'%s' said '%s'", cases[i].line, error.text);
    }
    assert_int_equal(fsh_profile_one_liner(out, 20, "calls=write fault=short", "r1", &error), -ENOSPC);
}

/* The densest texts of every kind, against what fsh_arena_need promises. */
static void arena_bound_holds(void **state) {
    static const char *const heads[] = {
        "",
        "[rule a]\nfault=delay 1ns\ncalls=read\ncalls=",
        "[rule a]\nfault=delay 1ns\ncalls=read\nexcept=free ",
        "[rule a]\nfault=delay 1ns\ncalls=read\npath=",
        "[rule a]\nfault=delay 1ns\ncalls=read\nnth=",
        "[rule a]\nfault=delay 1ns\ncalls=read\nfd=",
        "[rule a]\nfault=delay 1ns\ncalls=read\nprocess=",
        "[rule a]\ncalls=@net\nfault=error ",
    };
    static const char *const tails[] = {"[\n", "* ", "free ", "* ", "1,", "1,", "a ", "EIO "};
    static const unsigned counts[] = {3000, 255, 254, 256, 256, 256, 256, 1};
    char *text = test_malloc(FSH_PROFILE_MAX);
    int result;
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        size_t n = (size_t)sprintf(text, "%s", heads[i]);
        for (unsigned j = 0; j < counts[i]; j++)
            n += (size_t)sprintf(text + n, "%s", tails[i]);
        struct loaded *loaded = try_load(text, n, 1, &result);
        assert_int_not_equal(result, -ENOMEM);
        unload(loaded);
    }
    size_t n = 0;
    for (unsigned i = 0; i < FSH_RULES_MAX; i++)
        n += (size_t)sprintf(text + n, "[rule %x]\ncalls=%s\nfault=delay 1s\n", i, i < 64 ? "*" : fsh_calls[i % 60].name);
    struct loaded *loaded = try_load(text, n, 1, &result);
    assert_int_not_equal(result, -ENOMEM);
    unload(loaded);
    n = 0;
    for (unsigned i = 0; i < FSH_CANDIDATES_MAX; i++) {
        n += (size_t)sprintf(text + n, "[rule %x]\ncalls=", i);
        for (unsigned j = 0; j < 256; j++)
            n += (size_t)sprintf(text + n, "*,");
        n += (size_t)sprintf(text + n, "\nfault=delay 1s\n");
    }
    loaded = try_load(text, n, 1, &result);
    assert_int_equal(result, 0);
    unload(loaded);
    test_free(text);
}

static void a_small_arena_is_said_to_be_full(void **state) {
    static const char text[] = RULE("path = /a /b /c\nnth = 1,2,3\n") "[rule b]\ncalls = @net\nfault = delay 1ms\n";
    size_t need = fsh_arena_need(strlen(text));
    char *memory = test_malloc(need);
    struct fsh_plan *plan = test_malloc(sizeof *plan);
    int result = -ENOMEM;
    (void)state;
    for (size_t size = 0; size < need && result == -ENOMEM; size += 97) {
        struct fsh_arena arena = {.base = memory, .size = size};
        struct fsh_profile profile;
        struct fsh_error error;
        result = fsh_profile_parse(&profile, &arena, text, strlen(text), "p.ini", &error);
        if (result == 0)
            result = fsh_plan_build(plan, &profile, 1, &arena, &error);
    }
    assert_int_equal(result, 0);
    test_free(plan);
    test_free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_lines_are_named),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(long_lines_are_read_whole_or_refused),
        cmocka_unit_test(long_words_leave_room_for_the_advice),
        cmocka_unit_test(too_long_profiles_are_refused),
        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(options),
        cmocka_unit_test(defaults),
        cmocka_unit_test(headstart_by_calls_and_listen),
        cmocka_unit_test(every_key_of_a_rule),
        cmocka_unit_test(sizes),
        cmocka_unit_test(shares),
        cmocka_unit_test(delays),
        cmocka_unit_test(errors),
        cmocka_unit_test(crashes),
        cmocka_unit_test(corruption),
        cmocka_unit_test(early_shares),
        cmocka_unit_test(addresses_in_brackets_are_no_classes),
        cmocka_unit_test(sources_have_lines_of_their_own),
        cmocka_unit_test(other_ways_to_end_a_line),
        cmocka_unit_test(same_text_same_profile_from_any_chunk),
        cmocka_unit_test(one_liners),
        cmocka_unit_test(wrong_one_liners),
        cmocka_unit_test(arena_bound_holds),
        cmocka_unit_test(a_small_arena_is_said_to_be_full),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
