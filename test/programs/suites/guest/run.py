"""Runs a part of a suite inside the container, and writes how each case ended.

run.py SUITE SECONDS LEAVE NAME...: each NAME (a module, a package; of a class of
stressors, each) is one process, ended after SECONDS; the cases in LEAVE, separated by blanks, are
not run where that can be said. A line of /results is a verdict (ok, skip, bad,
hang) and the case; of several for one case the last is right, but bad stays bad.
"""
import os
import re
import shutil
import signal
import subprocess
import sys

RESULTS = "/results"
WORK = "/var/tmp/work"


def say(verdict, case):
    with open(RESULTS, "a") as out:
        out.write(f"{verdict} {case}\n")


def limited(args, seconds, cwd, dump=signal.SIGTERM, **more):
    """Runs args for seconds at most; its status, or None if it was ended. It is
    sent dump first, which makes it say where it hangs."""
    p = subprocess.Popen(args, cwd=cwd, stdin=subprocess.DEVNULL, start_new_session=True, **more)
    try:
        return p.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    p.send_signal(dump)
    try:
        p.wait(3)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(p.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # dump ended all of them
    p.wait()
    return None


def verdict(status):
    return {0: "ok", None: "hang"}.get(status, "bad")


def python(name, seconds, leave):
    status = limited([sys.executable, "-X", "faulthandler", "/guest/unittests.py", RESULTS, name, *leave],
                     seconds, WORK, signal.SIGABRT)
    say(verdict(status), name)


def go(name, seconds, leave):
    """A package's tests, built as /gotests/PACKAGE.test, below its sources."""
    skip = ["-test.skip=" + "|".join(f"^{c.partition('.')[2]}$" for c in leave)] if leave else []
    binary = "/gotests/" + name.replace("/", "_") + ".test"
    out = WORK + "/out"
    with open(out, "wb") as f:
        status = limited([binary, "-test.short", "-test.v=test2json", *skip], seconds,
                         os.environ["GOROOT"] + "/src/" + name, signal.SIGQUIT, stdout=f, stderr=subprocess.STDOUT)
    with open(out, "rb") as f:
        text = f.read().decode(errors="replace")
    words = {"PASS": "ok", "SKIP": "skip", "FAIL": "bad"}
    for m in re.finditer(r"=== RUN   (\S+)|--- (PASS|SKIP|FAIL): (\S+) \(", text):
        if m[1]:
            say("hang", f"{name}.{m[1]}")
        else:
            say(words[m[2]], f"{name}.{m[3]}")
    say(verdict(status), name)
    if status != 0:
        print(text[-20000:], flush=True)


# stress-ng's classes; a stressor of several is run in the first.
CLASSES = "pipe interrupt io memory scheduler vm filesystem os".split()

# What is not run at all, as it is meant to disturb the whole machine.
HARMFUL = {
    "bind-mount": "mounts until there is no memory",
    "cpu-online": "switches processors off",
    "cyclic": "real-time priority",
    "memhotplug": "switches memory off",
    "mlockmany": "locks memory until there is none",
    "oom-pipe": "fills pipes until there is no memory",
    "pci": "reads the registers of the host's devices",
    "reboot": "restarts the machine",
    "rtc": "sets the machine's clock",
    "softlockup": "keeps every processor at real-time priority",
    "swap": "adds swap space",
    "sysinval": "every system call there is with arguments at random, as root",
    "watchdog": "arms the machine's watchdog",
}

# How much those may use whose default is more.
BOUNDS = {
    **dict.fromkeys("memfd mmap mremap msync pagemove shm shm-sysv vm vm-rw vm-splice malloc memrate".split(), "16m"),
    **dict.fromkeys("fallocate fiemap hdd iomix readahead sync-file".split(), "32m"),
    "copy-file": "128m",
}


def stressors(cls):
    """The stressors of a class that no earlier one has."""
    seen = set(HARMFUL)
    for c in CLASSES:
        said = subprocess.run(["stress-ng", "--class", c + "?"], capture_output=True, text=True).stdout
        found = [s for s in said.partition(":")[2].split() if s not in seen]
        if c == cls:
            return found
        seen.update(found)
    raise ValueError(cls)


def stress(part, seconds, leave):
    """Each stressor of a class, or the one of CLASS.STRESSOR, alone: two of it, for two seconds."""
    cls, _, one = part.partition(".")
    bounds = [w for name, size in BOUNDS.items() for w in (f"--{name}-bytes", size)]
    for name in [one] if one else stressors(cls):
        case = f"{cls}.{name}"
        if case in leave:
            continue
        say("hang", case)
        where = f"{WORK}/{name}"
        os.makedirs(where, exist_ok=True)
        with open(WORK + "/out", "wb") as f:
            status = limited(["stress-ng", f"--{name}", "2", "--timeout", "2", "--verify", "--oomable", "--no-rand-seed",
                              "--temp-path", where, *bounds], seconds, where, stdout=f, stderr=subprocess.STDOUT)
        with open(WORK + "/out", "rb") as f:
            text = f.read().decode(errors="replace")
        if status == 0 and re.search(r"skipped|skipping (this |the )?(stress|test)", text) or status in (3, 4):
            say("skip", case)
        else:
            say(verdict(status), case)
        if status != 0:
            print(f"--- {case}: {status}\n{text[-4000:]}", flush=True)
        shutil.rmtree(where, ignore_errors=True)


def main():
    suite, seconds, leave, names = sys.argv[1], float(sys.argv[2]), sys.argv[3].split(), sys.argv[4:]
    os.makedirs(WORK, exist_ok=True)
    for name in names:
        mine = [c for c in leave if c.startswith(name + ".") or c == name]
        {"python": python, "go": go, "stress-ng": stress}[suite](name, seconds, mine)


def init():
    """Runs main in a child, and waits for whatever is orphaned meanwhile."""
    child = os.fork()
    if child == 0:
        return main()
    while True:
        pid, status = os.wait()
        if pid == child:
            sys.exit(os.waitstatus_to_exitcode(status) and 1)


init()
